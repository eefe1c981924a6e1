/** Contour lines by marching squares. */

/**
 * Return the segments of a level, in grid coordinates: x0, y0, x1, y1, ...
 * @param {Float32Array} values shape (height, width)
 * @param {number} height
 * @param {number} width
 * @param {number} level
 * @returns {number[]}
 */
export function segmentsOf(values, height, width, level) {
  /** @type {number[]} */
  const found = [];
  for (let y = 0; y + 1 < height; y++)
    for (let x = 0; x + 1 < width; x++) {
      const at = y * width + x;
      const [a, b, c, d] = [values[at], values[at + 1], values[at + width + 1], values[at + width]];
      const kind =
        (a >= level ? 1 : 0) | (b >= level ? 2 : 0) | (c >= level ? 4 : 0) | (d >= level ? 8 : 0);
      if (kind === 0 || kind === 15) continue;
      const bottom = [x + (level - a) / (b - a), y];
      const right = [x + 1, y + (level - b) / (c - b)];
      const top = [x + (level - d) / (c - d), y + 1];
      const left = [x, y + (level - a) / (d - a)];
      const cross = (a + b + c + d) / 4 >= level;
      switch (kind) {
        case 1: case 14: found.push(...left, ...bottom); break;
        case 2: case 13: found.push(...bottom, ...right); break;
        case 3: case 12: found.push(...left, ...right); break;
        case 4: case 11: found.push(...right, ...top); break;
        case 6: case 9: found.push(...bottom, ...top); break;
        case 7: case 8: found.push(...left, ...top); break;
        case 5:
          if (cross) found.push(...left, ...top, ...bottom, ...right);
          else found.push(...left, ...bottom, ...right, ...top);
          break;
        case 10:
          if (cross) found.push(...left, ...bottom, ...right, ...top);
          else found.push(...left, ...top, ...bottom, ...right);
          break;
      }
    }
  return found;
}
