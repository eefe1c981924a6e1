/** One map on the screen: the picture, and what lies over it. */

import { segmentsOf } from "./contours.js";
import { axisTicks, bandsOf } from "./axes.js";
import { el } from "./dom.js";
import { grouped, inBand, leads, paintRegions, paintScale, QUANTITIES, resample } from "./paint.js";

/** @typedef {import("./paint.js").Planes} Planes */

/**
 * @typedef {object} Look How a map is painted.
 * @property {string} mode
 * @property {number} of the class of the modes probability and difference; -1 for all
 * @property {number[] | null} kept the classes that have a colour, if not all have one
 * @property {boolean} outline whether borders are drawn as lines
 * @property {[number, number]} limits
 * @property {{table: Uint8Array, levels: number}} shades
 * @property {Uint32Array} words the colormap
 * @property {number[]} contours
 * @property {number} classes
 */

/** @typedef {{x0: number, x1: number, y0: number, y1: number}} Extent */

const CRISP_WORK = 12e6;
/** Pixels times classes that are painted when the picture stands still. */

const MOST_NAME = 120;
/** CSS pixels for the names of categories beside the map. */

export class MapView {
  /**
   * @param {any} recording
   * @param {string} caption
   */
  constructor(recording, caption) {
    this.recording = recording;
    this.picture = el("canvas", { class: "tv-picture", "aria-hidden": "true" });
    this.overlay = el("canvas", {
      class: "tv-overlay", tabindex: "0", role: "img", "aria-label": `Map ${caption}`,
    });
    this.stage = el("div", { class: "tv-canvas" }, this.picture, this.overlay);
    this.caption = el("figcaption", {}, caption);
    this.root = el("figure", { class: "tv-view" }, caption ? this.caption : null, this.stage);
    /** @type {import("./axes.js").Axis[]} */
    this.axisOf = recording.axes ?? [];
    /** @type {[number, number]} */
    this.bands = [bandsOf(this.axisOf[0]), bandsOf(this.axisOf[1])];
    const names = this.bands[1] ? this.axisOf[1].categories : [];
    const room = Math.min(MOST_NAME, Math.max(34, 14 + 7 * Math.max(0, ...names.map((name) => name.length))));
    this.margin = { left: room + (recording.ylabel ? 18 : 0), right: 12, top: 10, bottom: recording.xlabel ? 42 : 26 };
    this.box = { left: this.margin.left, top: this.margin.top, width: 100, height: 100 };
    this.size = { width: 0, height: 0 };
    this.ratio = 1;
    /** @type {Extent} */
    this.extent = this.whole();
    this.grid = document.createElement("canvas");
    /** @type {ImageData | null} */
    this.gridImage = null;
    this.quantity = new Float32Array(0);
    this.merged = new Float32Array(0);
    this.hatchKey = "";
    /** @type {HTMLCanvasElement | null} */
    this.hatch = null;
    /** @type {Planes | null} */
    this.planes = null;
    /** @type {Float32Array | null} */
    this.other = null;
  }

  /** @returns {Extent} */
  whole() {
    const [[x0, x1], [y0, y1]] = [this.recording.xlim, this.recording.ylim];
    return { x0, x1, y0, y1 };
  }

  /** @param {number} width @param {number} height CSS pixels that are free @param {number} ratio */
  fit(width, height, ratio) {
    const whole = this.whole();
    const margin = this.margin;
    const [free, tall] = [width - margin.left - margin.right, height - margin.top - margin.bottom];
    let [w, h] = [Math.max(60, free), Math.max(60, tall)];
    if (this.recording.aspect !== "auto") {
      const aspect = (whole.x1 - whole.x0) / (whole.y1 - whole.y0);
      if (w / h > aspect) w = h * aspect;
      else h = w / aspect;
    }
    [w, h] = [Math.floor(w), Math.floor(h)];
    this.box = { left: margin.left, top: margin.top, width: w, height: h };
    this.size = { width: w + margin.left + margin.right, height: h + margin.top + margin.bottom };
    this.ratio = ratio;
    for (const canvas of [this.picture, this.overlay]) {
      canvas.width = Math.round(this.size.width * ratio);
      canvas.height = Math.round(this.size.height * ratio);
      canvas.style.width = `${this.size.width}px`;
      canvas.style.height = `${this.size.height}px`;
    }
    this.stage.style.width = `${this.size.width}px`;
    this.stage.style.height = `${this.size.height}px`;
  }

