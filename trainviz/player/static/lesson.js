/** Lessons: the page stops, the reader says what will come, and is scored against what came. */

import { css, el, percent } from "./dom.js";

/** @typedef {[number, number]} Place */

/**
 * The cells of a coarse map at which two classes meet.
 * @param {Uint8Array} labels @param {number} rows @param {number} columns
 * @returns {{x: number, y: number, classes: [number, number]}[]} in cells
 */
export function bordersOf(labels, rows, columns) {
  const found = [];
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const own = labels[y * columns + x];
      if (x + 1 < columns && labels[y * columns + x + 1] !== own)
        found.push({ x: x + 0.5, y, classes: /** @type {[number, number]} */ ([own, labels[y * columns + x + 1]]) });
      if (y + 1 < rows && labels[(y + 1) * columns + x] !== own)
        found.push({ x, y: y + 0.5, classes: /** @type {[number, number]} */ ([own, labels[(y + 1) * columns + x]]) });
    }
  return found;
}

/**
 * Return points at most so far apart on a path.
 * @param {Place[]} path @param {number} step
 * @returns {Place[]}
 */
export function alongPath(path, step) {
  /** @type {Place[]} */
  const found = [];
  for (let i = 0; i + 1 < path.length; i++) {
    const [a, b] = [path[i], path[i + 1]];
    const count = Math.max(1, Math.ceil(Math.hypot(b[0] - a[0], b[1] - a[1]) / step));
    for (let k = 0; k < count; k++)
      found.push([a[0] + (k / count) * (b[0] - a[0]), a[1] + (k / count) * (b[1] - a[1])]);
  }
  if (path.length > 1) found.push(path[path.length - 1]);
  return found;
}

/**
 * Score drawn borders: how much of what was drawn is a border, and how much of each class's
 * border was drawn.
 * @param {Place[]} drawn points of the drawing
 * @param {{x: number, y: number, classes: [number, number]}[]} borders in the same units
 * @param {number} near how far apart counts as met
 * @param {number} classes
 */
export function scoreBorders(drawn, borders, near, classes) {
  const limit = near * near;
  const met = drawn.filter(([x, y]) => borders.some((at) => (at.x - x) ** 2 + (at.y - y) ** 2 <= limit)).length;
  const each = Array.from({ length: classes }, () => ({ length: 0, found: 0 }));
  let found = 0;
  for (const at of borders) {
    const hit = drawn.some(([x, y]) => (at.x - x) ** 2 + (at.y - y) ** 2 <= limit);
    if (hit) found++;
    for (const k of at.classes) {
      each[k].length++;
      if (hit) each[k].found++;
    }
  }
  const precision = drawn.length ? met / drawn.length : 0;
  const recall = borders.length ? found / borders.length : drawn.length ? 0 : 1;
  return { precision, recall, score: mean(precision, recall), each };
}

/**
 * Score ticked points against those for which it came true, class by class.
 * @param {Set<number>} ticked @param {Set<number>} truth @param {number[]} labels
 * @param {number} classes
 */
export function scorePoints(ticked, truth, labels, classes) {
  const each = Array.from({ length: classes }, () => ({ truth: 0, found: 0, ticked: 0 }));
  for (const i of truth) {
    each[labels[i]].truth++;
    if (ticked.has(i)) each[labels[i]].found++;
  }
  for (const i of ticked) each[labels[i]].ticked++;
  const found = [...truth].filter((i) => ticked.has(i)).length;
  const precision = ticked.size ? found / ticked.size : truth.size ? 0 : 1;
  const recall = truth.size ? found / truth.size : ticked.size ? 0 : 1;
  return { precision, recall, score: mean(precision, recall), each, found };
}

/** @param {number} a @param {number} b the harmonic mean */
function mean(a, b) {
  return a + b > 0 ? (2 * a * b) / (a + b) : 0;
}

/**
 * The points that are wrong at a snapshot.
 * @param {Uint16Array} predictions @param {number[]} labels @param {number} index
 */
export function wrongAt(predictions, labels, index) {
  const m = labels.length;
  const found = new Set();
  for (let i = 0; i < m; i++) {
    const guess = predictions[index * m + i];
    if (guess !== 65535 && guess !== labels[i]) found.add(i);
  }
  return found;
}

/**
 * The points that were right in one snapshot and wrong in the next, between two snapshots.
 * @param {Uint16Array} predictions @param {number[]} labels @param {number} from @param {number} to
 */
