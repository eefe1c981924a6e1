/** Decode a packed map; docs/format.md describes the bytes. */

import { inflate } from "./bytes.js";
import { latticeOf } from "./lattice.js";

/**
 * @typedef {object} Packed A packed map after inflating.
 * @property {number} classes
 * @property {number} height
 * @property {number} width
 * @property {boolean} isLog
 * @property {number} bits
 * @property {boolean} quantised
 * @property {number} scale
 * @property {number} known the number of known points
 * @property {Uint8Array | null} positions null if all points are known
 * @property {Uint8Array} residuals in byte planes
 */

const HEADER = 36;

/**
 * Read the header, and inflate what follows.
 * @param {Uint8Array} bytes
 * @param {number} [maxBytes] of the whole map as 32-bit floats
 * @returns {Promise<Packed>}
 */
export async function open(bytes, maxBytes = 2 ** 30) {
  if (bytes.length < HEADER) throw new Error("it is too short for a packed map");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [version, isLog, bits, quantised] = [4, 5, 6, 7].map((at) => view.getUint8(at));
  const [classes, height, width, known] = [8, 12, 16, 20].map((at) => view.getUint32(at, true));
  const scale = view.getFloat32(24, true);
  const length = view.getUint32(28, true);
  const facts = view.getUint32(32, true);
  const isMagic = [84, 86, 83, 77].every((code, i) => bytes[i] === code);
  if (!isMagic || version !== 1 || (bits !== 16 && bits !== 32) || isLog > 1 || quantised > 1)
    throw new Error("it is no packed map of version 1");
  const cells = height * width;
  if (Math.min(height, width) < 2 || known < 1 || known > cells || classes < 1)
    throw new Error(`a packed map of the shape ${classes}, ${height}, ${width}`);
  if (4 * classes * cells > maxBytes) throw new Error("a packed map that is too large");
  const start = HEADER + facts;
  const { points } = latticeOf(height, width);
  const flags = points.reduce((sum, level) => sum + ((level.length + 7) >> 3), 0);
  const [positions, residuals] = await Promise.all([
    length ? inflate(bytes.subarray(start, start + length), flags) : null,
    inflate(bytes.subarray(start + length), (classes * known * bits) / 8),
  ]);
  return {
    classes, height, width, isLog: !!isLog, bits, quantised: !!quantised, scale, known,
    positions, residuals,
  };
}

/**
 * Return of every grid point the place of its residual, in the order of the levels, or -1.
 * @param {Packed} packed
 */
export function ranksOf({ height, width, positions, known }) {
  const ranks = new Int32Array(height * width).fill(-1);
  let [rank, at] = [0, 0];
  for (const points of latticeOf(height, width).points) {
    for (let i = 0; i < points.length; i++)
      if (!positions || (positions[at + (i >> 3)] >> (7 - (i & 7))) & 1) ranks[points[i]] = rank++;
    at += (points.length + 7) >> 3;
  }
  if (rank !== known) throw new Error("the positions of a packed map are not as its header says");
  return ranks;
}

/**
 * Undo the prediction of one class.
 * @param {Packed} packed
 * @param {Int32Array} ranks
 * @param {number} k the class
 * @param {Int32Array} whole the integers of all grid points, written
 * @param {Float32Array} numbers what they stand for, written; unknown points are interpolated
 */