  /** @param {number} x @param {number} y in the plane @returns {[number, number]} CSS pixels */
  toScreen(x, y) {
    const { x0, x1, y0, y1 } = this.extent;
    const { left, top, width, height } = this.box;
    return [left + ((x - x0) / (x1 - x0)) * width, top + ((y1 - y) / (y1 - y0)) * height];
  }

  /** @param {number} px @param {number} py @returns {[number, number]} */
  toPlane(px, py) {
    const { x0, x1, y0, y1 } = this.extent;
    const { left, top, width, height } = this.box;
    return [x0 + ((px - left) / width) * (x1 - x0), y1 - ((py - top) / height) * (y1 - y0)];
  }

  /** @param {number} x @param {number} y @returns {[number, number]} where the map has the value */
  toGrid(x, y) {
    const [height, width] = this.recording.shape;
    const [gx, gy] = this.onGrid(x, y);
    return [inBand(gx, width, this.bands[0]), inBand(gy, height, this.bands[1])];
  }

  /** @param {number} x @param {number} y @returns {[number, number]} grid coordinates */
  onGrid(x, y) {
    const { x0, x1, y0, y1 } = this.whole();
    const [height, width] = this.recording.shape;
    return [((x - x0) / (x1 - x0)) * (width - 1), ((y - y0) / (y1 - y0)) * (height - 1)];
  }

  /** @param {number} px @param {number} py */
  inside(px, py) {
    const { left, top, width, height } = this.box;
    return px >= left && px <= left + width && py >= top && py <= top + height;
  }

  /**
   * Paint the picture from the grid's points, which is fast.
   * @param {Planes} planes @param {Float32Array | null} other @param {Look} look
   */
  paint(planes, other, look) {
    [this.planes, this.other] = [planes, other];
    if (this.bands[0] || this.bands[1]) {
      // From the grid's points, the edges of bands would be as wide as the grid is coarse.
      this.sharpen(look, true);
      return;
    }
    const { height, width } = planes;
    if (!this.gridImage || this.gridImage.width !== width || this.gridImage.height !== height) {
      [this.grid.width, this.grid.height] = [width, height];
      this.gridImage = new ImageData(width, height);
    }
    const words = new Uint32Array(this.gridImage.data.buffer);
    this.paintRows(planes, other, look, words);
    /** @type {any} */ (this.grid.getContext("2d")).putImageData(this.gridImage, 0, 0);
    const context = this.picture.getContext("2d");
    const { left, top, width: w, height: h } = this.box;
    const [ratio, extent] = [this.ratio, this.extent];
    const [gx0, gy0] = this.onGrid(extent.x0, extent.y0);
    const [gx1, gy1] = this.onGrid(extent.x1, extent.y1);
    // A grid point is the centre of its pixel, and the outer ones lie on the edge of the map.
    const [sx, sy] = [(w * ratio) / (gx1 - gx0), (h * ratio) / (gy1 - gy0)];
    context.save();
    context.beginPath();
    context.rect(left * ratio, top * ratio, w * ratio, h * ratio);
    context.clip();
    context.imageSmoothingEnabled = true;
    context.drawImage(
      this.grid, left * ratio - (gx0 + 0.5) * sx, top * ratio - (height - 1 - gy1 + 0.5) * sy,
      width * sx, height * sy,
    );
    context.restore();
  }

