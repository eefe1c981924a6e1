/** Recordings on a server: its interface, and a source of snapshots that grows. */

import { fromBase64 } from "./bytes.js";

/**
 * @typedef {object} Run What the server says of a run.
 * @property {string} id
 * @property {string} name
 * @property {"recording" | "idle" | "gone" | "damaged"} state
 * @property {string} problem
 * @property {string} version another one once snapshots were replaced
 * @property {number} count of snapshots
 * @property {number | null} epoch of the last one
 * @property {number | null} step
 * @property {Record<string, number>} metrics
 * @property {string | null} group the same for runs that can be shown side by side
 */

/** @typedef {{runs: Run[], note: string, paths: number}} Change */

const LARGEST_EVENT = 2 ** 24;
/** Seconds without a word from the server after which it counts as gone. */
const SILENCE = 30;

export class HttpError extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The server's interface. */
export class Api {
  /** @param {string | null} token */
  constructor(token) {
    /** @type {Record<string, string>} */
    this.headers = token ? { Authorization: `Bearer ${token}` } : {};
  }

  /** @param {string} path @param {AbortSignal} [signal] */
  async get(path, signal) {
    let response;
    try {
      response = await fetch(path, { headers: this.headers, signal });
    } catch (error) {
      throw signal?.aborted ? error : new Error("the server does not answer");
    }
    if (!response.ok) throw new HttpError(response.status, await response.text());
    return response;
  }

  /**
   * Listen to the server until it ends or is silent; not an EventSource, which sends no token.
   * @param {(change: Change) => void} told
   * @param {AbortController} stop
   */
  async listen(told, stop) {
    const response = await this.get("/api/events", stop.signal);
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const silent = setTimeout(() => stop.abort(), 1000 * SILENCE);
      const { done, value } = await reader.read().finally(() => clearTimeout(silent));
      if (done) return;
      text += decoder.decode(value, { stream: true });
      if (text.length > LARGEST_EVENT) throw new Error("the server sends too much");
      const events = text.split("\n\n");
      text = /** @type {string} */ (events.pop());
      for (const event of events) {
        const data = event.split("\n").find((line) => line.startsWith("data: "));
        if (data) told(JSON.parse(data.slice(6)));
      }
    }
  }
}

/** The snapshots of some runs on the server: a source, as source.js describes it. */
export class LiveSource {
  /**
   * @param {Api} api
   * @param {Run[]} runs
   * @param {any[]} replies the facts of each
   * @param {string | null} worker
   * @param {(run: number, reply: any) => void} replaced told when snapshots were replaced
   */
  constructor(api, runs, replies, worker, replaced) {
    this.api = api;
    this.worker = worker;
    this.replaced = replaced;
    this.held = runs.map((run, r) => ({ id: run.id, version: replies[r].version, busy: false, again: false }));
    const names = runs.map((run) => run.name);
    this.facts = {
      ...replies[0], title: runs.length > 1 ? `${runs.length} runs` : names[0],
      recordings: replies.map((reply, r) => opened(reply.recordings[0], runs.length > 1 ? names[r] : "")),
    };
    this.told = () => {};
  }

  /** @param {number} r @param {number} index @returns {Promise<Uint8Array>} */
  async bytes(r, index) {
    const { id, version } = this.held[r];
    const response = await this.api.get(`/api/r/${id}/snapshots/${index}?version=${version}`);
    return new Uint8Array(await response.arrayBuffer());
  }

  /** @param {() => void} told */
  subscribe(told) {
    this.told = told;
    return () => {
      this.told = () => {};
    };
  }

  /** Fetch what is new of a run; while that is under way, once more afterwards. @param {number} r */
  async refresh(r) {
    const held = this.held[r];
    held.again = true;
    if (held.busy) return;
    held.busy = true;
    try {
      while (held.again) {
        held.again = false;
        const facts = this.facts.recordings[r];
        // The last snapshot may have got further metrics since.
        const since = Math.max(0, facts.epochs.length - 1);
        const response = await this.api.get(`/api/r/${held.id}?version=${held.version}&since=${since}`);
        const reply = await response.json();
        if (reply.version !== held.version) {
          this.replaced(r, reply);
          return;
        }
        this.facts.recordings[r] = grownFacts(facts, reply);
        this.told();
      }
    } finally {
      held.busy = false;
    }
  }
}

/**
 * The facts of a recording with its predictions as numbers, beside them, since they grow.
 * @param {any} facts as the server sends them @param {string} name
 */
function opened(facts, name) {
  const { points } = facts;
  return { ...facts, name, guesses: words(points?.predictions), points: points && { ...points, predictions: null } };
}

/** @param {string | null | undefined} coded */
function words(coded) {
  return coded ? new Uint16Array(fromBase64(coded).slice().buffer) : null;
}

/**
 * Return the facts of a recording together with those of its new snapshots.
 * @param {any} facts @param {any} news @returns {any}
 */
export function grownFacts(facts, news) {
  const { since } = news;
  const count = since + news.epochs.length;
  const joined = (/** @type {any[]} */ before, /** @type {any[]} */ after) => [...before.slice(0, since), ...after];
  const blank = (/** @type {number} */ n) => Array.from({ length: n }, () => null);
  const names = new Set([...Object.keys(facts.metrics), ...Object.keys(news.metrics)]);
  const metrics = Object.fromEntries([...names].map((name) => [
    name, joined(facts.metrics[name] ?? blank(since), news.metrics[name] ?? blank(count - since)),
  ]));
  let { guesses } = facts;
  const more = words(news.predictions);
  if (guesses || more) {
    const m = facts.points.labels.length;
    const all = new Uint16Array(count * m).fill(65535);
    if (guesses) all.set(guesses.subarray(0, since * m));
    if (more) all.set(more, since * m);
    guesses = all;
  }
  return {
    ...facts, metrics, guesses, curves: news.curves, limits: news.limits, total: news.total,
    epochs: joined(facts.epochs, news.epochs),
    steps: facts.steps && news.steps && joined(facts.steps, news.steps),
  };
}

/**
 * Read or set what this tab keeps when the page is loaded again.
 * @param {string} name @param {string} [value]
 */
export function kept(name, value) {
  try {
    if (value !== undefined) sessionStorage.setItem(`trainviz-${name}`, value);
    return sessionStorage.getItem(`trainviz-${name}`);
  } catch {
    return value ?? null;
  }
}
