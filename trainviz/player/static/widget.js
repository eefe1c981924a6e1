/** The player in a notebook: an anywidget module, fed by trainviz/player/widget.py. */

import { canInflate, fromBase64 } from "./bytes.js";
import { el } from "./dom.js";
import { Player } from "./player.js";

/** @typedef {import("./source.js").Source} Source */

const AT_ONCE = 8;
/** How many maps are asked for in one message. */

const PATIENCE = 5000;
/** Milliseconds after which a reader is told that no kernel answers. */

/**
 * The snapshots that a kernel has sent; the views of one widget share it.
 *
 * While a cell runs, its kernel sends but reads nothing: every new snapshot comes by itself, with
 * its map, and what a view lacks is asked for and comes when the cell is done.
 * @implements {Source}
 */
export class KernelSource {
  /** @param {any} model of anywidget */
  constructor(model) {
    this.model = model;
    /** @type {string | null} */
    this.worker = null;
    /** Null while nothing is captured. */
    this.facts = model.get("facts");
    this.generation = this.facts?.generation ?? 0;
    /** @type {Uint8Array[][]} */
    this.packed = [];
    /** @type {Map<string, ((bytes: Uint8Array) => void)[]>} */
    this.waiting = new Map();
    /** @type {Set<(replaced?: [number, number]) => void>} */
    this.listeners = new Set();
    this.asked = 0;
    this.answered = 0;
    this.hasHeard = false;
    this.decodePredictions();
    model.on("msg:custom", (/** @type {any} */ content, /** @type {DataView[]} */ buffers) => this.hear(content, buffers));
    this.ask();
  }

  /** @param {(replaced?: [number, number]) => void} told */
  subscribe(told) {
    this.listeners.add(told);
    return () => {
      this.listeners.delete(told);
    };
  }

  /** @param {number} recording @param {number} index */
  async bytes(recording, index) {
    const found = this.packed[recording]?.[index];
    // The player gives its bytes away to a worker.
    if (found) return found.slice();
    const key = `${recording}-${index}`;
    return /** @type {Promise<Uint8Array>} */ (new Promise((done) => {
      this.waiting.set(key, [...(this.waiting.get(key) ?? []), done]);
      this.ask();
    }));
  }

  /** Say how many snapshots are known, and which maps are wanted; one question at a time. */
  ask() {
    if (this.asked > this.answered) return;
    const counts = (this.facts?.recordings ?? []).map((/** @type {any} */ one) => one.epochs.length);
    const maps = this.lacking(counts);
    if (!maps.length && this.hasHeard && !this.isUnsure) return;
    this.isUnsure = false;
    this.asked++;
    this.model.send({ have: counts, maps, question: this.asked });
  }

  /** @param {number[]} counts @returns {[number, number][]} what a view waits for comes first */
  lacking(counts) {
    const keys = new Set(this.waiting.keys());
    for (let r = 0; r < counts.length && keys.size < AT_ONCE; r++)
      for (let i = 0; i < counts[r] && keys.size < AT_ONCE; i++)
        if (!this.packed[r]?.[i]) keys.add(`${r}-${i}`);
    return [...keys].slice(0, AT_ONCE).map((key) => /** @type {[number, number]} */ (key.split("-").map(Number)));
  }

  /** @param {any} content @param {DataView[]} buffers */
  hear(content, buffers) {
    const isFirst = !this.hasHeard;
    this.hasHeard = true;
    /** @type {[number, number] | undefined} */
    let replaced;
    if (content.facts) {
      this.facts = content.facts;
      this.generation = content.facts.generation;
      this.packed = [];
      this.decodePredictions();
    }
    if (content.columns) {
      const { recording, from, generation } = content;
      const one = this.facts?.recordings[recording];
      // What lies between came while nobody listened.
      if (!one || from > one.epochs.length) this.isUnsure = true;
      else {
        if (generation !== this.generation) {
          this.generation = generation;
          this.packed[recording]?.splice(from);
          replaced = [recording, from];
          shorten(one, from);
        }
        extend(one, from, content.columns);
        this.facts.seconds = content.seconds ?? this.facts.seconds;
      }
    }
    if (content.map && content.generation === this.generation) {
      const [r, i] = content.map;
      const { buffer, byteOffset, byteLength } = buffers[0];
      const bytes = new Uint8Array(buffer, byteOffset, byteLength).slice();
      (this.packed[r] ??= [])[i] = bytes;
      for (const done of this.waiting.get(`${r}-${i}`) ?? []) done(bytes.slice());
      this.waiting.delete(`${r}-${i}`);
    }
    if (content.answer) this.answered = Math.max(this.answered, content.answer);
    // A new snapshot may get further metrics later: they are asked for when the kernel is free.
    if (content.columns && content.map) this.isUnsure = true;
    if (isFirst || content.facts || content.columns) for (const told of this.listeners) told(replaced);
    this.ask();
  }