  /**
   * Paint again at the screen's resolution: slower.
   * @param {Look} look @param {boolean} [always] also where the grid is as fine as what is painted
   */
  sharpen(look, always = false) {
    const { planes, other } = this;
    if (!planes) return;
    const [ratio, extent] = [this.ratio, this.extent];
    const { left, top, width: w, height: h } = this.box;
    const shrink = Math.min(1, Math.sqrt(CRISP_WORK / (w * ratio * h * ratio * planes.classes)));
    const [width, height] = [Math.round(w * ratio * shrink), Math.round(h * ratio * shrink)];
    if (shrink < 1 && width <= planes.width && !always) return;
    const [x0, y0] = this.onGrid(extent.x0, extent.y0);
    const [x1, y1] = this.onGrid(extent.x1, extent.y1);
    const image = new ImageData(width, height);
    const words = new Uint32Array(image.data.buffer);
    const band = 64;
    const size = planes.classes * (band + 2) * width;
    const part = new Float32Array(size);
    const beside = other && other !== planes.map ? new Float32Array(size) : null;
    const whole = { ...planes, map: planes.map };
    for (let first = 0; first < height; first += band) {
      const end = Math.min(height, first + band);
      // A row more on either side, since borders look at their neighbours.
      const [from, to] = [Math.max(0, first - 1), Math.min(height, end + 1)];
      const rows = to - from;
      const piece = part.subarray(0, planes.classes * rows * width);
      resample(whole, { x0, y0, x1, y1 }, height, width, from, to, piece, this.bands);
      let piece2 = null;
      if (beside && other) {
        piece2 = beside.subarray(0, piece.length);
        resample({ ...planes, map: other }, { x0, y0, x1, y1 }, height, width, from, to, piece2, this.bands);
      }
      const target = words.subarray((height - end) * width, (height - first) * width);
      this.paintRows(
        { map: piece, classes: planes.classes, height: rows, width }, piece2, look, target,
        [first - from, end - from],
      );
    }
    const context = this.picture.getContext("2d");
    if (shrink === 1) context.putImageData(image, Math.round(left * ratio), Math.round(top * ratio));
    else {
      const held = document.createElement("canvas");
      [held.width, held.height] = [width, height];
      /** @type {any} */ (held.getContext("2d")).putImageData(image, 0, 0);
      context.drawImage(held, left * ratio, top * ratio, w * ratio, h * ratio);
    }
  }

  /**
   * @param {Planes} planes @param {Float32Array | null} other @param {Look} look
   * @param {Uint32Array} words @param {[number, number]} [rows]
   */
  paintRows(planes, other, look, words, rows) {
    if (look.mode === "region") {
      paintRegions(this.groupedIn(planes, look), look.shades.table, look.shades.levels, words, look.classes, rows);
      return;
    }
    const { height, width } = planes;
    const values = this.quantityOf(planes, other, look);
    paintScale(values, height, width, look.limits[0], look.limits[1], look.words, words, rows);
  }

  /** @param {Planes} planes @param {Look} look */
  groupedIn(planes, { kept }) {
    if (!kept) return planes;
    const size = (kept.length + 1) * planes.height * planes.width;
    if (this.merged.length !== size) this.merged = new Float32Array(size);
    return grouped(planes, kept, this.merged);
  }

  /** @param {Planes} planes @param {Float32Array | null} other @param {Look} look */
  quantityOf(planes, other, look) {
    const cells = planes.height * planes.width;
    if (this.quantity.length !== cells) this.quantity = new Float32Array(cells);
    const quantity = QUANTITIES[look.mode] ?? QUANTITIES.boundary;
    return quantity(planes.map, planes.classes, this.quantity, { of: look.of, other });
  }

