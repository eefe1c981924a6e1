/** Paint a map. The loops equal those of trainviz/modes/kernels.py. Colours are 0xAABBGGRR. */

/**
 * @typedef {object} Planes A map, shape (classes, height, width), row 0 at the lower end.
 * @property {Float32Array} map
 * @property {number} classes
 * @property {number} height
 * @property {number} width
 */

const OPAQUE = 0xff000000;

/**
 * @param {ArrayLike<number>} rgb
 * @param {number} [at]
 */
export function wordOf(rgb, at = 0) {
  return (OPAQUE | (rgb[at + 2] << 16) | (rgb[at + 1] << 8) | rgb[at]) >>> 0;
}

/**
 * The 256 colours from one to another.
 * @param {ArrayLike<number>} ground
 * @param {ArrayLike<number>} color
 */
export function rampWords(ground, color) {
  return Uint32Array.from({ length: 256 }, (_, i) =>
    wordOf([0, 1, 2].map((c) => roundHalfEven(ground[c] + ((color[c] - ground[c]) * i) / 255))));
}

const PALEST = 0.18;
const FULL = 0.72;
export const SHADES = 64;

/**
 * Return the shades of every class, RGB, as the mode Region has them.
 * @param {number[][]} colors
 * @param {number[]} ground
 * @param {boolean} shade
 * @param {Set<number>} [hidden] classes that have the ground's colour
 */
export function shadesOf(colors, ground, shade, hidden = new Set()) {
  const levels = shade ? SHADES : 1;
  const table = new Uint8Array(3 * levels * colors.length);
  colors.forEach((color, k) => {
    for (let level = 0; level < levels; level++) {
      const strength = shade ? PALEST + ((FULL - PALEST) * level) / (levels - 1) : 1;
      for (let c = 0; c < 3; c++) {
        const to = hidden.has(k) ? ground[c] : color[c];
        table[3 * (k * levels + level) + c] = roundHalfEven(ground[c] + (to - ground[c]) * strength);
      }
    }
  });
  return { table, levels };
}

/** @param {number} value */
export function roundHalfEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/**
 * Interpolate two maps linearly; without a weight, the first itself.
 * @param {Float32Array} a
 * @param {Float32Array} b
 * @param {number} weight
 * @param {Float32Array} out
 */
export function mix(a, b, weight, out) {
  if (a === b || !weight) return a;
  for (let i = 0; i < a.length; i++) out[i] = (b[i] - a[i]) * weight + a[i];
  return out;
}

/**
 * Find the highest class of each pixel, and its probability.
 * @param {Float32Array} map
 * @param {number} classes
 * @param {Float32Array} best
 * @param {Uint16Array} label
 */
export function findHighest(map, classes, best, label) {
  const cells = best.length;
  best.set(map.subarray(0, cells));
  label.fill(0);
  for (let k = 1; k < classes; k++) {
    const start = k * cells;
    for (let i = 0; i < cells; i++) {
      const value = map[start + i];
      if (value > best[i]) {
        best[i] = value;
        label[i] = k;
      }
    }
  }
}

/**
 * Merge all classes but some into one more, whose probability is their highest.
 * @param {Planes} planes
 * @param {number[]} kept ascending
 * @param {Float32Array} out shape (kept.length + 1, height, width)
 * @returns {Planes}
 */
export function grouped({ map, classes, height, width }, kept, out) {
  const cells = height * width;
  const others = out.subarray(kept.length * cells, (kept.length + 1) * cells).fill(0);
  for (let k = 0; k < classes; k++) {
    const plane = map.subarray(k * cells, (k + 1) * cells);
    const place = kept.indexOf(k);
    if (place >= 0) out.set(plane, place * cells);
    else for (let i = 0; i < cells; i++) if (plane[i] > others[i]) others[i] = plane[i];
  }
  return { map: out, classes: kept.length + 1, height, width };
}

/**
 * By how much each class that is the highest somewhere leads the others; 0 on its border.
 * @param {Planes} planes
 * @returns {Float32Array[]}
 */
