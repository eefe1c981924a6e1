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
  const { levels } = latticeOf(height, width);
  const flags = levels.reduce((sum, level) => sum + ((level.points.length + 7) >> 3), 0);
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
  for (const { points } of latticeOf(height, width).levels) {
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

  const { levels } = latticeOf(packed.height, packed.width);
  for (let depth = 0; depth < levels.length; depth++) {
    const { points, line, cell } = levels[depth];
    if (!depth) {
      for (let i = 0; i < points.length; i++) {
        const p = points[i];
        if (ranks[p] < 0) throw new Error("a packed map lacks a point of its coarsest level");
        const v = valueOf(ranks[p], 0);
        whole[p] = v;
        numbers[p] = numberOf(v);
      }
      continue;
    }
    for (let i = 0; i < line.length; i += 5) {
      const p = line[i];
      const a = line[i + 1];
      const b = line[i + 2];
      const t = line[i + 3];
      const d = line[i + 4];
      const low = whole[a];
      const guess = low + Math.floor(((whole[b] - low) * t + (d >> 1)) / d);
      const rank = ranks[p];
      if (rank < 0) {
        whole[p] = guess;
        numbers[p] = numbers[a] + ((numbers[b] - numbers[a]) * t) / d;
      } else {
        const v = valueOf(rank, guess);
        whole[p] = v;
        numbers[p] = numberOf(v);
      }
    }
    for (let i = 0; i < cell.length; i += 9) {
      const p = cell[i];
      const a = cell[i + 1];
      const b = cell[i + 2];
      const c = cell[i + 3];
      const e = cell[i + 4];
      const x = cell[i + 5];
      const dx = cell[i + 6];
      const y = cell[i + 7];
      const dy = cell[i + 8];
      const low = whole[a] + Math.floor(((whole[b] - whole[a]) * x + (dx >> 1)) / dx);
      const high = whole[c] + Math.floor(((whole[e] - whole[c]) * x + (dx >> 1)) / dx);
      const guess = low + Math.floor(((high - low) * y + (dy >> 1)) / dy);
      const rank = ranks[p];
      if (rank < 0) {
        const under = numbers[a] + ((numbers[b] - numbers[a]) * x) / dx;
        const over = numbers[c] + ((numbers[e] - numbers[c]) * x) / dx;
        whole[p] = guess;
        numbers[p] = under + ((over - under) * y) / dy;
      } else {
        const v = valueOf(rank, guess);
        whole[p] = v;
        numbers[p] = numberOf(v);
      }
    }
  }
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

const STEPS = 1024;
const LOWEST = -30;
/** @type {Float64Array | null} */
let exps = null;

/**
 * Turn logarithms into probabilities that sum to 1, in place.
 * @param {Float32Array} map
 * @param {number} classes
 * @param {number} cells
 */
export function normalise(map, classes, cells) {
  // A table and one term of the series are good to 1e-7, and several times as fast as Math.exp.
  exps ??= Float64Array.from({ length: STEPS * -LOWEST + 2 }, (_, i) => Math.exp(LOWEST + i / STEPS));
  const table = exps;
  const total = new Float32Array(cells);
  for (let k = 0; k < classes; k++) {
    const start = k * cells;
    for (let i = 0; i < cells; i++) {
      const v = map[start + i];
      let e;
      if (v >= LOWEST && v <= 0) {
        const at = (v - LOWEST) * STEPS + 0.5;
        const step = at | 0;
        const rest = (at - 0.5 - step) / STEPS;
        e = table[step] * (1 + rest + 0.5 * rest * rest);
      } else e = Math.exp(v);
      map[start + i] = e;
      total[i] += e;
    }
  }
  for (let i = 0; i < cells; i++) total[i] = 1 / total[i];
  for (let k = 0; k < classes; k++) {
    const start = k * cells;
    for (let i = 0; i < cells; i++) map[start + i] *= total[i];
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
