/** The nested lattices of a grid, as docs/format.md describes them. */

/**
 * @typedef {object} Level The points that are new on a level.
 * @property {Int32Array} points their flat indices, ascending
 * @property {Int32Array} line per linearly interpolated point: point, a, b, at, d
 * @property {Int32Array} cell per bilinearly interpolated point: point, four corners, x, dx, y, dy
 */

/**
 * @typedef {object} Lattice
 * @property {number} height
 * @property {number} width
 * @property {Level[]} levels
 */

/**
 * @param {number} n lines
 * @param {number} stride
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
  return { level, before, after };
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
  const lineSizes = new Int32Array(depths);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [r, c] = [rows.level[y], columns.level[x]];
      sizes[Math.max(r, c)]++;
      if (r !== c) lineSizes[Math.max(r, c)]++;
    }
  const levels = Array.from(sizes, (size, depth) => ({
    points: new Int32Array(size),
    line: new Int32Array(5 * lineSizes[depth]),
    cell: new Int32Array(depth ? 9 * (size - lineSizes[depth]) : 0),
  }));
  const at = new Int32Array(depths);
  const lineAt = new Int32Array(depths);
  const cellAt = new Int32Array(depths);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [r, c] = [rows.level[y], columns.level[x]];
      const depth = Math.max(r, c);
      const point = y * width + x;
      const { points, line, cell } = levels[depth];
      points[at[depth]++] = point;
      if (!depth) continue;
      const [below, above] = r < depth ? [y, y] : [rows.before[y], rows.after[y]];
      const [left, right] = c < depth ? [x, x] : [columns.before[x], columns.after[x]];
      if (r === c) {
        const found = [
          point, below * width + left, below * width + right, above * width + left,
          above * width + right, x - left, right - left, y - below, above - below,
        ];
        cell.set(found, cellAt[depth]);
        cellAt[depth] += 9;
      } else {
        const found = r < depth
          ? [point, y * width + left, y * width + right, x - left, right - left]
          : [point, below * width + x, above * width + x, y - below, above - below];
        line.set(found, lineAt[depth]);
        lineAt[depth] += 5;
      }
    }
  const made = { height, width, levels };
  lattices.set(key, made);
  return made;
}
