import assert from "node:assert/strict";
import { test } from "node:test";

import { Api, grownFacts, LiveSource } from "../../../trainviz/player/static/live_source.js";

const coded = (/** @type {number[]} */ guesses) => Buffer.from(new Uint16Array(guesses).buffer).toString("base64");

const FACTS = {
  epochs: [0, 1], steps: [0, 10], metrics: { loss: [2, 1] }, points: { labels: [0, 1] },
  guesses: new Uint16Array([0, 0, 0, 1]), limits: null, total: 2, name: "a",
};

test("news take the place of the last snapshot and follow it", () => {
  const news = { since: 1, epochs: [1, 2], steps: [10, 20], metrics: { loss: [0.9, 0.5], late: [7, null] }, predictions: coded([0, 1, 1, 1]), limits: null, total: 3 };
  const grown = grownFacts(FACTS, news);
  assert.deepEqual(grown.epochs, [0, 1, 2]);
  assert.deepEqual(grown.steps, [0, 10, 20]);
  assert.deepEqual(grown.metrics, { loss: [2, 0.9, 0.5], late: [null, 7, null] });
  assert.deepEqual([...grown.guesses], [0, 0, 0, 1, 1, 1]);
  assert.equal(grown.total, 3);
  assert.equal(grown.name, "a");
});

test("what is not given is unknown", () => {
  const news = { since: 2, epochs: [2], steps: null, metrics: {}, predictions: null, limits: null, total: 3 };
  const grown = grownFacts(FACTS, news);
  assert.equal(grown.steps, null);
  assert.deepEqual(grown.metrics, { loss: [2, 1, null] });
  assert.deepEqual([...grown.guesses], [0, 0, 0, 1, 65535, 65535]);
});

test("events are read however they are cut into pieces", async () => {
  const text = ": alive\n\nevent: runs\ndata: {\"runs\": [1]}\n\nevent: runs\ndata: {\"runs\": [\"ä\"]}\n\n";
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 7, bytes.length]) {
    globalThis.fetch = async () => new Response(new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
        controller.close();
      },
    }));
    /** @type {any[]} */
    const told = [];
    await new Api(null).listen((change) => told.push(change), new AbortController());
    assert.deepEqual(told, [{ runs: [1] }, { runs: ["ä"] }]);
  }
});

test("while news are under way, no second request goes out, but one afterwards", async () => {
  /** @type {string[]} */
  const asked = [];
  let count = 2;
  globalThis.fetch = async (path) => {
    asked.push(String(path));
    await new Promise((done) => setTimeout(done, 10));
    const since = Number(/since=(\d+)/.exec(String(path))?.[1]);
    const epochs = Array.from({ length: count - since }, (_, i) => since + i);
    return new Response(JSON.stringify({ version: "5", since, epochs, steps: null, metrics: {}, predictions: null, limits: null, total: count }));
  };
  const reply = { version: "5", recordings: [{ epochs: [0, 1], steps: null, metrics: {}, points: null, limits: null, total: 2 }] };
  const source = new LiveSource(new Api(null), /** @type {any} */ ([{ id: "a", name: "a" }]), [reply], null, () => assert.fail());
  let told = 0;
  source.subscribe(() => told++);
  const first = source.refresh(0);
  count = 9;
  for (let i = 0; i < 5; i++) source.refresh(0);
  await first;
  assert.equal(asked.length, 2);
  assert.equal(told, 2);
  assert.deepEqual(source.facts.recordings[0].epochs, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
});
