/** Decoded maps: made by workers when they are wanted, the least recently used let go. */

import { perform, STOPPED } from "./tasks.js";

/** @typedef {import("./paint.js").Planes} Planes */
/** @typedef {{bytes: (index: number) => Promise<Uint8Array>}} Bytes a recording's packed maps */
/** @typedef {Partial<import("./tasks.js").Task>} Options of a task */

/**
 * @typedef {object} Job
 * @property {string} key
 * @property {() => Promise<any>} task
 * @property {(answer: any) => void} done
 * @property {(error: Error) => void} failed
 */

const BUDGET = 72 * 2 ** 20;
/** How many bytes of decoded maps are kept. */

export class MapStore {
  /**
   * @param {Bytes[]} recordings
   * @param {string | null} workerCode the text of a worker, null for none
   * @param {(key: string) => void} told of every map that is ready
   * @param {(message: string) => void} failed
   */
  constructor(recordings, workerCode, told, failed) {
    this.recordings = recordings;
    this.told = told;
    this.failed = failed;
    /** @type {Map<string, Planes>} the least recently used first */
    this.maps = new Map();
    this.held = 0;
    /** @type {Float32Array[]} */
    this.spare = [];
    /** @type {string[]} */
    this.wanted = [];
    /** @type {Set<string>} */
    this.running = new Set();
    /** What somebody waits for. @type {Job[]} */
    this.asked = [];
    /** What is done when nobody waits for anything. @type {Job[]} */
    this.jobs = [];
    this.background = 0;
    /** Grows when maps were replaced. */
    this.era = 0;
    this.nextId = 1;
    /** @type {Map<number, {done: (answer: any) => void, failed: (error: Error) => void}>} */
    this.waiting = new Map();
    /** @type {{worker: Worker | null, busy: boolean}[]} */
    this.seats = this.open(workerCode);
  }

  /** @param {string | null} code */
  open(code) {
    if (code && typeof Worker !== "undefined") {
      try {
        const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
        const count = Math.max(1, Math.min(2, (navigator.hardwareConcurrency || 2) - 1));
        return Array.from({ length: Math.max(2, count) }, () => {
          const worker = new Worker(url);
          worker.onmessage = (event) => this.answer(event.data);
          worker.onerror = () => this.fallBack();
          return { worker, busy: false };
        });
      } catch {
        // Some pages may not start workers; the page itself decodes then.
      }
    }
    return [{ worker: null, busy: false }];
  }

  /** Decode in the page itself, where a worker does not start. */
  fallBack() {
    if (this.seats.every((seat) => !seat.worker)) return;
    // A seat whose bytes are still on their way goes on without its worker.
    for (const seat of this.seats) {
      seat.worker?.terminate();
      seat.worker = null;
    }
    this.seats = [{ worker: null, busy: false }];
    const stopped = [...this.waiting.values()];
    this.waiting.clear();
    this.running.clear();
    for (const { failed } of stopped) failed(new Error(STOPPED));
    // What was asked of the workers is asked again.
    this.told("");
    this.pump();
  }

  close() {
    for (const seat of this.seats) seat.worker?.terminate();
  }

  /** @param {any} answer */
  answer(answer) {
    const waiting = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if (answer.error) waiting?.failed(new Error(answer.error));
    else waiting?.done(answer);
  }

  /**
   * @param {number} recording
   * @param {number} index
   * @returns {Planes | null}
   */
  get(recording, index) {
    const key = `${recording}-${index}`;
    const found = this.maps.get(key);
    if (!found) return null;
    this.maps.delete(key);
    this.maps.set(key, found);
    return found;
  }

  /**
   * The decoded map nearest to a snapshot, or null.
   * @param {number} recording @param {number} index
   */
  nearest(recording, index) {
    let [found, distance] = [/** @type {Planes | null} */ (null), Infinity];
    for (const [key, planes] of this.maps) {
      const [r, i] = key.split("-").map(Number);
      if (r === recording && Math.abs(i - index) < distance) [found, distance] = [planes, Math.abs(i - index)];
    }
    return found;
  }

  /**
   * Say which maps are wanted now, the most urgent first; others that wait are forgotten.
   * @param {string[]} keys
   */
  want(keys) {
    this.wanted = keys.filter((key) => !this.maps.has(key));
    this.pump();
  }