  decodePredictions() {
    for (const one of this.facts?.recordings ?? [])
      if (typeof one.points?.predictions === "string") one.points.predictions = fromBase64(one.points.predictions);
  }
}

/** @param {any} one a recording's facts @param {number} length */
function shorten(one, length) {
  one.epochs = one.epochs.slice(0, length);
  one.steps = one.steps?.slice(0, length) ?? null;
  for (const name of Object.keys(one.metrics)) one.metrics[name] = one.metrics[name].slice(0, length);
  if (one.points?.predictions) one.points.predictions = one.points.predictions.slice(0, length * 2 * one.points.labels.length);
  one.curves = null;
  one.total = length;
}

/**
 * Write what is known of snapshots into a recording's facts, from one of them on.
 * @param {any} one @param {number} from @param {any} columns
 */
export function extend(one, from, columns) {
  const [known, count] = [one.epochs.length, columns.epochs.length];
  const total = Math.max(known, from + count);
  const put = (/** @type {any[]} */ held, /** @type {any[]} */ added) => [...held.slice(0, from), ...added, ...held.slice(from + count)];
  one.epochs = put(one.epochs, columns.epochs);
  one.curves = columns.curves;
  one.steps = columns.steps && (one.steps || !known) ? put(one.steps ?? [], columns.steps) : null;
  const unknown = (/** @type {number} */ length) => Array.from({ length }, () => null);
  for (const name of new Set([...Object.keys(one.metrics), ...Object.keys(columns.metrics)]))
    one.metrics[name] = put(one.metrics[name] ?? unknown(known), columns.metrics[name] ?? unknown(count));
  if (columns.predictions) {
    const row = 2 * one.points.labels.length;
    const table = new Uint8Array(total * row).fill(255);
    table.set(one.points.predictions ?? []);
    table.set(fromBase64(columns.predictions), from * row);
    one.points.predictions = table;
  }
  if (columns.limits)
    one.limits = one.limits ? [Math.min(one.limits[0], columns.limits[0]), Math.max(one.limits[1], columns.limits[1])] : columns.limits;
  one.total = total;
}

/** @type {Map<string, KernelSource>} */
const sources = new Map();

/** @param {any} model */
function sourceOf(model) {
  const key = model.get("key");
  const known = sources.get(key);
  if (known) return known;
  const made = new KernelSource(model);
  sources.set(key, made);
  return made;
}

/** @param {string} coded base64 of a deflate stream */
async function inflatedText(coded) {
  const stream = new Blob([/** @type {any} */ (fromBase64(coded))]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).text();
}

/** Whether the notebook around is dark; null where it does not say. */
function isDark() {
  const { dataset, classList } = document.body;
  if (dataset.jpThemeLight) return dataset.jpThemeLight === "false";
  if (dataset.vscodeThemeKind) return dataset.vscodeThemeKind !== "vscode-light" && dataset.vscodeThemeKind !== "vscode-high-contrast-light";
  return classList.contains("dark") ? true : null;
}

/** Listen before the first view is there. @param {{model: any}} given */
function initialize({ model }) {
  sourceOf(model);
  return () => {
    sources.delete(model.get("key"));
  };
}

/** @param {{model: any, el: HTMLElement}} given */
function render({ model, el: host }) {
  const source = sourceOf(model);
  const root = el("div");
  const note = el("div", { class: "tv-wait", role: "status" });
  host.classList.add("tv-host");
  host.replaceChildren(root, note);
  const say = (/** @type {string} */ text) => {
    const still = model.get("still");
    note.replaceChildren(el("p", {}, text), still ? el("img", { src: still, alt: "The last snapshot" }) : "");
  };
  /** @type {Player | undefined} */
  let player;
  let isClosed = false;
  const show = async () => {
    source.worker ??= await inflatedText(model.get("worker"));
    if (isClosed || player || !source.facts || !source.hasHeard) return;
    note.remove();
    player = new Player(root, source, { embedded: true, dark: isDark() });
    /** @type {any} */ (host).trainvizPlayer = player;
  };
  if (!canInflate()) {
    say("This browser is too old to unpack the recording (it lacks DecompressionStream).");
    return () => {};
  }
  say(source.facts ? "Waiting for the kernel …" : "No snapshot is captured yet; the first one appears here.");
  const stop = source.subscribe(show);
  show();
  // A saved notebook may have kept the facts, but no maps.
  const doubt = setTimeout(() => {
    if (!source.hasHeard && source.facts)
      say("No kernel answers. While a cell runs it cannot; if none does, run the cell again that made this.");
  }, PATIENCE);
  return () => {
    isClosed = true;
    clearTimeout(doubt);
    stop();
    player?.close();
  };
}

export const widget = { initialize, render };