export function forgottenBetween(predictions, labels, from, to) {
  const m = labels.length;
  const found = new Set();
  for (let s = from + 1; s <= to; s++)
    for (let i = 0; i < m; i++) {
      const [before, after] = [predictions[(s - 1) * m + i], predictions[s * m + i]];
      if (before === labels[i] && after !== 65535 && after !== labels[i]) found.add(i);
    }
  return found;
}

const NEAR = 0.035;
/** Of the map's shorter side: how far a drawn border may lie from a true one. */

export class Lesson {
  /**
   * @param {any} player
   * @param {number[]} stops positions, ascending
   */
  constructor(player, stops) {
    this.player = player;
    this.stops = stops;
    /** @type {Set<number>} */
    this.done = new Set();
    this.open = -1;
    this.task = "border";
    /** @type {Place[][]} */
    this.paths = [];
    /** @type {Set<number>} */
    this.ticked = new Set();
    /** @type {number[]} */
    this.scores = [];
    this.stage = "idle";
    this.root = el("section", { class: "tv-panel tv-lesson", "aria-label": "Lesson", hidden: true });
    const points = player.main.points;
    this.tasks = [["border", "Draw the border"]];
    if (points?.labels && player.main.predictions)
      this.tasks.push(["wrong", "Tick the points that will be wrong"], ["forgotten", "Tick the points that will be forgotten"]);
  }

  /** The stop that lies between two positions and has not been answered, or -1. */
  /** @param {number} from @param {number} to */
  stopBetween(from, to) {
    return this.stops.find((stop) => !this.done.has(stop) && stop >= from - 1e-9 && stop <= to + 1e-9) ?? -1;
  }

  /** How far the reader may look now. */
  get limit() {
    return this.stage === "asked" ? this.open : Infinity;
  }

  get target() {
    const { player } = this;
    return this.stops.find((stop) => stop > this.open + 1e-9) ?? player.last;
  }

  /** @param {number} stop a position */
  ask(stop) {
    this.open = stop;
    this.stage = "asked";
    this.paths = [];
    this.ticked = new Set();
    this.before = { tool: this.player.state.tool };
    this.choose(this.task);
    this.root.querySelector("h2")?.focus();
  }

  /** @param {string} task */
  choose(task) {
    this.task = task;
    this.player.state.tool = task === "border" ? "draw" : "tick";
    this.show();
    this.player.changed();
  }

  /** @param {number} position */
  epoch(position) {
    return this.player.times[Math.round(position)];
  }

  show() {
    const { player } = this;
    this.root.hidden = this.stage === "idle";
    player.root.classList.toggle("tv-asking", this.stage !== "idle");
    player.root.classList.toggle("tv-secret", this.stage === "asked");
    if (this.stage !== "asked") return;
    const [now, then] = [this.epoch(this.open), this.epoch(this.target)];
    const how = {
      border: `Draw where you expect the borders between the classes at epoch ${then}. Keyboard: arrows move, Enter sets a corner.`,
      wrong: `Click the points that you expect to be classified wrongly at epoch ${then}. Keyboard: arrows move, Enter ticks the nearest.`,
      forgotten: `Click the points that will be right and then wrong again by epoch ${then}. Keyboard: arrows move, Enter ticks the nearest.`,
    }[this.task];
    const count = this.task === "border" ? this.paths.length : this.ticked.size;
    this.root.replaceChildren(
      el("h2", { tabindex: "-1" }, `Epoch ${now}: what will come?`),
      el("div", { class: "tv-choices", role: "group", "aria-label": "Task" }, ...this.tasks.map(([name, text]) =>
        el("button", { type: "button", class: "tv-tool", "aria-pressed": String(this.task === name), onclick: () => this.choose(name) }, text))),
      el("p", { class: "tv-hint" }, how),
      el("p", { role: "status" }, this.task === "border"
        ? count === 1 ? "1 line drawn." : `${count} lines drawn.`
        : count === 1 ? "1 point ticked." : `${count} points ticked.`),
      el("div", { class: "tv-row" },
        el("button", { type: "button", class: "tv-main-action", disabled: this.task === "border" && !count, onclick: () => this.answer() }, "See what came"),
        el("button", { type: "button", disabled: !count, onclick: () => this.undo() }, "Undo"),
        el("button", { type: "button", onclick: () => this.skip() }, "Skip")),
    );
  }

  undo() {
    if (this.task === "border") this.paths.pop();
    else this.ticked.delete(/** @type {number} */ ([...this.ticked].pop()));
    this.show();
    this.player.changed();
  }

  skip() {
    this.done.add(this.open);
    this.finish(true);
  }

  /** @param {boolean} play */
  finish(play) {
    this.stage = "idle";
    this.paths = [];
    this.ticked = new Set();
    this.player.state.tool = "pin";
    this.show();
    if (play) this.player.playNow();
    this.player.changed();
  }