  /**
   * Draw what lies over the map.
   * @param {any} over
   * @param {Look} look
   */
  draw(over, look) {
    const context = this.overlay.getContext("2d");
    const { ratio, box } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.size.width, this.size.height);
    this.axes(context, over.theme);
    context.save();
    context.beginPath();
    context.rect(box.left, box.top, box.width, box.height);
    context.clip();
    this.hatched(context, over.theme);
    this.partings(context, over.theme);
    this.contours(context, over.theme, look);
    this.anchors(context, over);
    if (over.points) this.points(context, over);
    this.marks(context, over);
    context.restore();
    context.strokeStyle = over.theme.frame;
    context.lineWidth = 1;
    context.strokeRect(box.left - 0.5, box.top - 0.5, box.width + 1, box.height + 1);
  }

  /** @param {CanvasRenderingContext2D} context @param {any} theme */
  axes(context, theme) {
    const { box, extent } = this;
    context.font = "12px system-ui, sans-serif";
    context.fillStyle = theme.muted;
    context.strokeStyle = theme.frame;
    context.lineWidth = 1;
    context.textAlign = "center";
    context.textBaseline = "top";
    const bottom = box.top + box.height;
    const ticks = axisTicks(this.axisOf[0], extent.x0, extent.x1, box.width / 90);
    const apart = ticks.length > 1 ? ticks[1][0] - ticks[0][0] : 1;
    const free = this.bands[0] ? (apart / (extent.x1 - extent.x0)) * box.width - 6 : Infinity;
    for (const [tick, text] of ticks) {
      const [px] = this.toScreen(tick, extent.y0);
      const at = Math.round(px) + 0.5;
      line(context, at, bottom, at, bottom + 4);
      context.fillText(cutTo(context, text, free), px, bottom + 7);
    }
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const [tick, text] of axisTicks(this.axisOf[1], extent.y0, extent.y1, box.height / 70)) {
      const [, py] = this.toScreen(extent.x0, tick);
      const at = Math.round(py) + 0.5;
      line(context, box.left - 4, at, box.left, at);
      context.fillText(cutTo(context, text, this.bands[1] ? MOST_NAME - 14 : Infinity), box.left - 7, py);
    }
    const { xlabel, ylabel } = this.recording;
    context.textBaseline = "alphabetic";
    context.textAlign = "center";
    if (xlabel) context.fillText(xlabel, box.left + box.width / 2, bottom + 34, box.width);
    if (ylabel) {
      context.save();
      context.translate(11, box.top + box.height / 2);
      context.rotate(-Math.PI / 2);
      context.fillText(ylabel, 0, 0, box.height);
      context.restore();
    }
  }

  /** Draw the lines between categories. @param {CanvasRenderingContext2D} context @param {any} theme */
  partings(context, theme) {
    const { left, top, width, height } = this.box;
    context.strokeStyle = theme.halo;
    context.lineWidth = 2;
    for (let k = 1; k < this.bands[0]; k++) {
      const [px] = this.toScreen(k - 0.5, 0);
      line(context, px, top, px, top + height);
    }
    for (let k = 1; k < this.bands[1]; k++) {
      const [, py] = this.toScreen(0, k - 0.5);
      line(context, left, py, left + width, py);
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {any} theme @param {Look} look */
  contours(context, theme, look) {
    const { planes } = this;
    const outline = look.outline && look.mode === "region";
    if (!planes || (!outline && !look.contours.length)) return;
    /** @type {[Float32Array, number][]} */
    const drawn = outline ? leads(this.groupedIn(planes, look)).map((values) => [values, 0]) : [];
    for (const level of look.contours) drawn.push([this.quantityOf(planes, this.other, look), level]);
    const [ax, ay] = this.onGrid(this.extent.x0, this.extent.y0);
    const [bx, by] = this.onGrid(this.extent.x1, this.extent.y1);
    const { left, top, width, height } = this.box;
    const [sx, sy] = [width / (bx - ax), height / (by - ay)];
    for (const [values, level] of drawn) {
      const found = segmentsOf(values, planes.height, planes.width, level);
      context.beginPath();
      for (let i = 0; i < found.length; i += 4) {
        context.moveTo(left + (found[i] - ax) * sx, top + (by - found[i + 1]) * sy);
        context.lineTo(left + (found[i + 2] - ax) * sx, top + (by - found[i + 3]) * sy);
      }
      for (const [color, wide] of [[theme.halo, 3], [theme.ink, 1.2]]) {
        context.strokeStyle = /** @type {string} */ (color);
        context.lineWidth = /** @type {number} */ (wide);
        context.stroke();
      }
    }
  }

  /** Hatch where the map is a guess. @param {CanvasRenderingContext2D} context @param {any} theme */
  hatched(context, theme) {
    const { doubt } = this.recording;
    if (!doubt) return;
    const { left, top, width, height } = this.box;
    const key = [width, height, this.ratio, theme.ink, ...Object.values(this.extent)].join();
    if (key !== this.hatchKey || !this.hatch) {
      this.hatchKey = key;
      this.hatch = hatchOf(doubt, this.extent, this.whole(), width, height, this.ratio, theme);
    }
    context.drawImage(/** @type {HTMLCanvasElement} */ (this.hatch), left, top, width, height);
  }

  /** @param {CanvasRenderingContext2D} context @param {any} over */
  anchors(context, over) {
    const { anchors, thumbnails } = this.recording;
    if (!anchors) return;
    anchors.forEach((/** @type {[number, number]} */ anchor, /** @type {number} */ k) => {
      const [px, py] = this.toScreen(...anchor);
      const image = over.thumbnails?.[k];
      if (image && thumbnails) {
        const size = Math.min(this.box.width, this.box.height) * 0.14;
        const out = px > this.box.left + this.box.width / 2 ? -1 : 1;
        const [x, y] = [px + out * 14 - (out < 0 ? size : 0), py - size / 2];
        const top = Math.max(this.box.top + 2, Math.min(this.box.top + this.box.height - size - 2, y));
        context.imageSmoothingEnabled = false;
        context.drawImage(image, x, top, size, size);
        context.strokeStyle = over.theme.ink;
        context.lineWidth = 1.2;
        context.strokeRect(x, top, size, size);
      }
      badge(context, px, py, "abc"[k] ?? "", over.theme.ink, over.theme.halo);
    });
  }

  /** @param {CanvasRenderingContext2D} context @param {any} over */
  points(context, over) {
    const { points } = this.recording;
    const { theme, colors, outlines, wrong, hiddenClasses, hiddenGroups, chosen } = over;
    const n = points.x.length;
    const radius = n > 3000 ? 1.6 : n > 1000 ? 2.4 : n > 300 ? 3.4 : 4.2;
    const thin = n > 1000 ? 0.5 : 0.8;
    const { errors } = points;
    const isWrong = errors === "fade" && this.recording.predictions ? new Set(wrong) : null;
    const hidden = (/** @type {number} */ i) =>
      (points.labels && hiddenClasses.has(points.labels[i])) || (points.groups && hiddenGroups.has(points.groups[i]));
    for (let i = 0; i < n; i++) {
      if (hidden(i)) continue;
      const [px, py] = this.toScreen(points.x[i], points.y[i]);
      if (!this.inside(px, py)) continue;
      context.globalAlpha = (points.opacity ? points.opacity[i] : 1) * (isWrong && !isWrong.has(i) ? 0.2 : 1);
      drawMarker(context, points.groups ? points.groups[i] : 0, px, py, radius, {
        color: colors(i), outline: outlines(i), halo: theme.halo, thin,
      });
    }
    if (errors === "ring" || errors === "cross") {
      // The more there are, the smaller and fainter: the map is seen where most points are wrong.
      const shown = wrong.filter((/** @type {number} */ i) => !hidden(i));
      const strength = markStrength(shown.length);
      context.globalAlpha = strength;
      for (const i of shown) {
        const [px, py] = this.toScreen(points.x[i], points.y[i]);
        if (errors === "ring") ring(context, px, py, radius + 1.4 + 1.4 * strength, theme, strength);
        else cross(context, px, py, radius + 0.6 + strength, theme, strength);
      }
    }
    context.globalAlpha = 1;
    for (const i of chosen) {
      const [px, py] = this.toScreen(points.x[i], points.y[i]);
      for (const [color, wide] of [[theme.halo, 6], [theme.accent, 3]]) {
        context.beginPath();
        context.arc(px, py, radius + 6, 0, 2 * Math.PI);
        context.strokeStyle = /** @type {string} */ (color);
        context.lineWidth = /** @type {number} */ (wide);
        context.stroke();
      }
    }
    for (const [i, text] of points.highlights ?? []) {
      if (hidden(i)) continue;
      const [px, py] = this.toScreen(points.x[i], points.y[i]);
      if (this.inside(px, py)) this.highlight(context, px, py, radius + 4, text, theme);
    }
  }

  /**
   * A ring in the accent's colour, and a label on the side where there is room.
   * @param {CanvasRenderingContext2D} context @param {number} px @param {number} py
   * @param {number} radius @param {string} text @param {any} theme
   */
  highlight(context, px, py, radius, text, theme) {
    for (const [color, wide] of [[theme.halo, 4], [theme.accent, 2]]) {
      context.beginPath();
      context.arc(px, py, radius, 0, 2 * Math.PI);
      context.strokeStyle = /** @type {string} */ (color);
      context.lineWidth = /** @type {number} */ (wide);
      context.stroke();
    }
    context.font = "600 12px system-ui, sans-serif";
    const left = px + radius + 4 + context.measureText(text).width > this.box.left + this.box.width;
    context.textAlign = left ? "right" : "left";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.strokeStyle = theme.halo;
    context.lineWidth = 3.5;
    const at = left ? px - radius - 4 : px + radius + 4;
    context.strokeText(text, at, py);
    context.fillStyle = theme.ink;
    context.fillText(text, at, py);
  }

  /**
   * The nearest place at which a badge is not cut off at the edge of the map.
   * @param {number} px @param {number} py
   * @returns {[number, number]}
   */
  withRoom(px, py) {
    const { left, top, width, height } = this.box;
    const room = (/** @type {number} */ at, /** @type {number} */ start, /** @type {number} */ size) =>
      at < start || at > start + size ? at : Math.min(Math.max(at, start + 10), start + size - 10);
    return [room(px, left, width), room(py, top, height)];
  }

  /** @param {CanvasRenderingContext2D} context @param {any} over */
  marks(context, over) {
    const { theme } = over;
    if (over.line) {
      const [x0, y0, x1, y1] = over.line;
      const [a, b] = [this.toScreen(x0, y0), this.toScreen(x1, y1)];
      for (const [color, wide] of [[theme.halo, 5], [theme.ink, 2]]) {
        context.strokeStyle = /** @type {string} */ (color);
        context.lineWidth = /** @type {number} */ (wide);
        line(context, ...a, ...b);
      }
      badge(context, ...this.withRoom(...a), "A", theme.ink, theme.halo);
      badge(context, ...this.withRoom(...b), "B", theme.ink, theme.halo);
    }
    for (const path of over.paths ?? []) {
      context.beginPath();
      path.forEach((/** @type {[number, number]} */ at, /** @type {number} */ i) => {
        const [px, py] = this.toScreen(...at);
        if (i) context.lineTo(px, py);
        else context.moveTo(px, py);
      });
      for (const [color, wide] of [[theme.halo, 6], [theme.accent, 3]]) {
        context.strokeStyle = /** @type {string} */ (color);
        context.lineWidth = /** @type {number} */ (wide);
        context.lineJoin = context.lineCap = "round";
        context.stroke();
      }
    }
    over.pins.forEach((/** @type {[number, number]} */ pin, /** @type {number} */ k) =>
      badge(context, ...this.toScreen(...pin), String(k + 1), theme.accent, theme.halo),
    );
    if (over.cursor) {
      const [px, py] = this.toScreen(.../** @type {[number, number]} */ (over.cursor));
      for (const [color, wide] of [[theme.halo, 4], [theme.ink, 1.5]]) {
        context.strokeStyle = /** @type {string} */ (color);
        context.lineWidth = /** @type {number} */ (wide);
        for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]])
          line(context, px + 4 * dx, py + 4 * dy, px + 11 * dx, py + 11 * dy);
      }
    }
  }
}

