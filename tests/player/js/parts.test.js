import assert from "node:assert/strict";
import { test } from "node:test";

import { axisTicks, bandsOf, placeText } from "../../../trainviz/player/static/axes.js";
import { clockOf, positionOf, valueAt } from "../../../trainviz/player/static/clock.js";
import { segmentsOf } from "../../../trainviz/player/static/contours.js";
import { read, written } from "../../../trainviz/player/static/hash.js";
import { interpolate } from "../../../trainviz/player/static/interpolate.js";
import { alongPath, bordersOf, forgottenBetween, scoreBorders, scorePoints, wrongAt } from "../../../trainviz/player/static/lesson.js";
import { accuracy, ensemble, learning, placesAlong } from "../../../trainviz/player/static/measure.js";
import { inBand, resample } from "../../../trainviz/player/static/paint.js";
import { accumulate } from "../../../trainviz/player/static/tasks.js";
import { spreadOrder } from "../../../trainviz/player/static/player.js";

test("clocks pass by epoch, by snapshot, and slowly at first", () => {
  const epochs = [0, 1, 3, 7];
  assert.equal(clockOf("epoch", epochs, null).position(1 / 7), 1);
  assert.equal(clockOf("epoch", epochs, null).position(5 / 7), 2.5);
  assert.equal(clockOf("snapshot", epochs, null).position(0.5), 1.5);
  // From epoch 0 to 1, 1 to 3 and 3 to 7 pass equal times.
  const slow = clockOf("slow", epochs, null);
  for (const [share, position] of [[0, 0], [1 / 3, 1], [2 / 3, 2], [1, 3]])
    assert.ok(Math.abs(slow.position(share) - position) < 1e-9);
  for (const position of [0, 0.3, 1.7, 3])
    assert.ok(Math.abs(slow.position(slow.share(position)) - position) < 1e-9);
});

test("one snapshot is a time axis, too", () => {
  const clock = clockOf("epoch", [4], null);
  assert.equal(clock.share(0), 0);
  assert.equal(clock.position(0.7), 0);
  assert.equal(positionOf([4], 9), 0);
  assert.equal(valueAt([4], 0), 4);
});

test("several snapshots of an epoch: the last of them is the epoch", () => {
  assert.equal(positionOf([0, 0, 1, 1, 2], 1), 3);
  assert.equal(positionOf([0, 0, 1], 0), 1);
  assert.equal(positionOf([0, 10, 20], 15), 1.5);
});

test("the address holds the state", () => {
  const shown = {
    time: 12.5, mode: "entropy", pins: [[1.25, -3], [0, 2]], range: [3, 9], view: [0, 1, 0, 1],
    hidden: [2, 5], levels: [0.5], palette: "Set1", speed: 0.25, theme: "dark",
  };
  assert.deepEqual(read(`#${written(shown)}`), shown);
});

test("an address that is none is left out", () => {
  assert.deepEqual(read("#time=soon&range=1&pins=a,b&view=1,2,3&mode=%E0%A4%A&x=<script>"), { pins: [] });
});

test("interpolation keeps the snapshots and sums to 1", () => {
  const maps = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.1, 0.9]].map((pair) => Float32Array.from(pair));
  for (const kind of ["linear", "geometric", "smooth"]) {
    const found = interpolate(kind, maps, 0.5, 2, true, new Float32Array(2));
    assert.ok(Math.abs(found[0] + found[1] - 1) < 1e-6);
    assert.ok(found[0] < 0.6 && found[0] > 0.2);
    assert.equal(interpolate(kind, maps, 0, 2, true, new Float32Array(2)), maps[1]);
  }
  assert.equal(interpolate("linear", maps, 0.25, 2, true, new Float32Array(2))[1], Math.fround(0.5));
});

test("a contour runs where the level is", () => {
  const values = Float32Array.from([0, 1, 0, 1]);
  assert.deepEqual(segmentsOf(values, 2, 2, 0.25), [0.25, 0, 0.25, 1]);
  assert.deepEqual(segmentsOf(values, 2, 2, 2), []);
});

test("points are learnt, and forgotten", () => {
  const guesses = Uint16Array.from([0, 1, 1, 1, 0, 1, 0, 65535, 0, 1]);
  const { first, events } = learning(guesses, [0, 1]);
  assert.deepEqual([...first], [0, 0]);
  assert.deepEqual([...events], [1, 0]);
  assert.deepEqual([...learning(guesses, [1, 0]).first], [1, -1]);
  assert.equal(accuracy([0, 65535, 1], [0, 0, 0]), 0.5);
  assert.ok(Number.isNaN(accuracy([65535], [0])));
});

test("the entropy of an averaged prediction is the expected one and the mutual information", () => {
  const sums = {
    count: 0, classes: 2, height: 1, width: 2, total: new Float32Array(4),
    entropy: new Float32Array(2), changes: new Float32Array(2), label: new Uint16Array(2),
  };
  // Two snapshots are sure and disagree at the first place, and are unsure at the second.
  accumulate(sums, Float32Array.from([1, 0.5, 0, 0.5]));
  accumulate(sums, Float32Array.from([0, 0.5, 1, 0.5]));
  const found = ensemble(sums);
  assert.deepEqual([...found.mean], [0.5, 0.5, 0.5, 0.5]);
  assert.deepEqual([...found.total].map((v) => v.toFixed(5)), ["1.00000", "1.00000"]);
  assert.deepEqual([...found.expected].map((v) => v.toFixed(5)), ["0.00000", "1.00000"]);
  assert.deepEqual([...found.mutual].map((v) => v.toFixed(5)), ["1.00000", "0.00000"]);
  assert.deepEqual([...sums.changes], [1, 0]);
});

