/** Numbers from snapshots: of points, of classes, of lines. */

/**
 * When each point was first predicted correctly, and how often it was forgotten since.
 * @param {Uint16Array} predictions shape (snapshots, points); 65535 is unknown
 * @param {number[]} labels
 * @returns {{first: Int32Array, events: Int32Array}} first is a snapshot's index, -1 for never
 */
export function learning(predictions, labels) {
  const m = labels.length;
  const n = m ? predictions.length / m : 0;
  const first = new Int32Array(m).fill(-1);
  const events = new Int32Array(m);
  const before = new Int8Array(m).fill(-1);
  for (let s = 0; s < n; s++)
    for (let i = 0; i < m; i++) {
      const guess = predictions[s * m + i];
      if (guess === 65535) continue;
      const right = guess === labels[i] ? 1 : 0;
      if (right && first[i] < 0) first[i] = s;
      if (before[i] === 1 && !right) events[i]++;
      before[i] = right;
    }
  return { first, events };
}

/**
 * The share of correct predictions, or NaN where there are none.
 * @param {ArrayLike<number>} guesses
 * @param {number[]} labels
 */
export function accuracy(guesses, labels) {
  let [right, known] = [0, 0];
  for (let i = 0; i < labels.length; i++) {
    if (guesses[i] === 65535) continue;
    known++;
    if (guesses[i] === labels[i]) right++;
  }
  return known ? right / known : NaN;
}

/**
 * The relative luminance of an sRGB colour, 0 to 1 (WCAG 2).
 * @param {ArrayLike<number>} color three numbers up to 255
 */
export function luminance(color) {
  const [red, green, blue] = [0, 1, 2].map((k) => {
    const share = color[k] / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** @param {ArrayLike<number>} values */
export function argmax(values) {
  let found = 0;
  for (let k = 1; k < values.length; k++) if (values[k] > values[found]) found = k;
  return found;
}

/**
 * The averaged prediction of several snapshots: its entropy, split.
 * @param {{count: number, classes: number, total: Float32Array, entropy: Float32Array}} sums
 */
export function ensemble({ count, classes, total, entropy }) {
  const cells = entropy.length;
  const mean = total.map((sum) => sum / count);
  const whole = new Float32Array(cells);
  const unit = classes > 1 ? -1 / Math.log(classes) : 0;
  for (let k = 0; k < classes; k++)
    for (let i = 0; i < cells; i++) {
      const p = mean[k * cells + i];
      if (p > 1e-30) whole[i] += unit * p * Math.log(p);
    }
  const expected = entropy.map((sum) => sum / count);
  const mutual = whole.map((value, i) => Math.max(0, value - expected[i]));
  return { mean, total: whole, expected, mutual };
}

/** @param {ArrayLike<number>} values */
export function meanOf(values) {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return values.length ? sum / values.length : NaN;
}

/**
 * Places along a line, in grid coordinates: x, y, x, y, ...
 * @param {[number, number]} start @param {[number, number]} end @param {number} count
 */
export function placesAlong(start, end, count) {
  const places = [];
  for (let i = 0; i < count; i++) {
    const share = count > 1 ? i / (count - 1) : 0;
    places.push(start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1]));
  }
  return places;
}

/**
 * The share of each class in the area of a map.
 * @param {Float32Array} map @param {number} classes @param {number} cells
 */
export function areas(map, classes, cells) {
  const counts = new Float64Array(classes);
  let seen = 0;
  // Every seventh point is enough for a share that is told to a tenth of a percent or so.
  for (let i = 0; i < cells; i += cells > 40000 ? 7 : 1) {
    let [best, found] = [map[i], 0];
    for (let k = 1; k < classes; k++)
      if (map[k * cells + i] > best) [best, found] = [map[k * cells + i], k];
    counts[found]++;
    seen++;
  }
  return counts.map((count) => count / seen);
}