export function leads({ map, classes, height, width }) {
  const cells = height * width;
  const [best, label] = [new Float32Array(cells), new Uint16Array(cells)];
  findHighest(map, classes, best, label);
  const second = new Float32Array(cells);
  for (let k = 0; k < classes; k++)
    for (let i = 0; i < cells; i++)
      if (label[i] !== k && map[k * cells + i] > second[i]) second[i] = map[k * cells + i];
  return [...new Set(label)].sort((a, b) => a - b).map((k) =>
    Float32Array.from(label, (found, i) => map[k * cells + i] - (found === k ? second[i] : best[i])));
}

/** Buffers that are kept from one picture to the next. */
class Scratch {
  constructor() {
    this.size = 0;
    this.best = new Float32Array(0);
    this.label = new Uint16Array(0);
    this.level = new Uint8Array(0);
  }

  /** @param {number} size */
  fit(size) {
    if (this.size === size) return this;
    this.size = size;
    this.best = new Float32Array(size);
    this.label = new Uint16Array(size);
    this.level = new Uint8Array(size);
    return this;
  }
}

const scratch = new Scratch();

/**
 * Paint the class of every pixel, and mix the colours of the classes along borders by area.
 * @param {Planes} planes row 0 of the map becomes the last of the picture
 * @param {Uint8Array} colors the shades of every class
 * @param {number} levels shades a class
 * @param {Uint32Array} picture
 * @param {number} total the number of all classes
 * @param {[number, number]} [rows] which rows of the map are painted
 */
export function paintRegions(planes, colors, levels, picture, total, rows) {
  const { map, classes, height, width } = planes;
  const [first, end] = rows ?? [0, height];
  const cells = height * width;
  const { best, label, level } = scratch.fit(cells);
  findHighest(map, classes, best, label);
  const low = Math.fround(1 / total);
  const factor = total > 1 ? Math.fround((levels - 1) / (1 - 1 / total)) : 0;
  const words = new Uint32Array(colors.length / 3);
  for (let i = 0; i < words.length; i++) words[i] = wordOf(colors, 3 * i);
  for (let i = 0; i < cells; i++) {
    const found = Math.fround(Math.fround(best[i] - low) * factor);
    level[i] = found > 0 ? (found < levels - 1 ? (found + 0.5) | 0 : levels - 1) : 0;
  }
  for (let y = first; y < end; y++) {
    const to = (end - 1 - y) * width;
    const here = y * width;
    for (let x = 0; x < width; x++) picture[to + x] = words[label[here + x] * levels + level[here + x]];
    const below = y > 0 ? here - width : here;
    const above = y + 1 < height ? here + width : here;
    for (let x = 0; x < width; x++) {
      const own = label[here + x];
      const l = x > 0 ? x - 1 : x;
      const r = x + 1 < width ? x + 1 : x;
      if (
        label[here + l] !== own || label[here + r] !== own || label[below + x] !== own ||
        label[above + x] !== own || label[below + l] !== own || label[below + r] !== own ||
        label[above + l] !== own || label[above + r] !== own
      )
        picture[to + x] = smoothed(
          map, cells, label, below, here, above, l, x, r, colors, levels, level[here + x],
        );
    }
  }
}

const won = new Float64Array(16);
const winner = new Int32Array(16);
const lines = new Float64Array(12);
const around = new Int32Array(9);

/**
 * Return the colour of a border pixel: the mean of 16 sub-samples.
 * @param {Float32Array} map @param {number} cells @param {Uint16Array} label
 * @param {number} below @param {number} here @param {number} above
 * @param {number} l @param {number} x @param {number} r
 * @param {Uint8Array} colors @param {number} levels @param {number} shade
 */