test("snapshots are visited all, the far ones first", () => {
  assert.deepEqual(spreadOrder(5), [0, 4, 2, 1, 3]);
  assert.deepEqual(spreadOrder(0), []);
  assert.deepEqual(placesAlong([0, 0], [4, 2], 3), [0, 0, 2, 1, 4, 2]);
});

test("a drawn border is scored by what it meets and what it misses", () => {
  // Class 0 at the left, 1 at the right, 2 at the top.
  const labels = Uint8Array.from([0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 2, 2]);
  const borders = bordersOf(labels, 3, 4);
  assert.equal(borders.length, 6);
  const drawn = alongPath([[1.5, 0], [1.5, 1]], 0.25);
  const found = scoreBorders(drawn, borders, 0.5, 3);
  assert.equal(found.precision, 1);
  assert.equal(found.recall, 2 / 6);
  assert.deepEqual(found.each.map((one) => one.found), [2, 2, 0]);
  assert.equal(scoreBorders([], borders, 1, 3).score, 0);
});

test("ticked points are scored class by class", () => {
  const found = scorePoints(new Set([0, 1]), new Set([1, 2]), [0, 0, 1], 2);
  assert.deepEqual([found.precision, found.recall, found.score], [0.5, 0.5, 0.5]);
  assert.deepEqual(found.each, [{ truth: 1, found: 1, ticked: 2 }, { truth: 1, found: 0, ticked: 0 }]);
  const guesses = Uint16Array.from([0, 1, 0, 0, 1, 1]);
  assert.deepEqual([...wrongAt(guesses, [0, 1], 1)], [1]);
  assert.deepEqual([...forgottenBetween(guesses, [0, 1], 0, 2)], [1, 0]);
});

test("places are named by what their axis shows", () => {
  const city = { kind: "category", categories: ["Lyon", "Paris, and a long name", "Rome"] };
  assert.deepEqual([-0.5, 0.4, 0.6, 2.5, 9].map((at) => placeText(city, at)),
    ["Lyon", "Lyon", "Paris, and a long name", "Rome", "Rome"]);
  assert.equal(placeText({ kind: "date", categories: [] }, 18262.5), "2020-01-01");
  assert.equal(placeText({ kind: "number", categories: [] }, 1234.5), "1230");
  assert.equal(placeText(undefined, -0.25), "\u22120.25");
  assert.deepEqual([city, undefined].map(bandsOf), [3, 0]);
});

test("ticks are categories, dates of the calendar or round numbers", () => {
  const city = { kind: "category", categories: ["a", "b", "c"] };
  const day = { kind: "date", categories: [] };
  assert.deepEqual(axisTicks(city, -0.5, 2.5, 5), [[0, "a"], [1, "b"], [2, "c"]]);
  assert.deepEqual(axisTicks(city, 0.6, 1.4, 5), [[1, "b"]]);
  const many = { kind: "category", categories: Array.from({ length: 50 }, (_, k) => `${k}`) };
  assert.ok(axisTicks(many, -0.5, 49.5, 5).length <= 25);
  const dates = (/** @type {number} */ low, /** @type {number} */ high) => axisTicks(day, low, high, 4).map((tick) => tick[1]);
  assert.deepEqual(dates(18262, 19723), ["2020", "2021", "2022", "2023", "2024"]);
  assert.deepEqual(dates(18262, 18382), ["2020-01", "2020-02", "2020-03", "2020-04"]);
  assert.deepEqual(dates(18262, 18266), ["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04", "2020-01-05"]);
  assert.deepEqual(dates(18262, 18263), ["01-01 00:00", "01-01 12:00", "01-02 00:00"]);
  assert.deepEqual(dates(-4000, -3000), ["1960", "1961"]);
  assert.deepEqual(axisTicks(undefined, 0, 1, 2), [[0, "0"], [0.5, "0.5"], [1, "1"]]);
});

test("nothing is interpolated from one category to the next", () => {
  const planes = { map: Float32Array.from([0, 0, 1, 1, 0, 0, 1, 1]), classes: 1, height: 2, width: 4 };
  const [whole, mixed, apart] = [{ x0: 0, y0: 0, x1: 3, y1: 1 }, new Float32Array(12), new Float32Array(12)];
  resample(planes, whole, 1, 12, 0, 1, mixed);
  resample(planes, whole, 1, 12, 0, 1, apart, [2, 0]);
  assert.ok(mixed.some((value) => value > 0 && value < 1));
  assert.deepEqual([...apart], [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
  assert.deepEqual([0, 1.4, 1.6, 3].map((at) => inBand(at, 4, 2)), [0, 1, 2, 3]);
  assert.equal(inBand(1.4, 4, 0), 1.4);
});