  /**
   * @param {Place} to in the plane
   * @param {any} drag of this stroke
   */
  draw(to, drag) {
    if (this.stage !== "asked" || this.task !== "border") return;
    if (!drag.path) {
      drag.path = [drag.from];
      this.paths.push(drag.path);
    }
    drag.path.push(to);
  }

  /** @param {Place} at in the plane @param {number} point the data point there, or -1 @param {boolean} byKey */
  enter(at, point, byKey) {
    if (this.stage !== "asked") return false;
    if (this.task === "border") {
      if (byKey) {
        const path = this.keyPath ?? [];
        if (!path.length || !this.paths.includes(path)) this.paths.push((this.keyPath = [at]));
        else path.push(at);
      }
    } else if (point >= 0) {
      if (this.ticked.has(point)) this.ticked.delete(point);
      else this.ticked.add(point);
    }
    this.show();
    this.player.changed();
    return true;
  }

  async answer() {
    const { player } = this;
    const { target } = this;
    const index = Math.round(target);
    const { main } = player;
    const [height, width] = main.shape;
    this.done.add(this.open);
    let found;
    let rows;
    if (this.task === "border") {
      const stride = Math.max(1, Math.round(Math.min(height, width) / 120));
      const { labels } = await player.store.ask(0, index, { stride });
      const [lines, columns] = [Math.ceil(height / stride), Math.ceil(width / stride)];
      const borders = bordersOf(labels, lines, columns);
      const toCells = (/** @type {Place} */ at) => /** @type {Place} */ (player.views[0].toGrid(...at).map((/** @type {number} */ v) => v / stride));
      const drawn = this.paths.flatMap((path) => alongPath(path.map(toCells), 0.7));
      const near = Math.max(1.5, NEAR * Math.min(lines, columns));
      found = scoreBorders(drawn, borders, near, player.classes);
      rows = found.each.map((one, k) => [k, one.length ? percent(one.found / one.length) : "no border"]);
    } else {
      const { labels } = main.points;
      const truth = this.task === "wrong"
        ? wrongAt(main.predictions, labels, index)
        : forgottenBetween(main.predictions, labels, Math.round(this.open), index);
      found = scorePoints(this.ticked, /** @type {Set<number>} */ (truth), labels, player.classes);
      rows = found.each.map((one, k) => [k, `${one.found} of ${one.truth}` + (one.ticked > one.found ? `, ${one.ticked - one.found} too many` : "")]);
      this.truth = truth;
    }
    this.scores.push(found.score);
    this.stage = "told";
    player.seek(target);
    this.tell(found, /** @type {[number, string][]} */ (rows));
  }

  /** @param {{precision: number, recall: number, score: number}} found @param {[number, string][]} rows */
  tell(found, rows) {
    const { player } = this;
    const heads = this.task === "border" ? ["of its border drawn", "of what you drew is a border", "of the borders were drawn"]
      : this.task === "wrong" ? ["wrong, and ticked", "of your ticks are wrong", "of the wrong ones ticked"]
      : ["forgotten, and ticked", "of your ticks were forgotten", "of the forgotten ones ticked"];
    const average = this.scores.reduce((sum, score) => sum + score, 0) / this.scores.length;
    this.show();
    this.root.replaceChildren(
      el("h2", { tabindex: "-1" }, `${Math.round(100 * found.score)} of 100 points`),
      el("p", {}, `${percent(found.precision)} ${heads[1]}, ${percent(found.recall)} ${heads[2]} at epoch ${this.epoch(this.target)}.`),
      el("div", { class: "tv-scroll" }, el("table", {},
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Class"), el("th", { scope: "col" }, heads[0]))),
        el("tbody", {}, ...rows.map(([k, text]) => el("tr", {},
          el("td", {}, el("span", { class: "tv-classname" }, el("i", { class: "tv-swatch", style: { background: css(player.colors[k]) } }), el("span", { dir: "auto" }, player.main.classes[k]))),
          el("td", {}, text)))))),
      el("p", { class: "tv-hint" }, this.scores.length > 1 ? `Mean of ${this.scores.length} answers: ${Math.round(100 * average)}.` : "Your drawing or ticks stay on the map until you play on."),
      el("div", { class: "tv-row" },
        el("button", { type: "button", class: "tv-main-action", onclick: () => this.finish(true) }, "Play on"),
        el("button", { type: "button", onclick: () => player.seek(player.state.position > this.open ? this.open : this.target) }, "Before / after")),
    );
    this.root.querySelector("h2")?.focus();
    player.changed();
  }
}
