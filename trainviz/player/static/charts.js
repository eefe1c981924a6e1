/** Small charts: curves over time, and the kymograph. */

import { css, number, svg } from "./dom.js";

/**
 * Draw class probabilities at a point over time; marks where the class changes.
 * @param {object} options
 * @param {Float32Array} options.samples shape (snapshots, classes), NaN where unknown
 * @param {number} options.classes
 * @param {number[]} options.shares of the snapshots on the clock, 0 to 1
 * @param {number[][]} options.colors
 * @param {number} options.now
 * @param {string} options.label
 */
export function probabilityChart({ samples, classes, shares, colors, now, label }) {
  const [width, height] = [300, 84];
  const left = 4;
  const [w, h] = [width - 2 * left, height - 14];
  const chart = svg("svg", {
    viewBox: `0 0 ${width} ${height}`, class: "tv-chart", role: "img", "aria-label": label,
    preserveAspectRatio: "none",
  });
  for (const level of [0, 0.5, 1])
    chart.append(svg("line", { x1: left, x2: left + w, y1: 5 + h * (1 - level), y2: 5 + h * (1 - level), class: "tv-rule" }));
  let before = -1;
  for (let s = 0; s < shares.length; s++) {
    if (Number.isNaN(samples[s * classes])) {
      before = -1;
      continue;
    }
    let found = 0;
    for (let k = 1; k < classes; k++)
      if (samples[s * classes + k] > samples[s * classes + found]) found = k;
    if (before >= 0 && found !== before) {
      const x = left + shares[s] * w;
      chart.append(svg("line", { x1: x, x2: x, y1: 5, y2: 5 + h, class: "tv-change" }));
      chart.append(svg("rect", { x: x - 2.5, y: 6 + h, width: 5, height: 6, fill: css(colors[found]) }));
    }
    before = found;
  }
  for (let k = 0; k < classes; k++) {
    let path = "";
    let highest = 0;
    for (let s = 0; s < shares.length; s++) {
      const p = samples[s * classes + k];
      if (Number.isNaN(p)) continue;
      highest = Math.max(highest, p);
      path += `${path ? "L" : "M"}${(left + shares[s] * w).toFixed(1)} ${(5 + h * (1 - p)).toFixed(1)}`;
    }
    // What never exceeds two percent would only thicken the lower edge.
    if (path && highest > 0.02)
      chart.append(svg("path", { d: path, fill: "none", stroke: css(colors[k]), "stroke-width": 1.8, "vector-effect": "non-scaling-stroke" }));
  }
  chart.append(svg("line", { x1: left + now * w, x2: left + now * w, y1: 0, y2: height - 8, class: "tv-now" }));
  return chart;
}

/**
 * Paint a kymograph: the position along a line from left to right, time downwards.
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array | Uint8Array} samples
 * @param {object} options
 * @param {number} options.count places along the line
 * @param {number} options.classes
 * @param {number[]} options.shares of the snapshots on the clock
 * @param {boolean} options.labels whether samples are classes, not probabilities
 * @param {(k: number, p: number) => number} options.word the colour of a class
 * @param {number} options.empty the colour where nothing is known yet
 */
export function paintKymograph(canvas, samples, { count, classes, shares, labels, word, empty }) {
  const height = canvas.height;
  const image = new ImageData(count, height);
  const words = new Uint32Array(image.data.buffer);
  canvas.width = count;
  let s = 0;
  for (let y = 0; y < height; y++) {
    const share = height > 1 ? y / (height - 1) : 0;
    while (s + 1 < shares.length && shares[s + 1] <= share + 1e-9) s++;
    for (let x = 0; x < count; x++) {
      const at = s * count + x;
      if (labels) {
        words[y * count + x] = samples[at] === 255 ? empty : word(samples[at], 1);
        continue;
      }
      let found = 0;
      for (let k = 1; k < classes; k++)
        if (samples[at * classes + k] > samples[at * classes + found]) found = k;
      const p = samples[at * classes + found];
      words[y * count + x] = Number.isNaN(p) ? empty : word(found, p);
    }
  }
  /** @type {any} */ (canvas.getContext("2d")).putImageData(image, 0, 0);
}

/**
 * Draw curves of metrics, the ticks of the snapshots and the range.
 * @param {HTMLCanvasElement} canvas
 * @param {object} options
 * @param {{name: string, values: (number | null)[], points?: [number, number][], color: string}[]} options.curves
 * @param {number[]} options.shares
 * @param {[number, number] | null} options.range
 * @param {number[]} options.stops
 * @param {{share: number, text: string}[]} options.marks
 * @param {any} options.theme
 * @param {number} options.inset
 */
export function paintTimeline(canvas, { curves, shares, range, stops, marks, theme, inset }) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const w = width - 2 * inset;
  const bottom = height - 9;
  if (range) {
    context.fillStyle = theme.range;
    context.fillRect(inset + range[0] * w, 0, Math.max(2, (range[1] - range[0]) * w), height);
  }
  context.fillStyle = theme.frame;
  context.fillRect(inset, bottom, w, 1);
  context.fillStyle = theme.muted;
  context.globalAlpha = shares.length > w / 3 ? 0.45 : 1;
  for (const share of shares) context.fillRect(inset + share * w - 0.5, bottom + 2, 1, 6);
  context.globalAlpha = 1;
  for (const curve of curves) {
    const points = curve.points ?? curve.values.flatMap((value, s) => (value === null ? [] : [[shares[s], value]]));
    const [low, high] = [Math.min(...points.map((point) => point[1])), Math.max(...points.map((point) => point[1]))];
    context.strokeStyle = curve.color;
    context.lineWidth = 1.8;
    context.lineJoin = "round";
    context.beginPath();
    points.forEach(([share, value], i) => {
      const level = high > low ? (value - low) / (high - low) : 0.5;
      const [x, y] = [inset + share * w, bottom - 4 - level * (bottom - 12)];
      if (i) context.lineTo(x, y);
      else context.moveTo(x, y);
    });
    context.stroke();
  }
  context.font = "11px system-ui, sans-serif";
  for (const { share, text } of marks) {
    const x = inset + share * w;
    context.strokeStyle = theme.muted;
    context.lineWidth = 1;
    context.setLineDash([2, 2]);
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, bottom);
    context.stroke();
    context.setLineDash([]);
    // Left of its line where there is no room at the right.
    const isLast = x + 4 + context.measureText(text).width > width;
    context.textAlign = isLast ? "right" : "left";
    context.lineWidth = 3;
    context.strokeStyle = theme.halo;
    context.strokeText(text, x + (isLast ? -4 : 4), 11);
    context.fillStyle = theme.muted;
    context.fillText(text, x + (isLast ? -4 : 4), 11);
  }
  for (const stop of stops) {
    context.fillStyle = theme.accent;
    context.beginPath();
    context.arc(inset + stop * w, 5, 4, 0, 2 * Math.PI);
    context.fill();
  }
}

/** @param {number | null} value */
export function metricText(value) {
  return value === null || Number.isNaN(value) ? "–" : number(value);
}
