/** What is done beside the page, in a worker: decode maps, and gather numbers from them. */

import { decodeMap } from "./decode.js";
import { valuesAt } from "./paint.js";

/**
 * @typedef {object} Task
 * @property {number} id
 * @property {Uint8Array} bytes a packed map
 * @property {Float32Array} [into] a map that is no longer needed
 * @property {number[]} [places] x, y, x, y, ... in grid coordinates: sample there
 * @property {number} [stride] also return the classes of every so many grid lines
 * @property {string} [sum] also add the map to the sums of this name
 * @property {boolean} [fresh] begin these sums anew
 * @property {boolean} [quiet] do not return the sums yet
 */

/** @typedef {ReturnType<typeof newSums>} Sums */

/** What an error says if the worker that held the sums is gone: whoever asked begins again. */
export const STOPPED = "the worker stopped";

/** @type {Map<string, Sums>} */
const sums = new Map();

/** @param {number} classes @param {number} height @param {number} width */
function newSums(classes, height, width) {
  return {
    count: 0,
    classes,
    height,
    width,
    total: new Float32Array(classes * height * width),
    entropy: new Float32Array(height * width),
    changes: new Float32Array(height * width),
    label: new Uint16Array(height * width),
  };
}

/**
 * Add a map to the sums of a range of snapshots.
 * @param {Sums} into
 * @param {Float32Array} map
 */
export function accumulate(into, map) {
  const { classes, total, entropy, changes, label } = into;
  const cells = entropy.length;
  const unit = classes > 1 ? -1 / Math.log(classes) : 0;
  for (let k = 0; k < classes; k++) {
    const start = k * cells;
    for (let i = 0; i < cells; i++) {
      const p = map[start + i];
      total[start + i] += p;
      if (p > 1e-30) entropy[i] += unit * p * Math.log(p);
    }
  }
  for (let i = 0; i < cells; i++) {
    let [best, found] = [map[i], 0];
    for (let k = 1; k < classes; k++) {
      if (map[k * cells + i] > best) {
        best = map[k * cells + i];
        found = k;
      }
    }
    if (into.count && found !== label[i]) changes[i]++;
    label[i] = found;
  }
  into.count++;
}

/**
 * The classes of every so many grid lines.
 * @param {Float32Array} map @param {number} classes @param {number} height @param {number} width
 * @param {number} stride
 */
export function coarseLabels(map, classes, height, width, stride) {
  const [rows, columns] = [Math.ceil(height / stride), Math.ceil(width / stride)];
  const labels = new Uint8Array(rows * columns);
  const cells = height * width;
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const at = y * stride * width + x * stride;
      let [best, found] = [map[at], 0];
      for (let k = 1; k < classes; k++)
        if (map[k * cells + at] > best) [best, found] = [map[k * cells + at], k];
      labels[y * columns + x] = found;
    }
  return labels;
}

/**
 * @param {Task} task
 * @returns {Promise<[any, ArrayBuffer[]]>} the answer, and the buffers that move with it
 */
export async function perform(task) {
  const decoded = await decodeMap(task.bytes, task.into);
  const { map, classes, height, width } = decoded;
  /** @type {any} */
  const answer = { id: task.id };
  const moved = [];
  if (task.places) {
    const samples = new Float32Array((task.places.length / 2) * classes);
    for (let i = 0; 2 * i < task.places.length; i++)
      samples.set(valuesAt(decoded, task.places[2 * i], task.places[2 * i + 1]), i * classes);
    answer.samples = samples;
  }
  if (task.stride) answer.labels = coarseLabels(map, classes, height, width, task.stride);
  if (task.sum) {
    if (task.fresh) {
      // Sums that were given up are let go.
      if (sums.size > 2) sums.delete(/** @type {string} */ (sums.keys().next().value));
      sums.set(task.sum, newSums(classes, height, width));
    }
    const held = sums.get(task.sum);
    if (!held) throw new Error(STOPPED);
    accumulate(held, map);
    // The sums are large, and wanted only once.
    if (!task.quiet) {
      answer.sums = held;
      sums.delete(task.sum);
    }
  }
  // The map itself travels only if the task is to decode it.
  if (!task.places && !task.stride && !task.sum) {
    Object.assign(answer, decoded);
    moved.push(/** @type {ArrayBuffer} */ (map.buffer));
  }
  return [answer, moved];
}

/** @param {any} scope the global scope of a worker */
export function listen(scope) {
  scope.onmessage = async (/** @type {MessageEvent} */ event) => {
    try {
      const [answer, moved] = await perform(event.data);
      scope.postMessage(answer, moved);
    } catch (error) {
      scope.postMessage({ id: event.data.id, error: String(/** @type {any} */ (error)?.message ?? error) });
    }
  };
}
