/** Interpolate between snapshots as films do (trainviz/rendering/interpolation.py). */

import { mix } from "./paint.js";

/**
 * @param {"linear" | "geometric" | "smooth" | "none"} kind
 * @param {(Float32Array | null)[]} maps the one before, the two around, and the one after
 * @param {number} weight of the second of the two
 * @param {number} classes
 * @param {boolean} sums whether the classes of a point sum to 1
 * @param {Float32Array} out
 * @returns {Float32Array}
 */
export function interpolate(kind, maps, weight, classes, sums, out) {
  const [before, a, b, after] = maps;
  if (!a) throw new Error("there is no map");
  if (!b || a === b || weight === 0 || kind === "none") return a;
  if (kind === "geometric" && sums) return geometric(a, b, weight, classes, out);
  if (kind === "smooth") return smooth(before, a, b, after, weight, classes, sums, out);
  return mix(a, b, weight, out);
}

const TINY = 1.1754943508222875e-38;

/**
 * @param {Float32Array} a @param {Float32Array} b @param {number} weight
 * @param {number} classes @param {Float32Array} out
 */
function geometric(a, b, weight, classes, out) {
  for (let i = 0; i < a.length; i++) {
    const low = Math.log(Math.max(a[i], TINY));
    out[i] = Math.exp((Math.log(Math.max(b[i], TINY)) - low) * weight + low);
  }
  return normalised(out, classes);
}

/** @param {Float32Array} map @param {number} classes */
function normalised(map, classes) {
  const cells = map.length / classes;
  const total = new Float32Array(cells);
  for (let i = 0; i < map.length; i++) total[i % cells] += map[i];
  for (let i = 0; i < map.length; i++) map[i] /= total[i % cells];
  return map;
}

/**
 * A monotone cubic (Fritsch and Butland, 1984).
 * @param {Float32Array | null} before @param {Float32Array} a @param {Float32Array} b
 * @param {Float32Array | null} after @param {number} w @param {number} classes
 * @param {boolean} sums @param {Float32Array} out
 */
function smooth(before, a, b, after, w, classes, sums, out) {
  for (let i = 0; i < a.length; i++) {
    const step = b[i] - a[i];
    let [slope, next] = [step, step];
    if (before) slope = inner(a[i] - before[i], step);
    else if (after) slope = outer(step, after[i] - b[i]);
    if (after) next = inner(step, after[i] - b[i]);
    else if (before) next = outer(step, a[i] - before[i]);
    const square = 3 * step - 2 * slope - next;
    const cube = slope + next - 2 * step;
    const value = ((cube * w + square) * w + slope) * w + a[i];
    out[i] = sums && value < 0 ? 0 : value;
  }
  return sums ? normalised(out, classes) : out;
}

/** @param {number} left @param {number} right */
function inner(left, right) {
  const product = left * right;
  return product > 0 ? (2 * product) / (left + right) : 0;
}

/** @param {number} near @param {number} far */
function outer(near, far) {
  const slope = (3 * near - far) / 2;
  if (Math.sign(slope) !== Math.sign(near)) return 0;
  const steep = Math.sign(near) !== Math.sign(far) && Math.abs(slope) > 3 * Math.abs(near);
  return steep ? 3 * near : slope;
}