function decodeClass(packed, ranks, k, whole, numbers) {
  const { residuals, known, classes, bits, quantised, scale } = packed;
  const start = k * known;
  const plane = classes * known;
  const is16 = bits === 16;
  const toNumber = quantised ? null : is16 ? halves() : null;
  const word = new Int32Array(1);
  const real = new Float32Array(word.buffer);

  /** @param {number} rank @param {number} guess */
  function valueOf(rank, guess) {
    const i = start + rank;
    if (is16) {
      const r = residuals[i] | (residuals[i + plane] << 8);
      return ((guess + ((r >>> 1) ^ -(r & 1))) << 16) >> 16;
    }
    const r =
      residuals[i] | (residuals[i + plane] << 8) | (residuals[i + 2 * plane] << 16) |
      (residuals[i + 3 * plane] << 24);
    return (guess + ((r >>> 1) ^ -(r & 1))) | 0;
  }

  /** @param {number} v */
  function numberOf(v) {
    if (quantised) return v / scale;
    if (toNumber) return toNumber[v < 0 ? (-1 - v) | 0x8000 : v];
    word[0] = v < 0 ? (-1 - v) | 0x80000000 : v;
    return real[0];
  }

  const { width } = packed;
  const { depths, rows, columns, points } = latticeOf(packed.height, width);
  for (const p of points[0]) {
    if (ranks[p] < 0) throw new Error("a packed map lacks a point of its coarsest level");
    whole[p] = valueOf(ranks[p], 0);
    numbers[p] = numberOf(whole[p]);
  }
  for (let depth = 1; depth < depths; depth++) {
    // Nothing is predicted from the finest level, so its unknown points need no integers.
    const finest = depth === depths - 1;
    const fresh = columns.fresh[depth];
    const shares = Float64Array.from(fresh, (x) => (x - columns.before[x]) / (columns.after[x] - columns.before[x]));
    for (const y of rows.old[depth]) {
      const row = y * width;
      for (let i = 0; i < fresh.length; i++) {
        const x = fresh[i];
        const p = row + x;
        const before = columns.before[x];
        const after = columns.after[x];
        const low = numbers[row + before];
        const rank = ranks[p];
        if (rank < 0) numbers[p] = low + (numbers[row + after] - low) * shares[i];
        if (rank < 0 && finest) continue;
        whole[p] = mixed(whole[row + before], whole[row + after], x - before, after - before);
        if (rank >= 0) {
          whole[p] = valueOf(rank, whole[p]);
          numbers[p] = numberOf(whole[p]);
        }
      }
    }
    for (const y of rows.fresh[depth]) {
      const row = y * width;
      const under = rows.before[y] * width;
      const over = rows.after[y] * width;
      const t = y - rows.before[y];
      const d = rows.after[y] - rows.before[y];
      const share = t / d;
      for (const x of columns.old[depth]) {
        const p = row + x;
        const low = numbers[under + x];
        const rank = ranks[p];
        if (rank < 0) numbers[p] = low + (numbers[over + x] - low) * share;
        if (rank < 0 && finest) continue;
        whole[p] = mixed(whole[under + x], whole[over + x], t, d);
        if (rank >= 0) {
          whole[p] = valueOf(rank, whole[p]);
          numbers[p] = numberOf(whole[p]);
        }
      }
      for (let i = 0; i < fresh.length; i++) {
        const x = fresh[i];
        const p = row + x;
        const before = columns.before[x];
        const after = columns.after[x];
        const rank = ranks[p];
        if (rank < 0) {
          const part = shares[i];
          const a = numbers[under + before];
          const b = numbers[over + before];
          const low = a + (numbers[under + after] - a) * part;
          numbers[p] = low + (b + (numbers[over + after] - b) * part - low) * share;
          if (finest) continue;
        }
        const at = x - before;
        const gap = after - before;
        const low = mixed(whole[under + before], whole[under + after], at, gap);
        const high = mixed(whole[over + before], whole[over + after], at, gap);
        whole[p] = mixed(low, high, t, d);
        if (rank >= 0) {
          whole[p] = valueOf(rank, whole[p]);
          numbers[p] = numberOf(whole[p]);
        }
      }
    }
  }
}

/**
 * Interpolate in integers. @param {number} low @param {number} high @param {number} t
 * @param {number} d
 */
function mixed(low, high, t, d) {
  return low + Math.floor(((high - low) * t + (d >> 1)) / d);
}

/**
 * Decode the values at the known points, shape (classes, known), in the order of the grid.
 * @param {Uint8Array} bytes
 */
