/** The nested lattices of a grid, as docs/format.md describes them. */

/**
 * @typedef {object} Axis The lines along an axis.
 * @property {Int32Array} level at which each line is new
 * @property {Int32Array} before the line before it on that level
 * @property {Int32Array} after
 * @property {Int32Array[]} fresh the lines that are new on each level
 * @property {Int32Array[]} old those of the levels before
 */

/**
 * @typedef {object} Lattice
 * @property {number} depths how many levels there are
 * @property {Axis} rows
 * @property {Axis} columns
 * @property {Int32Array[]} points the flat indices of the points that are new on each level
 */

/**
 * @param {number} n lines
 * @param {number} stride
 * @returns {Axis}
 */
export function axisOf(n, stride) {
  const level = new Int32Array(n).fill(-1);
  const before = new Int32Array(n);
  const after = new Int32Array(n);
  const count = Math.max(1, Math.ceil((n - 1) / stride));
  /** @type {number[]} */
  let lines = [];
  for (let i = 0; i <= count; i++) {
    const line = Math.floor((2 * i * (n - 1) + count) / (2 * count));
    lines.push(line);
    if (level[line] < 0) [level[line], before[line], after[line]] = [0, line, line];
  }
  for (let s = stride, depth = 1; s > 1; s /= 2, depth++) {
    /** @type {number[]} */
    const finer = [lines[0]];
    for (let i = 0; i + 1 < lines.length; i++) {
      const [a, b] = [lines[i], lines[i + 1]];
      const middle = (a + b) >> 1;
      if (level[middle] < 0) [level[middle], before[middle], after[middle]] = [depth, a, b];
      finer.push(middle, b);
    }
    lines = finer;
  }
  const depths = Math.log2(stride) + 1;
  const picked = (/** @type {(line: number) => boolean} */ wanted) =>
    Int32Array.from({ length: n }, (_, line) => line).filter(wanted);
  const fresh = Array.from({ length: depths }, (_, depth) => picked((line) => level[line] === depth));
  const old = Array.from({ length: depths }, (_, depth) => picked((line) => level[line] < depth));
  return { level, before, after, fresh, old };
}

/** @type {Map<string, Lattice>} */
const lattices = new Map();

/**
 * @param {number} height
 * @param {number} width
 * @returns {Lattice}
 */
export function latticeOf(height, width) {
  const key = `${height}x${width}`;
  const known = lattices.get(key);
  if (known) return known;
  let stride = 32;
  while (stride > 2 && Math.min(height, width) - 1 < 8 * stride) stride /= 2;
  const rows = axisOf(height, stride);
  const columns = axisOf(width, stride);
  const depths = Math.log2(stride) + 1;
  const sizes = new Int32Array(depths);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) sizes[Math.max(rows.level[y], columns.level[x])]++;
  const points = Array.from(sizes, (size) => new Int32Array(size));
  const at = new Int32Array(depths);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const depth = Math.max(rows.level[y], columns.level[x]);
      points[depth][at[depth]++] = y * width + x;
    }
  const made = { depths, rows, columns, points };
  lattices.set(key, made);
  return made;
}