/** Shorten a text with an ellipsis. @param {CanvasRenderingContext2D} context @param {string} text @param {number} room */
function cutTo(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let kept = text.length;
  while (kept > 1 && context.measureText(`${text.slice(0, kept)}\u2026`).width > room) kept--;
  return `${text.slice(0, kept).trimEnd()}\u2026`;
}

/** @param {CanvasRenderingContext2D} context @param {number} x0 @param {number} y0
 * @param {number} x1 @param {number} y1 */
function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

/**
 * How strong the marks of so many errors are: 1 for few, down to an eighth.
 * @param {number} count
 */
export function markStrength(count) {
  return Math.min(1, Math.max(0.125, Math.sqrt(60 / Math.max(count, 1))));
}

/** @param {CanvasRenderingContext2D} context @param {number} px @param {number} py
 * @param {number} radius @param {any} theme @param {number} [strength] */
function ring(context, px, py, radius, theme, strength = 1) {
  for (const [color, wide] of [[theme.halo, 1.4 + 1.6 * strength], [theme.ink, 0.7 + 0.7 * strength]]) {
    context.beginPath();
    context.arc(px, py, radius, 0, 2 * Math.PI);
    context.strokeStyle = /** @type {string} */ (color);
    context.lineWidth = /** @type {number} */ (wide);
    context.stroke();
  }
}