function smoothed(map, cells, label, below, here, above, l, x, r, colors, levels, shade) {
  around[0] = label[below + l];
  around[1] = label[below + x];
  around[2] = label[below + r];
  around[3] = label[here + l];
  around[4] = label[here + x];
  around[5] = label[here + r];
  around[6] = label[above + l];
  around[7] = label[above + x];
  around[8] = label[above + r];
  let done = -1;
  for (;;) {
    // Ascending, so that the lowest class wins a tie.
    let k = 65536;
    for (let i = 0; i < 9; i++) if (around[i] > done && around[i] < k) k = around[i];
    if (k === 65536) break;
    const start = k * cells;
    for (let i = 0; i < 3; i++) {
      const row = start + (i === 0 ? below : i === 1 ? here : above);
      const before = map[row + l];
      const at = map[row + x];
      const after = map[row + r];
      lines[4 * i] = before * 0.375 + at * 0.625;
      lines[4 * i + 1] = before * 0.125 + at * 0.875;
      lines[4 * i + 2] = at * 0.875 + after * 0.125;
      lines[4 * i + 3] = at * 0.625 + after * 0.375;
    }
    for (let j = 0; j < 4; j++) {
      const before = lines[j];
      const at = lines[4 + j];
      const after = lines[8 + j];
      for (let i = 0; i < 4; i++) {
        const value =
          i === 0 ? before * 0.375 + at * 0.625
          : i === 1 ? before * 0.125 + at * 0.875
          : i === 2 ? at * 0.875 + after * 0.125
          : at * 0.625 + after * 0.375;
        const s = 4 * i + j;
        if (done < 0 || value > won[s]) {
          won[s] = value;
          winner[s] = k;
        }
      }
    }
    done = k;
  }
  let [red, green, blue] = [8, 8, 8];
  for (let s = 0; s < 16; s++) {
    const at = 3 * (winner[s] * levels + shade);
    red += colors[at];
    green += colors[at + 1];
    blue += colors[at + 2];
  }
  return (OPAQUE | ((blue >> 4) << 16) | ((green >> 4) << 8) | (red >> 4)) >>> 0;
}

/**
 * Paint one quantity with a table of 256 colours.
 * @param {Float32Array} values shape (height, width)
 * @param {number} height
 * @param {number} width
 * @param {number} low
 * @param {number} high
 * @param {Uint32Array} words
 * @param {Uint32Array} picture
 * @param {[number, number]} [rows]
 */
export function paintScale(values, height, width, low, high, words, picture, rows) {
  const [first, end] = rows ?? [0, height];
  const from = Math.fround(low);
  const factor = Math.fround(255 / (high - low));
  for (let y = first; y < end; y++) {
    const to = (end - 1 - y) * width;
    const here = y * width;
    for (let x = 0; x < width; x++) {
      const found = Math.fround(Math.fround(values[here + x] - from) * factor);
      picture[to + x] = words[found > 0 ? (found < 255 ? (found + 0.5) | 0 : 255) : 0];
    }
  }
}

/**
 * The quantities that modes show: (map, classes, cells, options) to one number a pixel.
 * @type {Record<string, (map: Float32Array, classes: number, out: Float32Array,
 *   options: {of?: number, other?: Float32Array | null}) => Float32Array>}
 */
export const QUANTITIES = {
  boundary(map, classes, out) {
    const cells = out.length;
    out.set(map.subarray(0, cells));
    for (let k = 1; k < classes; k++) {
      const start = k * cells;
      for (let i = 0; i < cells; i++) if (map[start + i] > out[i]) out[i] = map[start + i];
    }
    return out;
  },
  entropy(map, classes, out) {
    const cells = out.length;
    out.fill(0);
    const unit = classes > 1 ? -1 / Math.log(classes) : 0;
    for (let k = 0; k < classes; k++) {
      const start = k * cells;
      for (let i = 0; i < cells; i++) {
        const p = map[start + i];
        if (p > 1e-5) out[i] += unit * p * Math.log(p);
      }
    }
    return out;
  },
  margin(map, classes, out) {
    const cells = out.length;
    for (let i = 0; i < cells; i++) {
      let [first, second] = [0, 0];
      for (let k = 0, at = i; k < classes; k++, at += cells) {
        const p = map[at];
        if (p > first) [first, second] = [p, first];
        else if (p > second) second = p;
      }
      out[i] = first - second;
    }
    return out;
  },
  probability(map, classes, out, { of = 0 }) {
    const cells = out.length;
    out.set(map.subarray(of * cells, (of + 1) * cells));
    return out;
  },
  values(map, classes, out) {
    out.set(map.subarray(0, out.length));
    return out;
  },
  difference(map, classes, out, { of = -1, other }) {
    if (of < 0) return QUANTITIES.change(map, classes, out, { other });
    const start = of * out.length;
    out.fill(0);
    if (other) for (let i = 0; i < out.length; i++) out[i] = map[start + i] - other[start + i];
    return out;
  },
  change(map, classes, out, { other }) {
    const cells = out.length;
    out.fill(0);
    if (!other || other === map) return out;
    for (let k = 0; k < classes; k++) {
      const start = k * cells;
      for (let i = 0; i < cells; i++) {
        const difference = map[start + i] - other[start + i];
        out[i] += difference < 0 ? -0.5 * difference : 0.5 * difference;
      }
    }
    return out;
  },
};