  /**
   * Do something with a packed map that somebody waits for, as soon as no map is wanted.
   * @param {number} recording @param {number} index @param {Options} options
   * @returns {Promise<any>} a sum is refused as `STOPPED` if its worker stopped meanwhile
   */
  ask(recording, index, options) {
    return this.queue(this.asked, recording, index, options);
  }

  /**
   * Do something with a packed map when nobody waits for anything.
   * @param {number} recording @param {number} index @param {Options} options
   * @returns {Promise<any>} refused if the jobs are cleared before it begins
   */
  later(recording, index, options) {
    return this.queue(this.jobs, recording, index, options);
  }

  /**
   * @param {Job[]} jobs @param {number} recording @param {number} index @param {Options} options
   * @returns {Promise<any>}
   */
  queue(jobs, recording, index, options) {
    const task = async () => ({ ...options, bytes: await this.recordings[recording].bytes(index) });
    return new Promise((done, refused) => {
      // A sum of several maps is begun again by whoever asked for it; the rest is asked again here.
      const failed = (/** @type {Error} */ error) => (error.message === STOPPED && !options.sum ? begin() : refused(error));
      const begin = () => {
        jobs.push({ key: "", task, done, failed });
        this.pump();
      };
      begin();
    });
  }

  /** Forget the jobs that nobody waits for and that have not begun; their promises are refused. */
  clearJobs() {
    for (const job of this.jobs.splice(0)) job.failed(new Error("dropped"));
  }

  pump() {
    for (const [place, seat] of this.seats.entries()) {
      if (seat.busy) continue;
      const key = this.wanted.find((name) => !this.running.has(name));
      if (key) {
        this.wanted.splice(this.wanted.indexOf(key), 1);
        this.running.add(key);
        const [recording, index] = key.split("-").map(Number);
        const task = async () => ({
          bytes: await this.recordings[recording].bytes(index), into: this.spare.pop(),
        });
        const { era } = this;
        // A map that was replaced while it was decoded is decoded again.
        const done = (/** @type {Planes} */ answer) => (era === this.era ? this.keep(key, answer) : this.told(key));
        this.start(seat, { key, task, done, failed: (error) => error.message === STOPPED || this.failed(error.message) });
      } else if ((this.asked.length || this.jobs.length) && !this.background && (place === this.seats.length - 1)) {
        // One seat at most works in the background, always the same, which holds the sums.
        const job = /** @type {Job} */ (this.asked.shift() ?? this.jobs.shift());
        this.background++;
        this.start(seat, job, () => this.background--);
      }
    }
  }

  /**
   * @param {{worker: Worker | null, busy: boolean}} seat
   * @param {Job} job
   * @param {() => void} [after]
   */
  async start(seat, job, after) {
    seat.busy = true;
    try {
      const task = await job.task();
      const id = this.nextId++;
      if (seat.worker) {
        const { worker } = seat;
        /** @type {any} */
        const answer = await new Promise((done, failed) => {
          this.waiting.set(id, { done, failed });
          const moved = task.into ? [task.bytes.buffer, task.into.buffer] : [task.bytes.buffer];
          worker.postMessage({ ...task, id }, moved);
        });
        job.done(answer);
      } else {
        // A pause between two, so that the page stays responsive.
        await new Promise((done) => setTimeout(done, 0));
        job.done((await perform({ ...task, id }))[0]);
      }
    } catch (error) {
      job.failed(/** @type {Error} */ (error));
    } finally {
      seat.busy = false;
      this.running.delete(job.key);
      after?.();
      this.pump();
    }
  }

  /**
   * Forget the maps of a recording from one snapshot on, which were replaced.
   * @param {number} recording @param {number} from
   */
  forget(recording, from) {
    this.era++;
    for (const [key, planes] of this.maps) {
      const [r, i] = key.split("-").map(Number);
      if (r !== recording || i < from) continue;
      this.maps.delete(key);
      this.held -= planes.map.byteLength;
    }
  }

  /** @param {string} key @param {Planes} planes */
  keep(key, { map, classes, height, width }) {
    this.wanted = this.wanted.filter((name) => name !== key);
    this.held += map.byteLength - (this.maps.get(key)?.map.byteLength ?? 0);
    this.maps.delete(key);
    this.maps.set(key, { map, classes, height, width });
    for (const [oldest, old] of this.maps) {
      if (this.held <= BUDGET || this.maps.size <= 6) break;
      this.maps.delete(oldest);
      this.held -= old.map.byteLength;
      if (this.spare.length < 2) this.spare.push(old.map);
    }
    this.told(key);
  }
}