/** @param {CanvasRenderingContext2D} context @param {number} px @param {number} py
 * @param {number} half @param {any} theme @param {number} strength */
function cross(context, px, py, half, theme, strength) {
  for (const [color, wide] of [[theme.halo, 1.4 + 1.6 * strength], [theme.ink, 0.7 + 0.7 * strength]]) {
    context.strokeStyle = /** @type {string} */ (color);
    context.lineWidth = /** @type {number} */ (wide);
    line(context, px - half, py - half, px + half, py + half);
    line(context, px - half, py + half, px + half, py - half);
  }
}

/** The markers of groups, as `rendering/figure/data_points.py` has them. */
const SHAPES = ["disc", "triangle", "square", "diamond", "down", "plus", "times"];

/**
 * The marker of a group: filled, hollow, then other shapes, then those hollow.
 * @param {number} group
 * @returns {{shape: string, hollow: boolean}}
 */
export function markerOf(group) {
  const k = group % (2 * SHAPES.length);
  if (k < 2) return { shape: "disc", hollow: k === 1 };
  const other = SHAPES.length - 1;
  return { shape: SHAPES[1 + (k - 2) % other], hollow: k - 2 >= other };
}

/** @param {CanvasRenderingContext2D} context @param {string} shape @param {number} px @param {number} py @param {number} r */
function trace(context, shape, px, py, r) {
  context.beginPath();
  /** @param {[number, number][]} corners */
  const polygon = (corners) => {
    corners.forEach(([x, y], k) => (k ? context.lineTo(px + r * x, py + r * y) : context.moveTo(px + r * x, py + r * y)));
    context.closePath();
  };
  const arm = 0.4;
  /** @type {[number, number][]} */
  const plus = [[-arm, -1.1], [arm, -1.1], [arm, -arm], [1.1, -arm], [1.1, arm], [arm, arm], [arm, 1.1], [-arm, 1.1], [-arm, arm], [-1.1, arm], [-1.1, -arm], [-arm, -arm]];
  if (shape === "triangle") polygon([[0, -1.2], [1.1, 0.9], [-1.1, 0.9]]);
  else if (shape === "down") polygon([[0, 1.2], [1.1, -0.9], [-1.1, -0.9]]);
  else if (shape === "square") polygon([[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]]);
  else if (shape === "diamond") polygon([[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]]);
  else if (shape === "plus") polygon(plus);
  else if (shape === "times") polygon(plus.map(([x, y]) => [(x - y) * Math.SQRT1_2, (x + y) * Math.SQRT1_2]));
  else context.arc(px, py, r, 0, 2 * Math.PI);
}