/**
 * @typedef {object} Window A part of the map in grid coordinates.
 * @property {number} x0 @property {number} y0 @property {number} x1 @property {number} y1
 */

/**
 * Move a place to the nearest grid line of its band, since nothing lies between two categories.
 * @param {number} at in grid coordinates
 * @param {number} lines of the grid
 * @param {number} bands
 */
export function inBand(at, lines, bands) {
  if (!bands) return at;
  const each = lines / bands;
  const band = Math.max(0, Math.min(bands - 1, Math.floor((at / (lines - 1)) * bands)));
  return Math.max(band * each, Math.min((band + 1) * each - 1, at));
}

/**
 * Interpolate rows of a window of a map at the centres of pixels, bilinearly.
 * @param {Planes} planes
 * @param {Window} window
 * @param {number} height of the whole picture
 * @param {number} width
 * @param {number} first row of the picture, counted from below
 * @param {number} end
 * @param {Float32Array} out shape (classes, end - first, width)
 * @param {[number, number]} [bands] of categories along x and y, which are not mixed
 */
export function resample(planes, window, height, width, first, end, out, bands = [0, 0]) {
  const { map, classes } = planes;
  const [lines, columns] = [planes.height, planes.width];
  const cells = lines * columns;
  const left = new Int32Array(width);
  const share = new Float32Array(width);
  for (let i = 0; i < width; i++) {
    const at = inBand(window.x0 + ((i + 0.5) / width) * (window.x1 - window.x0), columns, bands[0]);
    left[i] = Math.max(0, Math.min(columns - 2, Math.floor(at)));
    share[i] = Math.max(0, Math.min(1, at - left[i]));
  }
  const row = new Float32Array(columns);
  const [from, to] = [left[0], Math.min(columns, left[width - 1] + 2)];
  for (let k = 0; k < classes; k++)
    for (let y = first; y < end; y++) {
      const at = inBand(window.y0 + ((y + 0.5) / height) * (window.y1 - window.y0), lines, bands[1]);
      const line = Math.max(0, Math.min(lines - 2, Math.floor(at)));
      const weight = Math.max(0, Math.min(1, at - line));
      const low = k * cells + line * columns;
      for (let x = from; x < to; x++)
        row[x] = (map[low + columns + x] - map[low + x]) * weight + map[low + x];
      const target = (k * (end - first) + y - first) * width;
      for (let x = 0; x < width; x++) {
        const a = row[left[x]];
        out[target + x] = (row[left[x] + 1] - a) * share[x] + a;
      }
    }
}

/**
 * Interpolate all classes at one place, in grid coordinates.
 * @param {Planes} planes
 * @param {number} x
 * @param {number} y
 */
export function valuesAt({ map, classes, height, width }, x, y) {
  const column = Math.max(0, Math.min(width - 2, Math.floor(x)));
  const line = Math.max(0, Math.min(height - 2, Math.floor(y)));
  const [u, v] = [Math.max(0, Math.min(1, x - column)), Math.max(0, Math.min(1, y - line))];
  const found = new Float32Array(classes);
  for (let k = 0; k < classes; k++) {
    const at = k * height * width + line * width + column;
    const low = map[at] + (map[at + 1] - map[at]) * u;
    const high = map[at + width] + (map[at + width + 1] - map[at + width]) * u;
    found[k] = low + (high - low) * v;
  }
  return found;
}