export async function decodeValues(bytes) {
  const packed = await open(bytes);
  const ranks = ranksOf(packed);
  const cells = packed.height * packed.width;
  const points = new Int32Array(packed.known);
  for (let p = 0, n = 0; p < cells; p++) if (ranks[p] >= 0) points[n++] = p;
  const values = new Float32Array(packed.classes * packed.known);
  const [whole, numbers] = [new Int32Array(cells), new Float32Array(cells)];
  for (let k = 0; k < packed.classes; k++) {
    decodeClass(packed, ranks, k, whole, numbers);
    for (let n = 0; n < points.length; n++) values[k * packed.known + n] = numbers[points[n]];
  }
  return { packed, points, values };
}

/** @type {Int32Array} */
let wholeBuffer = new Int32Array(0);

/**
 * Decode the whole map: class probabilities, or values, shape (classes, height, width).
 * @param {Uint8Array} bytes
 * @param {Float32Array} [into] is used if its length fits
 */
export async function decodeMap(bytes, into) {
  const packed = await open(bytes);
  const cells = packed.height * packed.width;
  const size = packed.classes * cells;
  const map = into && into.length === size ? into : new Float32Array(size);
  if (wholeBuffer.length < cells) wholeBuffer = new Int32Array(cells);
  const ranks = ranksOf(packed);
  for (let k = 0; k < packed.classes; k++)
    decodeClass(packed, ranks, k, wholeBuffer, map.subarray(k * cells, (k + 1) * cells));
  if (packed.isLog) normalise(map, packed.classes, cells);
  return { classes: packed.classes, height: packed.height, width: packed.width, map };
}

const STEPS = 512;
const LOWEST = -30;
/** @type {Float32Array | null} */
let exps = null;

/** exp at every step from LOWEST to 0, and how much it grows until the next. */
function expTable() {
  if (exps) return exps;
  const count = -LOWEST * STEPS + 1;
  exps = new Float32Array(2 * count);
  for (let i = 0; i < count; i++) {
    const value = Math.exp(LOWEST + i / STEPS);
    exps[2 * i] = value;
    exps[2 * i + 1] = value * Math.expm1(1 / STEPS);
  }
  return exps;
}

/**
 * Turn logarithms into probabilities that sum to 1, in place.
 * @param {Float32Array} map
 * @param {number} classes
 * @param {number} cells
 */
export function normalise(map, classes, cells) {
  // Interpolated in a table, exp is good to 5e-7, and several times as fast as Math.exp.
  const table = expTable();
  const block = 2048;
  const total = new Float32Array(block);
  // Some points at a time, so that what is read twice is still in the cache.
  for (let first = 0; first < cells; first += block) {
    const count = Math.min(block, cells - first);
    total.fill(0);
    for (let k = 0; k < classes; k++) {
      const part = map.subarray(k * cells + first, k * cells + first + count);
      for (let i = 0; i < count; i++) {
        const at = (part[i] - LOWEST) * STEPS;
        const step = at | 0;
        const e =
          at >= 0 && at <= -LOWEST * STEPS
            ? table[2 * step] + table[2 * step + 1] * (at - step)
            : Math.exp(part[i]);
        part[i] = e;
        total[i] += e;
      }
    }
    for (let i = 0; i < count; i++) total[i] = 1 / total[i];
    for (let k = 0; k < classes; k++) {
      const part = map.subarray(k * cells + first, k * cells + first + count);
      for (let i = 0; i < count; i++) part[i] *= total[i];
    }
  }
}

/** @type {Float32Array | null} */
let halfTable = null;

/** The numbers that the 65,536 half-precision patterns stand for. */
function halves() {
  if (halfTable) return halfTable;
  halfTable = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
    let value = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
    if (exponent === 31) value = fraction ? NaN : Infinity;
    halfTable[bits] = bits & 0x8000 ? -value : value;
  }
  return halfTable;
}