/**
 * Draw the marker of a point with a halo and an outline, which keep it apart from its own region.
 * @param {CanvasRenderingContext2D} context @param {number} group
 * @param {number} px @param {number} py @param {number} radius
 * @param {{color: string, outline: string, halo: string, thin: number}} look
 */
export function drawMarker(context, group, px, py, radius, { color, outline, halo, thin }) {
  const { shape, hollow } = markerOf(group);
  trace(context, shape, px, py, radius);
  context.lineWidth = 4 * thin;
  context.strokeStyle = halo;
  context.stroke();
  context.lineWidth = 2 * thin;
  context.strokeStyle = outline;
  context.stroke();
  context.fillStyle = color;
  context.fill();
  if (!hollow) return;
  trace(context, shape, px, py, 0.5 * radius);
  context.fillStyle = halo;
  context.fill();
}

/** @param {CanvasRenderingContext2D} context @param {number} px @param {number} py
 * @param {string} text @param {string} fill @param {string} edge */
function badge(context, px, py, text, fill, edge) {
  context.beginPath();
  context.arc(px, py, 9, 0, 2 * Math.PI);
  context.fillStyle = fill;
  context.fill();
  context.strokeStyle = edge;
  context.lineWidth = 1.5;
  context.stroke();
  context.fillStyle = edge;
  context.font = "600 11px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(text, px, py + 0.5);
}

/**
 * @param {{shape: [number, number], bytes: Uint8Array}} doubt
 * @param {Extent} extent @param {Extent} whole
 * @param {number} width @param {number} height @param {number} ratio @param {any} theme
 */
function hatchOf(doubt, extent, whole, width, height, ratio, theme) {
  const [lines, columns] = doubt.shape;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  const planes = { map: Float32Array.from(doubt.bytes), classes: 1, height: lines, width: columns };
  const part = {
    x0: ((extent.x0 - whole.x0) / (whole.x1 - whole.x0)) * (columns - 1),
    x1: ((extent.x1 - whole.x0) / (whole.x1 - whole.x0)) * (columns - 1),
    y0: ((extent.y0 - whole.y0) / (whole.y1 - whole.y0)) * (lines - 1),
    y1: ((extent.y1 - whole.y0) / (whole.y1 - whole.y0)) * (lines - 1),
  };
  const values = new Float32Array(w * h);
  resample(planes, part, h, w, 0, h, values);
  const image = new ImageData(w, h);
  const words = new Uint32Array(image.data.buffer);
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++) if (values[(h - 1 - y) * w + x] >= 100) words[y * w + x] = 0xff000000;
  const canvas = el("canvas", { width: w, height: h });
  const context = canvas.getContext("2d");
  context.putImageData(image, 0, 0);
  // Only within what is poor, lines remain.
  context.globalCompositeOperation = "source-in";
  const ink = el("canvas", { width: w, height: h });
  const lined = ink.getContext("2d");
  const gap = 12 * ratio;
  for (const [color, wide] of [[theme.halo, 2.4], [theme.ink, 1]]) {
    lined.strokeStyle = color;
    lined.lineWidth = wide * ratio;
    for (let x = -h; x < w; x += gap) line(lined, x, h, x + h, 0);
  }
  context.drawImage(ink, 0, 0);
  return canvas;
}

