/** The player: the page's parts, its state, and the loop that paints. */

import { canInflate, fromBase64 } from "./bytes.js";
import { metricText, paintKymograph, paintTimeline, probabilityChart } from "./charts.js";
import { ascends, clockOf, positionOf, valueAt } from "./clock.js";
import { placeText } from "./axes.js";
import { css, el, number, percent, svg } from "./dom.js";
import { read, written } from "./hash.js";
import { Lesson } from "./lesson.js";
import { interpolate } from "./interpolate.js";
import { accuracy, areas, argmax, ensemble, learning, luminance, meanOf, placesAlong } from "./measure.js";
import { paintScale, rampWords, shadesOf, valuesAt, wordOf } from "./paint.js";
import { pageSource } from "./source.js";
import { MapStore } from "./store.js";
import { STOPPED } from "./tasks.js";
import { drawMarker, MapView } from "./view.js";

/** @typedef {import("./paint.js").Planes} Planes */
/** @typedef {import("./source.js").Source} Source */
/** @typedef {{count: number, pins: Float32Array[], line: Float32Array | null}} Samples of count snapshots */

const MODES = {
  region: { name: "Regions", scale: "", label: "", kinds: ["probabilities"] },
  boundary: { name: "Highest probability", scale: "plasma_r", label: "highest class probability", kinds: ["probabilities"] },
  entropy: { name: "Entropy", scale: "plasma", label: "entropy / log C", kinds: ["probabilities"] },
  margin: { name: "Margin", scale: "plasma_r", label: "highest − second highest probability", kinds: ["probabilities"] },
  probability: { name: "One class", scale: "viridis", label: "probability", kinds: ["probabilities", "multilabel"] },
  difference: { name: "Difference", scale: "inferno", label: "", kinds: ["probabilities", "multilabel", "values"] },
  change: { name: "Change", scale: "inferno", label: "change since the snapshot before", kinds: ["probabilities"] },
  values: { name: "Value", scale: "viridis", label: "value", kinds: ["values"] },
};

const THEMES = {
  light: {
    ink: "#1c1f24", halo: "#ffffff", muted: "#5d646e", frame: "#c9ced6", accent: "#b3261e",
    range: "rgb(0 114 178 / 0.14)", ground: [255, 255, 255], empty: 0xfff0ecea,
    curves: ["#0a66c2", "#8a4b00", "#00735a", "#7a3e9d"],
  },
  dark: {
    ink: "#f2f4f7", halo: "#101216", muted: "#a3abb6", frame: "#414853", accent: "#ff9d76",
    range: "rgb(120 180 255 / 0.2)", ground: [16, 18, 22], empty: 0xff2a2522,
    curves: ["#7cb8ff", "#f0b35a", "#5fd0b0", "#d3a4f0"],
  },
};

const PLAY = "M7 4l12 8-12 8z";
const PAUSE = "M8 5v14M16 5v14";
const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4, 8];
const INSET = 14;
const MOST_ROWS = 400;
const OTHERS = [128, 128, 128];
const CLOCKS = ["epoch", "step", "slow", "snapshot", "progress"];
const TOPS = [3, 5, 7, 10, 20];
const ALONG = 240;
/** Places along a line. */
const EMBEDDED = 760;
/** Pixels that a player among other things is tall, if it is wide enough. */

export class Player {
  /**
   * @param {HTMLElement} root
   * @param {Source} source
   * @param {{embedded?: boolean, dark?: boolean | null}} [options] embedded: one part of a page of
   *   others, such as a notebook, whose address and keys it leaves alone; dark: whether that is
   *   dark, if it is known
   */
  constructor(root, source, { embedded = false, dark = null } = {}) {
    this.root = root;
    this.source = source;
    this.embedded = embedded;
    this.ended = new AbortController();
    this.facts = source.facts;
    this.recordings = this.facts.recordings.map((/** @type {any} */ facts) => prepared(facts));
    this.main = this.recordings[0];
    this.output = this.main.output;
    this.classes = this.main.classes.length;
    /** The time axis of all recordings together. */
    this.times = this.main.epochs;
    this.steps = this.main.steps;
    this.modes = Object.entries(MODES).filter(([, mode]) => mode.kinds.includes(this.output)).map(([name]) => name)
      .filter((name) => name !== "difference" || this.areComparable());
    const first = this.modes.includes(this.facts.mode) ? this.facts.mode : this.modes[0];
    this.state = {
      position: 0, playing: false, speed: 1, loop: true,
      clock: /** @type {import("./clock.js").ClockName} */ (
        this.recordings.length > 1 ? this.facts.by ?? "epoch" : this.steps && !ascends(this.times) ? "step" : "epoch"),
      /** @type {[number, number] | null} */ range: null,
      mode: first, of: this.facts.of ?? (this.classes > 1 ? 1 : 0),
      /** The class whose probabilities are subtracted, -1 for the total variation. */
      part: this.facts.part ?? (this.output === "probabilities" ? -1 : 0),
      /** How many classes have a colour, 0 for all. */
      top: this.facts.top ?? 0, outline: !!this.facts.outline,
      palette: Object.keys(this.facts.palettes)[0],
      /** @type {string | null} */ scale: this.facts.scale,
      /** @type {Set<number>} */ hidden: new Set(),
      /** @type {Set<number>} */ hiddenGroups: new Set(),
      /** @type {number[]} */ contours: this.facts.levels ?? [],
      shade: this.facts.shade, showPoints: true,
      /** @type {"auto" | "light" | "dark"} */
      theme: (this.facts.dark ?? dark) === null ? "auto" : (this.facts.dark ?? dark) ? "dark" : "light",
      /** @type {[number, number][]} */ pins: [],
      /** @type {number[] | null} */ line: null,
      /** @type {[number, number] | null} */ cursor: null,
      tool: "pin",
      /** @type {Set<number>} */ chosen: new Set(),
      interpolation: this.facts.interpolation,
    };
    this.last = 0;
    /** @type {MapView | undefined} */
    this.disagreement = undefined;
    /** @type {string | null} */
    this.samplesOf = null;
    /** The range whose maps are computed or shown, and the name of its sums. @type {{range: string, sum: string} | null} */
    this.measured = null;
    this.stripKey = "";
    /** @type {{name: string, color: string, values: (number | null)[], places?: number[], logged?: number[], points?: [number, number][]}[]} */
    this.curves = [];
    this.shadeKey = "";
    this.pointsKey = "";
    this.lastHash = "";
    /** Of each recording, what was found at the pins and along the line. @type {Samples[]} */
    this.samples = this.recordings.map(() => ({ count: 0, pins: [], line: null }));
    /** @type {[number, number][][]} */
    this.paths = [];
    this.mergeTimes();
    const stops = (this.facts.ask ?? []).map((/** @type {number} */ stop) => positionOf(this.times, stop));
    this.lesson = stops.length ? new Lesson(this, stops) : null;
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.night = matchMedia("(prefers-color-scheme: dark)");
    this.words = new Map();
    /** @type {Map<string, Float32Array>} */
    this.buffers = new Map();
    this.dirty = true;
    this.soft = false;
    this.frames = 0;
    this.lastFrame = 0;
    this.saidAt = 0;
    this.slowAt = 0;
    this.slowDue = false;
    this.readAt = 0;
    this.ledAt = 0;
    this.ledFrom = 0;
    /** Snapshots a millisecond. */
    this.pace = 0;
    this.clockMade = clockOf("snapshot", [], null);
    this.clockKey = "";
    this.stillSince = 0;
    this.sharp = false;
    this.direction = 1;
    /** @type {any} */
    this.parts = {};
    if (!embedded) this.readHash();
    this.store = new MapStore(
      this.recordings.map((/** @type {any} */ _, /** @type {number} */ r) => ({ bytes: (/** @type {number} */ i) => source.bytes(r, i) })),
      source.worker,
      () => this.arrived(),
      (message) => this.complain(`A map cannot be shown: ${message}`),
    );
    /** @type {MapView[]} */
    this.views = this.recordings.map((/** @type {any} */ recording) => new MapView(recording, recording.name));
    this.build();
    this.listen();
    this.unsubscribe = source.subscribe((replaced) => this.grown(replaced));
    this.request = requestAnimationFrame((now) => this.frame(now));
  }

  close() {
    cancelAnimationFrame(this.request);
    this.unsubscribe();
    this.ended.abort();
    clearTimeout(this.sayLater);
    this.observer?.disconnect();
    this.store.close();
    this.root.replaceChildren();
  }

  /**
   * Take over facts that have grown.
   * @param {[number, number]} [replaced] the recording and the first of its snapshots that are new
   */
  grown(replaced) {
    const { state } = this;
    const followed = state.position >= this.last - 1e-6 && !state.playing;
    this.facts = this.source.facts;
    this.facts.recordings.forEach((/** @type {any} */ facts, /** @type {number} */ r) =>
      Object.assign(this.recordings[r], prepared(facts, this.recordings[r])));
    if (replaced) {
      this.store.forget(...replaced);
      this.samplesOf = null;
      this.measured = null;
    }
    this.mergeTimes();
    // Whoever looks at the last snapshot sees the next one when it comes.
    state.position = followed ? this.last : Math.min(state.position, this.last);
    if (state.range && state.range[1] > this.last) state.range = null;
    this.clockKey = this.stripKey = this.pointsKey = "";
    this.parts.epoch.max = this.times[this.last];
    this.changed();
  }

  /** Several recordings share a time axis with the times of all. */
  mergeTimes() {
    this.steps = this.recordings.length < 2 ? this.main.steps : null;
    for (const one of this.recordings) one.times = this.timesOf(one);
    this.times = this.main.times;
    if (this.recordings.length > 1) {
      const every = new Set(this.recordings.flatMap((/** @type {any} */ one) => one.times));
      this.times = [...every].sort((a, b) => a - b);
    }
    this.last = this.times.length - 1;
  }

  /** By what several recordings are brought together: "epoch", "step" or "progress". */
  get axis() {
    const { clock } = this.state;
    return this.recordings.length > 1 && (clock === "step" || clock === "progress") ? clock : "epoch";
  }

  /** When the snapshots of a recording were captured, on the axis. @param {any} one @returns {number[]} */
  timesOf(one) {
    if (this.axis === "epoch") return one.epochs;
    const known = one.steps && (this.axis === "step" || !ascends(one.epochs)) ? one.steps : one.epochs;
    if (this.axis === "step") return known;
    const [first, last] = [known[0], known[known.length - 1]];
    // Rounded, so that equal shares of runs of different length are the same time.
    return known.map((/** @type {number} */ time) => Math.round((1e9 * (time - first)) / Math.max(last - first, 1)) / 1e9);
  }

  /** @param {number} time on the axis */
  timeText(time) {
    if (this.axis === "progress") return `${(100 * time).toFixed(0)}\u00a0%`;
    return this.unit && `${this.unit} ${Math.floor(time + 1e-9)}`;
  }

  /** What the axis counts; an empty text for a model that was fitted already. */
  get unit() {
    return this.axis === "epoch" ? this.main.unit ?? "epoch" : this.axis;
  }

  /** @param {number} time @returns {string} */
  counterText(time) {
    const step = this.steps ? String(Math.floor(valueAt(this.steps, this.state.position) + 1e-9)) : "";
    const text = this.axis === "progress" ? null : this.facts.counter;
    if (!text) return this.timeText(time) + (step && `, step ${step}`);
    return text.replace(/\{epoch[^}]*\}/g, String(Math.floor(time + 1e-9))).replace(/\{step[^}]*\}/g, step);
  }

  /** What the first recording shows stays, if the axis becomes another. @param {string} clock */
  setClock(clock) {
    const before = this.axis;
    const place = this.positionIn(this.main);
    this.state.clock = /** @type {any} */ (clock);
    if (this.axis !== before) {
      this.mergeTimes();
      this.state.position = positionOf(this.times, valueAt(this.main.times, place));
      this.setRange(null);
    }
    this.changed();
  }

  /** @param {any} recording the place among the recording's own snapshots */
  positionIn(recording) {
    if (this.recordings.length < 2) return this.state.position;
    return positionOf(recording.times, valueAt(this.times, this.state.position));
  }

  get clock() {
    const key = `${this.state.clock} ${this.times.length} ${this.times[this.last]}`;
    if (key !== this.clockKey) {
      this.clockKey = key;
      this.clockMade = clockOf(this.state.clock, this.times, this.steps);
    }
    return this.clockMade;
  }

  get theme() {
    const { theme } = this.state;
    const dark = theme === "auto" ? this.night.matches : theme === "dark";
    return dark ? THEMES.dark : THEMES.light;
  }

  /** The colour of every class. @returns {number[][]} */
  get colors() {
    const kept = this.keptOf(this.main);
    const colors = this.facts.palettes[this.state.palette];
    if (!kept) return colors;
    return this.main.classes.map((/** @type {string} */ _, /** @type {number} */ k) => {
      const place = kept.indexOf(k);
      return place < 0 ? OTHERS : colors[place];
    });
  }

  /** The classes of a recording that have a colour; null if all have. @param {any} recording @returns {number[] | null} */
  keptOf(recording) {
    const { top, mode } = this.state;
    if (mode !== "region" || !top || top >= this.classes || !recording.order) return null;
    return recording.order.slice(0, top).sort((/** @type {number} */ a, /** @type {number} */ b) => a - b);
  }

  /** Whether there are maps to subtract from one another. */
  areComparable() {
    const [first, ...others] = this.recordings;
    return others.length > 0 && others.every((/** @type {any} */ one) =>
      one.classes.length === this.classes && `${one.shape}` === `${first.shape}`);
  }

  /** The recording whose maps are subtracted from those of another. @param {number} r */
  against(r) {
    return r ? 0 : 1;
  }

  // ---------------------------------------------------------------- the page

  build() {
    const p = this.parts;
    const { facts } = this;
    p.live = el("p", { class: "tv-live", "aria-live": "polite", role: "status" });
    p.note = el("p", { class: "tv-note", hidden: true, role: "alert" });
    p.theme = el("button", { type: "button", onclick: () => this.nextTheme() });
    p.head = el("header", { class: "tv-head" },
      el("div", { class: "tv-titles" },
        el("h1", { dir: "auto" }, facts.title || (this.main.unit === "" ? "Model" : "Training")),
        facts.subtitle && el("p", { dir: "auto" }, facts.subtitle),
      ),
      el("div", { class: "tv-actions" },
        p.theme,
        el("button", { type: "button", onclick: () => this.savePicture() }, "Save picture"),
        el("button", { type: "button", onclick: () => this.toggleHelp(), "aria-haspopup": "dialog" }, "Keys"),
      ),
    );
    p.views = el("div", { class: "tv-views" }, ...this.views.map((/** @type {MapView} */ view) => view.root));
    p.disagreement = this.recordings.length > 1 ? this.buildDisagreement() : null;
    if (p.disagreement) p.views.append(p.disagreement);
    const map = el("section", { class: "tv-map", "aria-label": "Map" }, this.buildMapBar(), p.views);
    const side = el("div", { class: "tv-side" }, this.buildLook(), this.buildClasses());
    const ask = el("div", { class: "tv-ask" }, this.lesson?.root, this.buildAsk());
    p.time = this.buildTime();
    p.time.hidden = this.recordings.every((/** @type {any} */ one) => one.unit === "");
    p.help = this.buildHelp();
    this.root.className = this.embedded ? "tv tv-embedded" : "tv";
    this.root.replaceChildren(
      p.head, el("main", { class: "tv-main" }, map, side, ask), p.time, p.note, p.live, p.help,
    );
    const skipped = this.recordings.filter((/** @type {any} */ one) => one.epochs.length < one.total);
    if (skipped.length)
      p.live.before(el("p", { class: "tv-foot" },
        `This page shows ${skipped.map((/** @type {any} */ one) => `${one.epochs.length} of ${one.total}`).join(", ")} snapshots, chosen evenly.`));
    if (facts.note) p.live.before(el("p", { class: "tv-foot" }, facts.note));
    this.observer = new ResizeObserver(() => this.layout());
    this.observer.observe(p.views);
    if (!this.embedded) this.observer.observe(document.documentElement);
    this.applyTheme();
    this.layout();
  }

  buildMapBar() {
    const p = this.parts;
    const tool = (/** @type {string} */ name, /** @type {string} */ text, /** @type {string} */ hint) =>
      el("button", { type: "button", class: "tv-tool", "data-tool": name, title: hint, "aria-pressed": "false",
        onclick: () => this.setTool(name) }, text);
    p.tools = el("div", { class: "tv-group", role: "group", "aria-label": "What a click on the map does" },
      tool("pin", "Pin", "Click: pin a place and see its probabilities over time"),
      tool("line", "Line", "Drag: draw a line and see its kymograph"),
      this.main.points ? tool("select", "Select", "Drag: select data points") : null);
    p.zoomOut = el("button", { type: "button", "aria-label": "Zoom out", onclick: () => this.zoom(1.5) }, "−");
    p.zoomReset = el("button", { type: "button", title: "Show the whole map", onclick: () => this.zoom(0) }, "Fit");
    p.mapbar = el("div", { class: "tv-mapbar" }, p.tools,
      el("div", { class: "tv-group", role: "group", "aria-label": "Zoom" },
        el("button", { type: "button", "aria-label": "Zoom in", onclick: () => this.zoom(1 / 1.5) }, "+"),
        p.zoomOut, p.zoomReset));
    return p.mapbar;
  }

  buildLook() {
    const p = this.parts;
    p.mode = select("Show", this.modes.map((name) => [name, MODES[/** @type {"region"} */ (name)].name]), (value) => {
      this.state.mode = value;
      this.changed();
    });
    p.of = select("Class", this.main.classes.map((/** @type {string} */ name, /** @type {number} */ k) => [String(k), name]), (value) => {
      this.state.of = Number(value);
      this.changed();
    });
    p.part = select("Of", [.../** @type {[string, string][]} */ (this.output === "probabilities" ? [["-1", "all classes"]] : []),
      ...this.main.classes.map((/** @type {string} */ name, /** @type {number} */ k) => [String(k), name])], (value) => {
      this.state.part = Number(value);
      this.changed();
    });
    const tops = [...new Set([...TOPS, this.facts.top ?? 3])].sort((a, b) => a - b).filter((count) => count < this.classes);
    p.top = select("With a colour", [["0", "all classes"], .../** @type {[string, string][]} */ (tops.map((count) => [String(count), `${count} largest`]))], (value) => {
      this.state.top = Number(value);
      this.changed();
    });
    p.outline = check("Outlines", this.state.outline, (on) => {
      this.state.outline = on;
      this.changed();
    });
    p.guess = this.recordings.some((/** @type {any} */ one) => one.doubt)
      ? el("p", { class: "tv-hint" }, "Hatched: a guess, since inputs there are poorly reconstructed.") : null;
    p.palette = select("Colours", Object.keys(this.facts.palettes).map((name) => [name, name]), (value) => {
      this.state.palette = value;
      this.changed();
    });
    p.scale = select("Colours", [["", "default"], .../** @type {[string, string][]} */ (Object.keys(this.facts.scales).map((name) => [name, name]))], (value) => {
      this.state.scale = value || null;
      this.changed();
    });
    p.contours = field("Contour lines at", { type: "text", placeholder: "e.g. 0.5, 0.9", inputmode: "decimal" }, (value) => {
      this.state.contours = value.split(/[\s,;]+/).filter(Boolean).map(Number).filter(Number.isFinite).slice(0, 12);
      this.changed();
    });
    p.contours.input.value = this.state.contours.join(", ");
    p.shade = check("Paler if unsure", this.state.shade, (on) => {
      this.state.shade = on;
      this.changed();
    });
    p.showPoints = this.main.points ? check("Points", true, (on) => {
      this.state.showPoints = on;
      this.changed();
    }) : null;
    p.bar = el("canvas", { width: 256, height: 1, class: "tv-scalebar" });
    p.low = el("span");
    p.high = el("span");
    p.barLabel = el("figcaption");
    p.scaleBox = el("figure", { class: "tv-scale" }, p.barLabel, p.bar, el("div", { class: "tv-ends" }, p.low, p.high));
    return el("section", { class: "tv-panel tv-look" },
      el("div", { class: "tv-fields" }, p.mode.root, p.of.root, p.part.root, p.palette.root, p.scale.root, p.top.root, p.contours.root),
      el("div", { class: "tv-checks" }, p.shade, p.outline, p.showPoints), p.scaleBox, p.guess);
  }

  buildClasses() {
    const p = this.parts;
    const rows = this.main.classes.map((/** @type {string} */ name, /** @type {number} */ k) => {
      const box = el("input", { type: "checkbox", onchange: () => {
        if (box.checked) this.state.hidden.delete(k);
        else this.state.hidden.add(k);
        this.changed();
      } });
      box.checked = !this.state.hidden.has(k);
      const swatch = el("span", { class: "tv-swatch", "aria-hidden": "true" });
      const fill = el("span", { class: "tv-fill" });
      const number = el("span", { class: "tv-number" });
      const row = el("li", {},
        el("label", { title: name }, box, swatch, el("span", { class: "tv-name", dir: "auto" }, name)),
        el("span", { class: "tv-meter", "aria-hidden": "true" }, fill), number);
      return { row, swatch, fill, number, box };
    });
    p.rows = rows;
    p.where = el("p", { class: "tv-where" });
    const kind = this.output === "values" ? "Value" : this.output === "multilabel" ? "Labels" : "Classes";
    return el("section", { class: "tv-panel tv-classes", "aria-label": kind },
      el("div", { class: "tv-panelhead" }, el("h2", {}, kind), p.where),
      el("ul", { class: rows.length > 20 ? "tv-many" : "" }, ...rows.map((/** @type {any} */ row) => row.row)), this.buildGroups());
  }

  /** The groups of the data, with their markers and accuracies. */
  buildGroups() {
    const p = this.parts;
    p.groups = [];
    const { points } = this.main;
    if (!points?.groups) return null;
    p.groups = points.groupNames.map((/** @type {string} */ name, /** @type {number} */ k) => {
      const box = el("input", { type: "checkbox", onchange: () => {
        if (box.checked) this.state.hiddenGroups.delete(k);
        else this.state.hiddenGroups.add(k);
        this.changed();
      } });
      box.checked = !this.state.hiddenGroups.has(k);
      const marker = el("canvas", { class: "tv-marker", width: 36, height: 36, "aria-hidden": "true" });
      const share = el("span", { class: "tv-number" });
      const row = el("li", {}, el("label", { title: name }, box, marker, el("span", { class: "tv-name", dir: "auto" }, name)),
        el("span", { class: "tv-hint" }, points.labels ? "right" : ""), share);
      return { row, marker, share };
    });
    return el("div", { class: "tv-groups" }, el("h2", {}, "Points"), el("ul", {}, ...p.groups.map((/** @type {any} */ one) => one.row)));
  }

  refreshGroups() {
    const { main, theme } = this;
    const { groups } = this.parts;
    if (!groups.length) return;
    const shares = main.predictions ? this.accuracies(Math.floor(this.positionIn(main) + 1e-9)) : [];
    groups.forEach((/** @type {any} */ one, /** @type {number} */ k) => {
      const text = shares[k] && !Number.isNaN(shares[k][1]) ? percent(shares[k][1]) : "";
      if (one.share.textContent !== text) one.share.textContent = text;
      if (one.ink === theme.ink) return;
      one.ink = theme.ink;
      const context = one.marker.getContext("2d");
      context.clearRect(0, 0, 36, 36);
      drawMarker(context, k, 18, 18, 10, { color: theme.ink, outline: theme.ink, halo: theme.halo, thin: 1 });
    });
  }

  buildAsk() {
    const p = this.parts;
    p.tabs = [];
    const tab = (/** @type {string} */ name, /** @type {string} */ text, /** @type {Node} */ content) => {
      const button = el("button", { type: "button", role: "tab", id: `${OWN}-tab-${name}`, "aria-controls": `${OWN}-panel-${name}`,
        onclick: () => this.openTab(name), onkeydown: (/** @type {KeyboardEvent} */ event) => this.tabKey(event) }, text);
      const panel = el("div", { role: "tabpanel", id: `${OWN}-panel-${name}`, "aria-labelledby": `${OWN}-tab-${name}`, hidden: true }, content);
      p.tabs.push({ name, button, panel });
    };
    p.pinList = el("div", { class: "tv-pins" });
    tab("pins", "Pins", p.pinList);
    tab("range", "Range", this.buildRange());
    tab("line", "Line", this.buildLine());
    if (this.main.points?.labels) tab("points", "Points", this.buildPoints());
    const box = el("section", { class: "tv-panel tv-tabs", "aria-label": "Questions" },
      el("div", { class: "tv-tablist", role: "tablist" }, ...p.tabs.map((/** @type {any} */ one) => one.button)),
      ...p.tabs.map((/** @type {any} */ one) => one.panel));
    const { pins, line, range } = this.state;
    this.openTab(pins.length ? "pins" : line ? "line" : range ? "range" : "pins");
    return box;
  }

  buildRange() {
    const p = this.parts;
    p.rangeText = el("p", { class: "tv-hint" });
    p.rangeGo = el("button", { type: "button", class: "tv-main-action", onclick: () => this.measureRange() }, "Compute its maps");
    p.rangeClear = el("button", { type: "button", onclick: () => this.setRange(null) }, "Clear");
    p.rangeMaps = el("div", { class: "tv-minimaps" });
    p.rangeFacts = el("dl", { class: "tv-facts" });
    return el("div", {}, p.rangeText, el("div", { class: "tv-row" }, p.rangeGo, p.rangeClear), p.rangeMaps, p.rangeFacts);
  }

  buildLine() {
    const p = this.parts;
    p.lineHint = el("p", { class: "tv-hint" }, "Choose Line below the map and drag across it: position from left to right, time downwards, coloured by class.");
    p.kymographs = this.recordings.map((/** @type {any} */ one) => {
      const canvas = el("canvas", { class: "tv-kymograph", width: ALONG, height: 240, role: "img", "aria-label": `Kymograph ${one.name}`.trim() });
      const now = el("div", { class: "tv-kymo-now", "aria-hidden": "true" });
      const root = el("figure", { hidden: true },
        this.recordings.length > 1 && el("figcaption", { class: "tv-runhead" }, el("b", { dir: "auto" }, one.name)),
        el("div", { class: "tv-kymobox" }, canvas, now),
        el("div", { class: "tv-ends" }, el("span", {}, "A"), el("span", {}, "B")));
      return { canvas, now, root };
    });
    p.lineClear = el("button", { type: "button", hidden: true, onclick: () => this.setLine(null) }, "Remove the line");
    p.kymographTime = el("p", { class: "tv-hint" });
    return el("div", {}, p.lineHint, ...p.kymographs.map((/** @type {any} */ one) => one.root), p.kymographTime, p.lineClear);
  }

  buildPoints() {
    const p = this.parts;
    this.sorting = { by: "events", down: true };
    const heads = [["point", "#"], ...(this.main.points?.groups ? [["group", "Group"]] : []), ["label", "Label"], ["guess", "Now"], ["first", "Learnt"], ["events", "Forgot"]];
    p.pointHeads = heads.map(([by, text]) => ({
      by, cell: el("th", { scope: "col" }, el("button", { type: "button", onclick: () => this.sortPoints(by) }, text)),
    }));
    p.pointRows = el("tbody");
    p.pointText = el("p", { class: "tv-hint" });
    return el("div", {}, p.pointText,
      el("div", { class: "tv-scroll", tabindex: "0", role: "region", "aria-label": "List of data points" }, el("table", { class: this.main.points?.groups ? "tv-grouped" : "" },
        el("thead", {}, el("tr", {}, ...p.pointHeads.map((/** @type {any} */ head) => head.cell))), p.pointRows)));
  }

  buildTime() {
    const p = this.parts;
    const button = (/** @type {string} */ shape, /** @type {string} */ label, /** @type {() => void} */ act) =>
      el("button", { type: "button", class: "tv-icon", "aria-label": label, title: label, onclick: act }, icon(shape));
    p.playIcon = icon(PLAY);
    p.playText = el("span", {}, "Play");
    p.play = el("button", { type: "button", class: "tv-play", onclick: () => this.toggle() }, p.playIcon, p.playText);
    p.epoch = el("input", { type: "number", min: this.times[0], max: this.times[this.last], step: 1, "aria-label": "Go to epoch",
      onchange: () => this.goToEpoch(Number(p.epoch.value)) });
    p.counter = el("output", { class: "tv-counter" });
    const isAlone = this.recordings.length < 2;
    const clocks = [["epoch", `by ${this.main.unit ?? "epoch"}`], ["slow", "slow at first"], [isAlone ? "snapshot" : "progress", "progress"]];
    if (this.recordings.every((/** @type {any} */ one) => one.steps)) clocks.splice(1, 0, ["step", "by step"]);
    p.goName = el("span", {}, "Go to epoch");
    p.clock = select("Clock", /** @type {[string, string][]} */ (clocks), (value) => this.setClock(value));
    p.speed = select("Speed", SPEEDS.map((speed) => [String(speed), `${speed}×`.replace("0.", "0.")]), (value) => {
      this.state.speed = Number(value);
      this.changed();
    });
    p.speed.input.value = String(this.state.speed);
    p.speed.root.classList.add("tv-speed");
    p.loop = check("Loop", true, (on) => { this.state.loop = on; });
    p.curves = el("div", { class: "tv-curves" });
    p.strip = el("canvas", { class: "tv-strip", "aria-hidden": "true" });
    p.now = el("div", { class: "tv-playhead", "aria-hidden": "true" });
    p.slider = el("input", { type: "range", min: 0, max: 1, step: "any", class: "tv-slider", "aria-label": "Time",
      oninput: () => this.scrub(Number(p.slider.value)), onkeydown: (/** @type {KeyboardEvent} */ event) => this.sliderKey(event) });
    return el("section", { class: "tv-time", "aria-label": "Time" },
      el("div", { class: "tv-controls" },
        el("div", { class: "tv-group" },
          button("M5 5v14M19 5l-10 7 10 7z", "First snapshot", () => this.seek(this.ends()[0])),
          button("M16 5l-10 7 10 7z", "Snapshot before", () => this.step(-1)),
          p.play,
          button("M8 5l10 7-10 7z", "Next snapshot", () => this.step(1)),
          button("M19 5v14M5 5l10 7-10 7z", "Last snapshot", () => this.seek(this.ends()[1]))),
        p.counter,
        el("label", { class: "tv-goto" }, p.goName, p.epoch),
        p.clock.root, p.speed.root, p.loop, p.curves),
      el("div", { class: "tv-track" }, p.strip, p.now, p.slider));
  }

  buildHelp() {
    const keys = [
      ["Space", "play, pause"], [", .", "snapshot before, next"], ["Home End", "first, last snapshot"],
      ["M", "next mode"], ["[ ]", "begin, end of the range"], ["\\", "no range"],
      ["Arrows", "on the map: move the cursor (Shift: faster)"], ["Enter", "on the map: pin the cursor's place"],
      ["Delete", "remove the last pin"], ["A B", "on the map: begin, end of the line"], ["+ − 0", "zoom in, out, whole map"],
      ["S", "save the picture"], ["?", "these keys"],
    ];
    return el("dialog", { class: "tv-help", "aria-label": "Keys" },
      el("h2", {}, "Keys"),
      el("dl", {}, ...keys.flatMap(([key, text]) => [el("dt", {}, ...key.split(" ").map((one) => el("kbd", {}, one))), el("dd", {}, text)])),
      el("p", { class: "tv-hint" }, "Drag over the curves to choose a range of epochs; Ctrl and the wheel zoom; drag a zoomed map to move it."),
      el("button", { type: "button", onclick: () => this.toggleHelp() }, "Close"));
  }

  buildDisagreement() {
    const first = this.recordings[0];
    this.disagreement = new MapView({ ...first, points: null, anchors: null }, "Disagreement");
    this.disagreement.quantityOf = (planes) => planes.map;
    return this.disagreement.root;
  }

  // ---------------------------------------------------------------- layout

  layout() {
    const p = this.parts;
    const count = this.views.length + (this.disagreement ? 1 : 0);
    const free = p.views.clientWidth;
    if (!free) return;
    // As the stylesheet has it, by the room of the player, not of the screen.
    const wide = this.root.clientWidth >= 900;
    const screen = this.embedded ? Math.min(EMBEDDED, window.innerHeight) : window.innerHeight;
    const columns = count === 1 ? 1 : free / 2 > 240 ? (count > 3 && free > 900 ? 3 : 2) : 1;
    const rows = Math.ceil(count / columns);
    let tall = Math.min(free, screen * 0.72);
    if (wide) {
      // The map, its buttons and the time fill the window, so that nothing scrolls.
      const taken = [p.head, p.time].reduce((sum, part) => sum + part.offsetHeight, 0);
      const height = Math.max(320, screen - taken - 8);
      this.root.style.setProperty("--free", `${height}px`);
      tall = height / Math.min(rows, 2);
    }
    const ratio = window.devicePixelRatio || 1;
    const gap = 12;
    for (const view of this.everyView())
      view.fit((free - gap * (columns - 1)) / columns, tall - (count > 1 ? 30 : 0), ratio);
    p.views.style.setProperty("--columns", String(columns));
    this.changed();
  }

  everyView() {
    return this.disagreement ? [...this.views, this.disagreement] : this.views;
  }

  applyTheme() {
    const { theme } = this.state;
    if (theme === "auto") delete this.root.dataset.theme;
    else this.root.dataset.theme = theme;
    this.parts.theme.textContent = `Theme: ${theme === "auto" ? "system" : theme}`;
  }

  nextTheme() {
    const order = /** @type {const} */ (["auto", "light", "dark"]);
    this.state.theme = order[(order.indexOf(this.state.theme) + 1) % 3];
    this.applyTheme();
    this.changed();
  }

  toggleHelp() {
    const { help } = this.parts;
    if (help.open) help.close();
    else help.showModal();
  }

  /** @param {string} name */
  openTab(name) {
    this.tab = name;
    for (const tab of this.parts.tabs) {
      const chosen = tab.name === name;
      tab.button.setAttribute("aria-selected", String(chosen));
      tab.button.tabIndex = chosen ? 0 : -1;
      tab.panel.hidden = !chosen;
    }
    this.changed();
  }

  /** @param {KeyboardEvent} event */
  tabKey(event) {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    const { tabs } = this.parts;
    const at = tabs.findIndex((/** @type {any} */ tab) => tab.name === this.tab);
    const next = tabs[(at + step + tabs.length) % tabs.length];
    this.openTab(next.name);
    next.button.focus();
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {string} message */
  complain(message) {
    this.parts.note.hidden = false;
    this.parts.note.textContent = message;
  }

  // ---------------------------------------------------------------- time

  /** @returns {[number, number]} */
  ends() {
    return this.state.range ?? [0, this.last];
  }

  /** @param {number} position */
  seek(position) {
    this.direction = position >= this.state.position ? 1 : -1;
    this.state.position = Math.max(0, Math.min(this.last, this.lesson?.limit ?? Infinity, position));
    this.changed();
  }

  /** @param {number} step */
  step(step) {
    this.pause();
    const { position } = this.state;
    const next = step > 0 ? Math.floor(position + 1e-9) + 1 : Math.ceil(position - 1e-9) - 1;
    this.seek(next);
  }

  /** @param {number} share of the slider */
  scrub(share) {
    this.pause();
    const position = this.clock.position(share);
    const snap = Math.round(position);
    // Near a snapshot, it is meant: a real one, not an interpolated picture.
    const near = Math.abs(this.clock.share(snap) - share) * this.parts.strip.clientWidth < 4;
    this.seek(near ? snap : position);
  }

  /** @param {KeyboardEvent} event */
  sliderKey(event) {
    const steps = /** @type {Record<string, number>} */ ({ ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 });
    if (event.key in steps) {
      const step = steps[event.key];
      this.pause();
      if (Math.abs(step) === 1) this.step(step);
      else this.seek(Math.round(this.state.position) + step);
    } else if (event.key === "Home") this.seek(this.ends()[0]);
    else if (event.key === "End") this.seek(this.ends()[1]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {number} epoch or what else the axis counts */
  goToEpoch(epoch) {
    if (!Number.isFinite(epoch)) return;
    this.pause();
    this.seek(positionOf(this.times, this.axis === "progress" ? epoch / 100 : epoch));
  }

  toggle() {
    if (this.state.playing) this.pause();
    else this.playNow();
  }

  playNow() {
    const [first, last] = this.ends();
    if (this.last < 1 || this.lesson?.stage === "asked") return;
    if (this.lesson?.stage === "told") this.lesson.finish(false);
    if (this.state.position >= last - 1e-6 || this.state.position < first) this.state.position = first;
    this.state.playing = true;
    this.direction = 1;
    this.lastFrame = performance.now();
    this.changed();
  }

  pause() {
    if (!this.state.playing) return;
    this.state.playing = false;
    this.changed();
  }

  /** @param {number} elapsed seconds */
  advance(elapsed) {
    const { state, clock } = this;
    const [first, last] = this.ends();
    const from = state.position;
    const share = clock.share(from) + (elapsed * state.speed) / this.facts.seconds;
    const end = clock.share(last);
    if (share >= end) {
      if (state.loop) state.position = first;
      else {
        state.position = last;
        state.playing = false;
      }
    } else state.position = clock.position(share);
    const stop = state.position >= from ? this.lesson?.stopBetween(from, state.position) ?? -1 : -1;
    if (stop >= 0) {
      state.position = stop;
      state.playing = false;
      this.lesson?.ask(stop);
    }
    // With reduced motion a page shows one snapshot after another, and nothing between them.
    if (this.calm.matches) this.shownPosition = Math.floor(state.position + 1e-9);
    this.dirty = true;
  }

  /** @param {[number, number] | null} range positions */
  setRange(range) {
    if (range) {
      const low = Math.max(0, Math.floor(Math.min(...range)));
      const high = Math.min(this.last, Math.ceil(Math.max(...range)));
      range = high > low ? [low, high] : null;
    }
    this.state.range = range;
    this.changed();
  }

  // ---------------------------------------------------------------- painting

  /** Paint, sharpen and refresh again. */
  changed() {
    this.dirty = true;
    this.sharp = false;
    this.soft = true;
  }

  arrived() {
    this.dirty = true;
  }

  /** @param {number} now */
  frame(now) {
    this.request = requestAnimationFrame((next) => this.frame(next));
    if (this.state.playing && !this.parts.help.open) this.advance(Math.min(0.1, (now - this.lastFrame) / 1000));
    this.lastFrame = now;
    if (this.dirty) {
      this.dirty = false;
      this.paint();
      this.stillSince = now;
      this.frames++;
    } else if (!this.sharp && !this.state.playing && now - this.stillSince > 120) {
      this.sharp = true;
      this.everyView().forEach((view, r) => view.sharpen(view === this.disagreement ? this.disagreementLook() : this.look(r)));
      this.work();
    }
    if (this.soft) {
      this.soft = false;
      this.refresh();
    } else if (this.state.playing || this.slowDue) this.refresh();
  }

  /** @param {number} [r] the recording @returns {import("./view.js").Look} */
  look(r = 0) {
    const { state } = this;
    const mode = MODES[/** @type {"region"} */ (state.mode)];
    const isSigned = state.mode === "difference" && state.part >= 0;
    const own = isSigned ? "RdBu_r" : mode.scale;
    const chosen = this.facts.scales[state.scale ?? ""];
    const scale = chosen ? /** @type {string} */ (state.scale) : own;
    const toClass = !chosen && state.mode === "probability" && this.output === "probabilities";
    const kept = this.keptOf(this.recordings[r]);
    /** @type {[number, number]} */
    let limits = [0, 1];
    if (state.mode === "boundary") limits = [1 / Math.max(2, this.classes), 1];
    if (state.mode === "values") limits = this.valueLimits();
    if (isSigned) limits = [-(this.facts.spread ?? 1), this.facts.spread ?? 1];
    return {
      mode: state.mode, of: state.mode === "difference" ? state.part : state.of, limits, classes: this.classes,
      contours: state.contours, kept, outline: state.outline, shades: this.shades(kept), words: toClass ? rampWords(this.theme.ground, this.colors[state.of]) : scale ? this.scaleWords(scale) : new Uint32Array(256),
    };
  }

  /** @returns {[number, number]} */
  valueLimits() {
    const all = this.recordings.map((/** @type {any} */ one) => one.limits ?? [0, 1]);
    return [Math.min(...all.map((/** @type {number[]} */ pair) => pair[0])), Math.max(...all.map((/** @type {number[]} */ pair) => pair[1]))];
  }

  /** @param {number[] | null} [kept] the classes that are painted; the others follow as one */
  shades(kept = null) {
    const { state, theme } = this;
    const key = [state.palette, state.mode, state.top, theme === THEMES.dark, state.shade, ...state.hidden, kept].join();
    if (this.shadeKey !== key) {
      this.shadeKey = key;
      const colors = kept ? [...this.facts.palettes[state.palette].slice(0, kept.length), OTHERS] : this.colors;
      const hidden = kept ? new Set([...state.hidden].map((k) => kept.indexOf(k)).filter((place) => place >= 0)) : state.hidden;
      this.shadeTable = shadesOf(colors, theme.ground, state.shade, hidden);
    }
    return /** @type {{table: Uint8Array, levels: number}} */ (this.shadeTable);
  }

  /** @param {string} name @returns {Uint32Array} */
  scaleWords(name) {
    let words = this.words.get(name);
    if (!words) {
      const hex = this.facts.scales[name];
      words = Uint32Array.from({ length: 256 }, (_, i) =>
        wordOf([0, 2, 4].map((c) => parseInt(hex.slice(6 * i + c, 6 * i + c + 2), 16))));
      this.words.set(name, words);
    }
    return words;
  }

  /** @param {string} key @param {number} size */
  buffer(key, size) {
    let held = this.buffers.get(key);
    if (!held || held.length !== size) {
      held = new Float32Array(size);
      this.buffers.set(key, held);
    }
    return held;
  }

  /**
   * The map of a recording at a place, or the nearest that is decoded; says what is missing.
   * @param {number} r @param {number} position @param {string[]} missing @param {string} use
   * @returns {Planes | null}
   */
  mapAt(r, position, missing, use) {
    const recording = this.recordings[r];
    const last = recording.epochs.length - 1;
    const left = Math.max(0, Math.min(last, Math.floor(position + 1e-9)));
    const weight = Math.max(0, Math.min(1, position - left));
    const kind = this.state.interpolation;
    const between = weight > 1e-6 && left < last && kind !== "none";
    const needed = !between ? [left] : kind === "smooth" ? [left, left + 1, left - 1, left + 2] : [left, left + 1];
    const maps = needed.filter((i) => i >= 0 && i <= last).map((i) => /** @type {const} */ ([i, this.store.get(r, i)]));
    for (const [i, map] of maps) if (!map) missing.push(`${r}-${i}`);
    const at = new Map(maps);
    const a = at.get(left) ?? null;
    const b = at.get(left + 1) ?? null;
    // In fast motion a neighbour is better than the picture of a second ago.
    if (!a || (between && !b))
      return (weight < 0.5 ? (a ?? b) : (b ?? a)) ?? this.store.nearest(r, left + weight);
    if (!between || !b) return a;
    const ready = maps.every(([, map]) => map);
    const map = interpolate(
      ready ? kind : "linear",
      [at.get(left - 1)?.map ?? null, a.map, b.map, at.get(left + 2)?.map ?? null],
      weight, a.classes, recording.output === "probabilities", this.buffer(`${r}${use}`, a.map.length),
    );
    return { ...a, map };
  }

  paint() {
    const { state } = this;
    /** @type {string[]} */
    const missing = [];
    const maps = this.views.map((/** @type {MapView} */ view, /** @type {number} */ r) => {
      let position = this.positionIn(view.recording);
      if (this.calm.matches && state.playing) position = Math.floor(position + 1e-9);
      const planes = this.mapAt(r, position, missing, "");
      let other = null;
      if (state.mode === "change") {
        const before = position >= 1 ? position - 1 : 0;
        other = this.mapAt(r, before, missing, "other")?.map ?? null;
      }
      if (state.mode === "difference") {
        const against = this.against(r);
        let at = this.positionIn(this.recordings[against]);
        if (this.calm.matches && state.playing) at = Math.floor(at + 1e-9);
        other = this.mapAt(against, at, missing, `against${r}`)?.map ?? null;
      }
      if (planes) view.paint(planes, other, this.look(r));
      return planes;
    });
    const lead = this.lead();
    const ahead = state.playing ? [1, 2, 3, 4] : [this.direction];
    const next = this.recordings.flatMap((/** @type {any} */ recording, /** @type {number} */ r) =>
      ahead.map((k) => Math.floor(this.positionIn(recording)) + k + lead)
        .filter((i) => i >= 0 && i < recording.epochs.length).map((i) => `${r}-${i}`));
    // What is decoded for now comes too late if the time runs fast: then only what is ahead counts.
    this.store.want(Math.abs(lead) > 1 ? [...next, ...missing] : [...missing, ...next]);
    if (maps.some(Boolean)) this.shownOnce();
    if (this.disagreement && maps.every(Boolean)) this.paintDisagreement(/** @type {Planes[]} */ (maps));
    const over = this.over();
    this.views.forEach((view, r) => view.draw({ ...over, ...this.overPoints(view) }, this.look(r)));
    // A map that was decoded only now changes what the pins say.
    if (maps.some((map, r) => map !== this.shown?.[r])) this.slowDue = true;
    this.shown = maps;
    this.complete = !missing.length;
    const now = performance.now();
    if (!state.playing || now - this.readAt > 100) {
      this.readAt = now;
      this.readings(maps);
    }
  }

  /** How many snapshots the time passes while one is decoded. */
  lead() {
    const now = performance.now();
    const elapsed = now - this.ledAt;
    const moved = this.state.position - this.ledFrom;
    [this.ledAt, this.ledFrom] = [now, this.state.position];
    if (elapsed <= 0 || elapsed > 400 || Math.abs(moved) > 40) this.pace = 0;
    else this.pace += 0.3 * (moved / elapsed - this.pace);
    return Math.round(this.pace * 50);
  }

  shownOnce() {
    if (this.firstPicture) return;
    this.firstPicture = performance.now();
    this.root.dataset.ready = "true";
  }

  disagreementLook() {
    const pairs = this.recordings.length * (this.recordings.length - 1);
    const votes = Array.from({ length: this.recordings.length }, (_, i) => i % this.classes)
      .reduce((counts, k) => counts.set(k, (counts.get(k) ?? 0) + 1), new Map());
    const agree = [...votes.values()].reduce((sum, v) => sum + v * (v - 1), 0);
    return { ...this.look(), mode: "boundary", limits: /** @type {[number, number]} */ ([0, 1 - agree / pairs || 1]), contours: [], words: this.disagreementWords() };
  }

  /** From the ground, where all agree, to a colour that no class has. */
  disagreementWords() {
    const { ground } = this.theme;
    const end = this.theme === THEMES.dark ? [205, 188, 255] : [63, 0, 125];
    return rampWords(ground, end);
  }

  /** @param {Planes[]} maps */
  paintDisagreement(maps) {
    const view = /** @type {MapView} */ (this.disagreement);
    const { height, width } = maps[0];
    const cells = height * width;
    if (maps.some((map) => map.height !== height || map.width !== width)) return;
    const share = this.buffer("disagreement", cells);
    share.fill(0);
    const labels = maps.map(({ map, classes }) => {
      const found = new Uint16Array(cells);
      for (let i = 0; i < cells; i++) {
        let best = map[i];
        for (let k = 1; k < classes; k++)
          if (map[k * cells + i] > best) [best, found[i]] = [map[k * cells + i], k];
      }
      return found;
    });
    const pairs = (maps.length * (maps.length - 1)) / 2;
    let sum = 0;
    for (let a = 0; a < labels.length; a++)
      for (let b = a + 1; b < labels.length; b++)
        for (let i = 0; i < cells; i++) if (labels[a][i] !== labels[b][i]) share[i] += 1 / pairs;
    for (let i = 0; i < cells; i++) sum += share[i];
    const planes = { map: share, classes: 1, height, width };
    view.paint(planes, null, this.disagreementLook());
    view.draw({ ...this.over(), points: false, wrong: [], chosen: [], paths: [] }, this.disagreementLook());
    view.caption.textContent = `Disagreement: ${percent(sum / cells)}`;
  }

  over() {
    const { state, theme } = this;
    return { theme, pins: state.pins, line: state.line, cursor: state.cursor, paths: [...this.paths, ...(this.lesson?.paths ?? [])], hiddenClasses: state.hidden, hiddenGroups: state.hiddenGroups };
  }

  /** @param {MapView} view */
  overPoints(view) {
    const { recording } = view;
    const { points } = recording;
    if (!points || !this.state.showPoints) return { points: false, wrong: [], chosen: [] };
    const { colors } = this;
    /** @type {(i: number) => string} */
    let colorOf = () => "#888";
    if (points.labels) {
      const named = colors.map(css);
      colorOf = (i) => named[points.labels[i]];
    } else if (points.targets && this.output === "values") {
      const [low, high] = this.valueLimits();
      const hex = this.facts.scales[this.state.scale ?? ""] ?? this.facts.scales.viridis;
      colorOf = (i) => {
        const level = Math.max(0, Math.min(255, Math.round((255 * (points.targets[i] - low)) / (high - low))));
        return `#${hex.slice(6 * level, 6 * level + 6)}`;
      };
    } else if (points.targets) {
      const hex = this.facts.scales[this.state.scale ?? ""] ?? this.facts.scales.viridis;
      colorOf = (i) => `#${points.targets[i][this.state.of] > 0 ? hex.slice(-6) : hex.slice(0, 6)}`;
    }
    // What stands out from the shade of a point's class, or from the point itself.
    const inks = colors.map((/** @type {number[]} */ color) => (luminance(color) > 0.18 || this.theme !== THEMES.dark ? "#222222" : "#ffffff"));
    return {
      points: true, colors: colorOf, outlines: (/** @type {number} */ i) => (points.labels ? inks[points.labels[i]] : this.theme.ink), chosen: view === this.views[0] ? [...(this.lesson?.ticked.size ? this.lesson.ticked : this.state.chosen)] : [],
      wrong: this.wrongAt(recording, Math.floor(this.positionIn(recording) + 1e-9)),
      thumbnails: recording.images,
    };
  }

  /** @param {any} recording @param {number} index @returns {number[]} */
  wrongAt(recording, index) {
    const { predictions, points } = recording;
    if (!predictions) return [];
    const m = points.labels.length;
    const wrong = [];
    for (let i = 0; i < m; i++) {
      const guess = predictions[index * m + i];
      if (guess !== 65535 && guess !== points.labels[i]) wrong.push(i);
    }
    return wrong;
  }

  // ---------------------------------------------------------------- readings

  /** @param {(Planes | null)[]} maps */
  readings(maps) {
    const p = this.parts;
    const { state } = this;
    const planes = maps[0];
    if (!planes) return;
    let found;
    if (state.cursor) {
      const [x, y] = state.cursor;
      found = valuesAt(planes, ...this.views[0].toGrid(x, y));
      p.where.textContent = this.pointText(x, y) || `at ${this.placeOf(x, y)}`;
      p.where.title = p.where.textContent;
    } else if (this.output === "probabilities") {
      found = areas(planes.map, planes.classes, planes.height * planes.width);
      p.where.textContent = "share of the map";
    } else {
      p.where.textContent = "point at the map";
      found = new Float32Array(this.classes).fill(NaN);
    }
    const [low, high] = this.output === "values" ? this.valueLimits() : [0, 1];
    const best = this.output === "probabilities" ? argmax(found) : -1;
    p.rows.forEach((/** @type {any} */ row, /** @type {number} */ k) => {
      const value = found[k];
      const share = Number.isNaN(value) ? 0 : Math.max(0, Math.min(1, (value - low) / (high - low)));
      row.fill.style.transform = `scaleX(${share.toFixed(4)})`;
      row.number.textContent = this.output === "values" ? number(value) : percent(value);
      row.row.classList.toggle("tv-best", k === best);
    });
    this.reading = found;
  }

  /**
   * What is known of the point under the cursor, if one is there.
   * @param {number} x @param {number} y
   */
  pointText(x, y) {
    const { main } = this;
    const at = this.pointNear(...this.views[0].toScreen(x, y), this.views[0]);
    if (at < 0) return "";
    const { points } = main;
    const parts = [points.groups ? `${points.groupNames[points.groups[at]]} point ${this.numberOf(at)}` : `point ${this.numberOf(at)}`];
    if (points.labels) parts.push(`label ${main.classes[points.labels[at]] ?? "–"}`);
    for (const [axis, place] of [[main.axes?.[0], points.x[at]], [main.axes?.[1], points.y[at]]])
      if (axis && axis.kind !== "number") parts.push(placeText(axis, place));
    return parts.join(", ");
  }

  /**
   * The number of a point in the data; only a sample of many is shown.
   * @param {number} at
   */
  numberOf(at) {
    return this.main.points.rows?.[at] ?? at;
  }

  /**
   * The share of right predictions in each group, as far as it is known.
   * @param {number} index a snapshot
   * @returns {[string, number][]}
   */
  accuracies(index) {
    const { main } = this;
    const { points, predictions } = main;
    const m = points.labels.length;
    const guesses = predictions.subarray(index * m, (index + 1) * m);
    if (!points.groups) return [["the data", accuracy(guesses, points.labels)]];
    return points.groupNames.map((/** @type {string} */ name, /** @type {number} */ k) => {
      // Of a sample, what was measured on all points.
      const told = main.metrics[`${name} accuracy`]?.[index];
      const rows = points.labels.map((/** @type {number} */ _, /** @type {number} */ i) => i).filter((/** @type {number} */ i) => points.groups[i] === k);
      const own = () => accuracy(rows.map((/** @type {number} */ i) => guesses[i]), rows.map((/** @type {number} */ i) => points.labels[i]));
      return [name, told ?? own()];
    });
  }

  /** What changes with the state, but need not be painted sixty times a second. */
  refresh() {
    const p = this.parts;
    const { state } = this;
    const time = valueAt(this.times, state.position);
    const share = this.clock.share(state.position);
    const snapshot = Math.abs(state.position - Math.round(state.position)) < 1e-6;
    p.slider.value = String(share);
    p.slider.setAttribute("aria-valuetext", `${this.timeText(time)}${snapshot ? "" : ", between snapshots"}`);
    p.counter.textContent = this.counterText(time);
    const shown = this.axis === "progress" ? 100 : 1;
    if (document.activeElement !== p.epoch) p.epoch.value = String(Math.floor(shown * time + 1e-9));
    p.goName.textContent = `Go to ${this.axis === "progress" ? "%" : this.unit}`;
    p.epoch.setAttribute("aria-label", p.goName.textContent);
    [p.epoch.min, p.epoch.max] = [shown * this.times[0], shown * this.times[this.last]];
    p.playText.textContent = state.playing ? "Pause" : "Play";
    p.playIcon.firstChild.setAttribute("d", state.playing ? PAUSE : PLAY);
    p.play.disabled = this.last < 1;
    this.root.classList.toggle("tv-between", !snapshot);
    this.paintStrip();
    // Lists, panels and the address follow a little later while the time moves.
    const now = performance.now();
    this.slowDue = now - this.slowAt < (state.playing ? 250 : 120);
    if (this.slowDue) return;
    this.slowAt = now;
    this.refreshLook();
    this.refreshPanels();
    this.writeHash();
    this.say();
  }

  paintStrip() {
    const p = this.parts;
    const { clock, theme, state } = this;
    const now = clock.share(state.position);
    const logged = this.recordings.length < 2 ? this.main.curves?.metrics : null;
    const names = Object.keys({ ...this.main.metrics, ...logged }).slice(0, 4);
    // The time moves sixty times a second, and the curves stay.
    p.now.style.transform = `translateX(${(INSET + now * (p.strip.clientWidth - 2 * INSET) - 1).toFixed(1)}px)`;
    const limit = this.lesson?.limit ?? Infinity;
    const key = [state.clock, state.range, theme.ink, p.strip.clientWidth, p.strip.clientHeight, devicePixelRatio, limit, this.last].join();
    if (key !== this.stripKey) {
      this.stripKey = key;
      const blank = this.times.map(() => null);
      this.curves = names.map((name, i) => ({
        // While a question is open, the curves do not tell what will come.
        name, color: theme.curves[i], values: this.onMaster(this.main, this.main.metrics[name] ?? blank).map((value, s) => (s <= limit ? value : null)),
        ...this.loggedOf(name, limit),
      }));
      p.curves.replaceChildren(...this.curves.map(({ name, color }) =>
        el("span", {}, el("i", { style: { background: color } }), el("b", { dir: "auto" }, name), el("span"))));
      paintTimeline(p.strip, {
        curves: this.curves, shares: this.times.map((/** @type {number} */ _, /** @type {number} */ i) => clock.share(i)),
        range: state.range ? [clock.share(state.range[0]), clock.share(state.range[1])] : null,
        stops: (this.facts.ask ?? []).map((/** @type {number} */ stop) => clock.share(positionOf(this.times, stop))),
        marks: (this.facts.marks ?? []).map((/** @type {[number, string]} */ [time, text]) => (
          { share: clock.share(positionOf(this.times, time)), text })),
        theme, inset: INSET,
      });
    }
    this.curves.forEach(({ values, places, logged }, i) => {
      if (logged && places) {
        p.curves.children[i].lastChild.textContent = metricText(logged.length ? valueAt(logged, positionOf(places, state.position)) : null);
        return;
      }
      const left = values[Math.floor(state.position)];
      const right = values[Math.min(this.last, Math.floor(state.position) + 1)];
      const value = left === null || right === null ? left : left + (state.position % 1) * (right - left);
      p.curves.children[i].lastChild.textContent = metricText(value);
    });
  }

  /**
   * Return a metric at every moment, captured or not, with the places of the moments between the
   * snapshots and their shares of the time; nothing where the snapshots have them all.
   * @param {string} name @param {number} limit @returns {any}
   */
  loggedOf(name, limit) {
    const { curves } = this.main;
    if (!curves?.metrics[name] || this.recordings.length > 1) return {};
    const known = curves.places.flatMap((/** @type {number} */ place, /** @type {number} */ i) => (
      curves.metrics[name][i] === null || place > Math.min(limit, this.last) ? [] : [[place, curves.metrics[name][i]]]));
    const places = known.map((/** @type {[number, number]} */ [place]) => place);
    return {
      places, logged: known.map((/** @type {[number, number]} */ [, value]) => value),
      points: known.map((/** @type {[number, number]} */ [place, value]) => [this.clock.share(place), value]),
    };
  }

  /** @param {any} recording @param {(number | null)[]} values @returns {(number | null)[]} */
  onMaster(recording, values) {
    if (this.recordings.length < 2) return values;
    return this.times.map((/** @type {number} */ time) => {
      const at = recording.times.indexOf(time);
      return at < 0 ? null : values[at];
    });
  }

  refreshLook() {
    const p = this.parts;
    const { state } = this;
    const mode = MODES[/** @type {"region"} */ (state.mode)];
    const byClass = state.mode === "region";
    p.mode.input.value = state.mode;
    p.of.input.value = String(state.of);
    p.palette.input.value = state.palette;
    p.scale.input.value = state.scale ?? "";
    p.clock.input.value = state.clock;
    p.speed.input.value = String(state.speed);
    p.of.root.hidden = state.mode !== "probability";
    p.part.input.value = String(state.part);
    p.part.root.hidden = state.mode !== "difference" || this.output === "values";
    p.top.input.value = String(state.top);
    p.top.root.hidden = !byClass || this.classes <= TOPS[0] || !this.main.order;
    p.outline.hidden = !byClass;
    p.outline.firstChild.checked = state.outline;
    p.palette.root.hidden = !byClass;
    p.scale.root.hidden = byClass;
    p.shade.hidden = !byClass;
    p.scaleBox.hidden = byClass;
    if (!byClass) {
      const look = this.look();
      const context = p.bar.getContext("2d");
      const image = new ImageData(256, 1);
      new Uint32Array(image.data.buffer).set(look.words);
      context.putImageData(image, 0, 0);
      p.low.textContent = number(look.limits[0]);
      p.high.textContent = number(look.limits[1]);
      p.barLabel.textContent = state.mode === "probability" ? `probability of ${this.main.classes[state.of]}`
        : state.mode === "difference" ? this.differenceText() : mode.label;
    }
    p.rows.forEach((/** @type {any} */ row, /** @type {number} */ k) => {
      row.swatch.style.background = css(this.colors[k]);
      row.fill.style.background = css(this.colors[k]);
      row.box.checked = !state.hidden.has(k);
    });
    for (const tool of p.tools.children) tool.setAttribute("aria-pressed", String(tool.dataset.tool === state.tool));
    const whole = this.views[0].whole();
    const { extent } = this.views[0];
    const zoomed = extent.x0 !== whole.x0 || extent.x1 !== whole.x1 || extent.y0 !== whole.y0 || extent.y1 !== whole.y1;
    p.zoomReset.disabled = p.zoomOut.disabled = !zoomed;
    this.root.classList.toggle("tv-zoomed", zoomed);
    this.root.dataset.tool = state.tool;
  }

  differenceText() {
    const { part } = this.state;
    if (part < 0) return "difference (total variation)";
    const [first, second] = this.recordings.map((/** @type {any} */ one) => one.name);
    const what = this.output === "values" ? this.main.classes[0] : `probability of ${this.main.classes[part]}`;
    return this.recordings.length > 2 ? `${what}, less that of ${first} (of ${second} in ${first})` : `${what}, less that of the other`;
  }

  refreshPanels() {
    if (this.tab === "pins") this.refreshPins();
    if (this.tab === "range") this.refreshRange();
    if (this.tab === "line") this.refreshLine();
    this.refreshGroups();
    if (this.tab === "points") this.refreshPoints();
  }

  /** Tell those who do not see the map what it shows, not more than once a second. */
  say() {
    const now = performance.now();
    clearTimeout(this.sayLater);
    if (now - this.saidAt < 1000) {
      this.sayLater = setTimeout(() => this.say(), 1000 - (now - this.saidAt));
      return;
    }
    this.saidAt = now;
    const { state, main } = this;
    const moment = this.timeText(valueAt(this.times, state.position));
    const parts = moment ? [moment[0].toUpperCase() + moment.slice(1)] : [];
    if (main.predictions && !state.playing) {
      const index = Math.floor(this.positionIn(main) + 1e-9);
      for (const [name, share] of this.accuracies(index))
        if (!Number.isNaN(share)) parts.push(`${percent(share)} of the ${main.points.groups ? `${name} points` : "data points"} right`);
    }
    if (state.cursor && this.reading && this.output === "probabilities") {
      const best = argmax(this.reading);
      parts.push(`under the cursor ${main.classes[best]}, ${percent(this.reading[best])}`);
    }
    const text = parts.join(", ");
    if (this.parts.live.textContent !== text) this.parts.live.textContent = text;
  }

  // ---------------------------------------------------------------- pins, lines, ranges

  /** @param {[number, number]} at */
  addPin(at) {
    const held = this.state.pins;
    if (held.length >= 8) held.shift();
    held.push([Number(at[0].toPrecision(6)), Number(at[1].toPrecision(6))]);
    this.samplesOf = null;
    this.openTab("pins");
    this.changed();
  }

  /** @param {number} k */
  removePin(k) {
    this.state.pins.splice(k, 1);
    this.samplesOf = null;
    this.changed();
  }

  refreshPins() {
    const p = this.parts;
    const { state } = this;
    if (!state.pins.length) {
      p.pinList.replaceChildren(el("p", { class: "tv-hint" },
        `Click the map to pin a place: its probabilities ${this.unit ? `at every ${this.unit} appear here, changes of class marked` : "appear here"}.`));
      return;
    }
    const shares = this.recordings.map((/** @type {any} */ one) => this.sharesOf(one));
    p.pinList.replaceChildren(...state.pins.map(([x, y], k) => {
      const texts = this.recordings.map((/** @type {any} */ _, /** @type {number} */ r) => this.pinText(r, x, y));
      const [text] = texts;
      const charts = this.recordings.map((/** @type {any} */ one, /** @type {number} */ r) => {
        const samples = this.samples[r].pins[k];
        if (!samples) return null;
        const chart = probabilityChart({
          samples: this.output === "values" ? samples.map((v) => (v - this.valueLimits()[0]) / (this.valueLimits()[1] - this.valueLimits()[0])) : samples,
          classes: this.classes, shares: shares[r].slice(0, this.samples[r].count), colors: this.colors, now: this.clock.share(state.position),
          label: `Probabilities at pin ${k + 1}${one.name && ` of ${one.name}`} over time: ${texts[r]} now`,
        });
        if (this.recordings.length < 2) return chart;
        return el("figure", {}, el("figcaption", { class: "tv-runhead" },
          el("b", { dir: "auto" }, one.name), el("span", { dir: "auto" }, texts[r])), chart);
      });
      return el("div", { class: "tv-pin" },
        el("div", { class: "tv-pinhead" },
          el("b", { class: "tv-badge" }, k + 1),
          el("span", { class: "tv-pinname", dir: "auto" }, this.recordings.length < 2 ? text : `Pin ${k + 1}`),
          el("span", { class: "tv-muted" }, this.placeOf(x, y)),
          el("button", { type: "button", class: "tv-close", "aria-label": `Remove pin ${k + 1}`, onclick: () => this.removePin(k) }, "×")),
        ...charts);
    }));
  }

  /** The place in words. @param {number} x @param {number} y */
  placeOf(x, y) {
    const [across, up] = this.main.axes ?? [];
    return `${placeText(across, x)}, ${placeText(up, y)}`;
  }

  /** What a recording shows at a place now. @param {number} r @param {number} x @param {number} y */
  pinText(r, x, y) {
    const planes = this.shown?.[r];
    if (!planes) return "";
    const found = valuesAt(planes, ...this.views[r].toGrid(x, y));
    const best = argmax(found);
    return this.output === "values" ? number(found[0]) : `${this.main.classes[best]} ${percent(found[best])}`;
  }

  /** Where a recording's snapshots lie on the clock, 0 to 1. @param {any} recording @returns {number[]} */
  sharesOf(recording) {
    return recording.times.map((/** @type {number} */ time, /** @type {number} */ i) =>
      this.clock.share(this.recordings.length < 2 ? i : positionOf(this.times, time)));
  }

  /** Begin what takes a pass over all snapshots, when the picture stands still. */
  work() {
    const { state } = this;
    const { pins, line } = state;
    const key = JSON.stringify([pins, line]);
    if (key !== this.samplesOf) {
      this.samplesOf = key;
      this.store.clearJobs();
      this.samples = this.recordings.map(() => ({ count: 0, pins: [], line: null }));
    }
    if (!pins.length && !line) return;
    this.recordings.forEach((/** @type {any} */ recording, /** @type {number} */ r) => this.sample(recording, r, key));
  }

  /**
   * Look at the pins and along the line in the snapshots that were not looked at yet.
   * @param {any} recording @param {number} r @param {string} key of what is looked for
   */
  sample(recording, r, key) {
    const { pins, line } = this.state;
    const { classes } = this;
    const held = this.samples[r];
    const [first, n] = [held.count, recording.epochs.length];
    if (first >= n) return;
    const view = this.views[r];
    const places = pins.flatMap(([x, y]) => view.toGrid(x, y));
    const along = line ? placesAlong(view.toGrid(line[0], line[1]), view.toGrid(line[2], line[3]), ALONG) : [];
    held.count = n;
    held.pins = pins.map((_, k) => lengthened(held.pins[k], n * classes));
    held.line = line ? lengthened(held.line, n * ALONG * classes) : null;
    const order = first ? Array.from({ length: n - first }, (_, i) => first + i) : spreadOrder(n);
    for (const index of order)
      this.store.later(r, index, { places: [...places, ...along] }).then(({ samples }) => {
        if (this.samplesOf !== key || this.samples[r] !== held) return;
        held.pins.forEach((pin, k) => pin.set(samples.subarray(k * classes, (k + 1) * classes), index * classes));
        held.line?.set(samples.subarray((places.length / 2) * classes), index * ALONG * classes);
        this.soft = true;
      }, () => {});
  }

  /** @param {number[] | null} line */
  setLine(line) {
    this.state.line = line;
    this.samplesOf = null;
    if (line) this.openTab("line");
    this.changed();
  }

  refreshLine() {
    const p = this.parts;
    const { line } = this.state;
    const known = !!line && this.samples.every((one) => one.line);
    p.lineHint.hidden = !!line;
    for (const { root } of p.kymographs) root.hidden = !known;
    p.lineClear.hidden = !line;
    p.kymographTime.textContent = line && !known ? "Computing …" : known ? `From ${this.timeText(this.times[0])} at the top to ${this.timeText(this.times[this.last])} at the bottom.` : "";
    if (!known) return;
    const { table, levels } = this.shades();
    const low = 1 / Math.max(2, this.classes);
    this.recordings.forEach((/** @type {any} */ one, /** @type {number} */ r) => {
      const { canvas, now } = p.kymographs[r];
      paintKymograph(canvas, /** @type {Float32Array} */ (this.samples[r].line), {
        count: ALONG, classes: this.classes, labels: false, shares: this.sharesOf(one).slice(0, this.samples[r].count),
        word: (k, share) => wordOf(table, 3 * (k * levels + Math.max(0, Math.min(levels - 1, Math.round(((share - low) / (1 - low)) * (levels - 1)))))),
        empty: this.theme.empty,
      });
      now.style.top = `${100 * this.clock.share(this.state.position)}%`;
    });
  }

  refreshRange() {
    const p = this.parts;
    const { range } = this.state;
    p.rangeGo.hidden = p.rangeClear.hidden = !range || this.output !== "probabilities";
    if (this.measured?.range !== `${range}`) {
      this.measured = null;
      p.rangeMaps.replaceChildren();
      p.rangeFacts.replaceChildren();
    }
    if (!range) {
      p.rangeText.textContent = "Drag over the curves below to choose a range of epochs; it plays in a loop.";
      return;
    }
    const [a, b] = range.map((at) => this.times[at]);
    p.rangeText.textContent = `From ${this.timeText(a)} to ${this.timeText(b)}, ${range[1] - range[0] + 1} snapshots.`;
  }

  /** Compute the maps of the chosen range. @returns {Promise<void>} */
  async measureRange() {
    const { range } = this.state;
    if (!range) return;
    const p = this.parts;
    // Where there is no worker, other players sum in the same place.
    const own = { range: `${range}`, sum: `${Math.random()}` };
    // Another range, or other maps, may be asked for meanwhile.
    const isStale = () => {
      if (this.measured === own && own.range !== `${this.state.range}`) this.measured = null;
      return this.measured !== own;
    };
    this.measured = own;
    p.rangeMaps.replaceChildren();
    p.rangeFacts.replaceChildren(el("dt", {}, "Computing …"), el("dd", {}, ""));
    const places = Array.from({ length: range[1] - range[0] + 1 }, (_, i) => range[0] + i);
    const asked = this.recordings.length < 2 ? places : [...new Set(places.map((i) => Math.round(positionOf(this.main.times, this.times[i]))))];
    let answer;
    try {
      for (const [place, index] of asked.entries()) {
        answer = await this.store.ask(0, index, { sum: own.sum, fresh: place === 0, quiet: place < asked.length - 1 });
        if (isStale()) return;
        if (place % 5 === 0) p.rangeFacts.firstChild.textContent = `Computing … ${place + 1} of ${asked.length}`;
      }
    } catch (error) {
      if (isStale()) return;
      const { message } = /** @type {Error} */ (error);
      // The sums went with the worker that held them.
      if (message === STOPPED) return this.measureRange();
      this.measured = null;
      this.store.failed(message);
      this.changed();
      return;
    }
    this.showRange(answer.sums);
  }

  /** @param {any} sums */
  showRange(sums) {
    const p = this.parts;
    const { height, width, classes, changes } = sums;
    const cells = height * width;
    const found = ensemble(sums);
    const most = Math.max(1, ...changes.filter((/** @type {number} */ _v, /** @type {number} */ i) => i % 3 === 0));
    const map = (/** @type {string} */ title, /** @type {(words: Uint32Array) => void} */ paint) => {
      const canvas = el("canvas", { width, height, role: "img", "aria-label": title });
      const image = new ImageData(width, height);
      paint(new Uint32Array(image.data.buffer));
      canvas.getContext("2d").putImageData(image, 0, 0);
      return el("figure", {}, canvas, el("figcaption", {}, title));
    };
    const scale = (/** @type {Float32Array} */ values, /** @type {number} */ high, /** @type {string} */ name) =>
      (/** @type {Uint32Array} */ words) => paintScale(values, height, width, 0, high, this.scaleWords(name), words);
    const changed = changes.reduce((/** @type {number} */ sum, /** @type {number} */ v) => sum + (v > 0 ? 1 : 0), 0) / cells;
    const whole = { ...this.look(), mode: "region" };
    p.rangeMaps.replaceChildren(
      map(`Changes of class, 0 to ${most}`, scale(changes, most, "inferno")),
      map("Averaged prediction", (words) => this.views[0].paintRows({ map: found.mean, classes, height, width }, null, whole, words)),
      map("Entropy, total", scale(found.total, 1, "plasma")),
      map("Expected entropy", scale(found.expected, 1, "plasma")),
      map("Mutual information", scale(found.mutual, Math.max(0.02, ...found.mutual.filter((_, i) => i % 5 === 0)), "plasma")),
    );
    const facts = [
      ["Area that changed class", percent(changed)],
      ["Entropy, total", number(meanOf(found.total))], ["expected", number(meanOf(found.expected))],
      ["mutual information", number(meanOf(found.mutual))],
    ];
    const { points } = this.main;
    if (points?.labels) {
      const guesses = points.labels.map((/** @type {number} */ _, /** @type {number} */ i) =>
        argmax(valuesAt({ map: found.mean, classes, height, width }, ...this.views[0].toGrid(points.x[i], points.y[i]))));
      facts.push(["Averaged prediction right at", `${percent(accuracy(guesses, points.labels))} of the points`]);
    }
    p.rangeFacts.replaceChildren(...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  }

  // ---------------------------------------------------------------- data points

  /** @param {string} by */
  sortPoints(by) {
    const sorting = /** @type {{by: string, down: boolean}} */ (this.sorting);
    this.sorting = { by, down: sorting.by === by ? !sorting.down : by === "events" };
    this.pointsKey = "";
    this.changed();
  }

  refreshPoints() {
    const p = this.parts;
    const { main, state } = this;
    const { labels } = main.points;
    const m = labels.length;
    const index = Math.floor(this.positionIn(main) + 1e-9);
    const key = JSON.stringify([index, this.sorting, [...state.chosen], state.palette]);
    if (key === this.pointsKey) return;
    this.pointsKey = key;
    const found = main.predictions ? (main.learning ??= learning(main.predictions, labels)) : null;
    const rows = Array.from({ length: m }, (_, i) => ({
      point: i, label: labels[i], group: main.points.groups?.[i] ?? 0,
      guess: main.predictions ? main.predictions[index * m + i] : 65535,
      first: !found ? NaN : found.first[i] < 0 ? Infinity : main.epochs[found.first[i]],
      events: found ? found.events[i] : NaN,
    }));
    const { by, down } = /** @type {{by: "point", down: boolean}} */ (this.sorting);
    rows.sort((a, b) => {
      const chosen = Number(state.chosen.has(b.point)) - Number(state.chosen.has(a.point));
      return chosen || (down ? b[by] - a[by] : a[by] - b[by]) || a.point - b.point;
    });
    for (const head of p.pointHeads)
      head.cell.setAttribute("aria-sort", head.by === by ? (down ? "descending" : "ascending") : "none");
    const wrong = rows.filter((row) => row.guess !== 65535 && row.guess !== row.label).length;
    const { total } = main.points;
    p.pointText.textContent = `${m}${total > m ? ` of ${total}` : ""} points, ${wrong} wrong now` +
      (state.chosen.size ? `, ${state.chosen.size} selected` : "") +
      (m > MOST_ROWS ? `; the first ${MOST_ROWS} of this order` : "") + ".";
    const name = (/** @type {number} */ k) => el("span", { class: "tv-classname" },
      el("i", { class: "tv-swatch", style: { background: css(this.colors[k] ?? [128, 128, 128]) } }), el("span", { dir: "auto" }, main.classes[k] ?? "–"));
    p.pointRows.replaceChildren(...rows.slice(0, MOST_ROWS).map((row) => {
      const line = el("tr", { class: row.guess !== 65535 && row.guess !== row.label ? "tv-wrong" : "",
        "aria-selected": String(state.chosen.has(row.point)),
        onclick: () => {
          if (state.chosen.has(row.point)) state.chosen.delete(row.point);
          else state.chosen.add(row.point);
          this.changed();
        } },
      el("td", {}, el("button", { type: "button", class: "tv-rowbutton", "aria-label": `Select point ${this.numberOf(row.point)}`, "aria-pressed": String(state.chosen.has(row.point)) }, this.numberOf(row.point))),
      main.points.groups && el("td", { dir: "auto" }, main.points.groupNames[row.group]),
      el("td", {}, name(row.label)),
      el("td", { class: "tv-guess" }, row.guess === 65535 ? "–" : name(row.guess)),
      el("td", {}, row.first === Infinity ? "never" : Number.isNaN(row.first) ? "–" : row.first),
      el("td", {}, Number.isNaN(row.events) ? "–" : `${row.events}×`));
      return line;
    }));
  }

  /** @param {number} px @param {number} py @param {MapView} view @param {number} [within] pixels */
  pointNear(px, py, view, within = 8) {
    const { points } = view.recording;
    if (!points || !this.state.showPoints) return -1;
    let [found, nearest] = [-1, within * within];
    for (let i = 0; i < points.x.length; i++) {
      const [qx, qy] = view.toScreen(points.x[i], points.y[i]);
      const distance = (qx - px) ** 2 + (qy - py) ** 2;
      if (distance < nearest) [nearest, found] = [distance, i];
    }
    return found;
  }

  // ---------------------------------------------------------------- pointers and keys

  /** @param {string} name */
  setTool(name) {
    this.state.tool = name;
    if (name === "line") this.openTab("line");
    if (name === "select") this.openTab("points");
    this.changed();
  }

  listen() {
    for (const view of this.everyView()) this.listenMap(view);
    this.listenStrip();
    const { signal } = this.ended;
    this.root.addEventListener("keydown", (event) => this.key(event), { signal });
    this.night.addEventListener("change", () => this.changed(), { signal });
    addEventListener("resize", () => this.layout(), { signal });
    if (this.embedded) return;
    document.addEventListener("keydown", (event) => {
      if (event.target === document.body) this.key(event);
    }, { signal });
    addEventListener("hashchange", () => {
      if (location.hash.slice(1) === this.lastHash) return;
      this.readHash();
      this.applyTheme();
      this.changed();
    }, { signal });
  }

  /** @param {MapView} view */
  listenMap(view) {
    const { overlay } = view;
    const { state } = this;
    /** @type {any} */
    let drag = null;
    /** @type {Map<number, [number, number]>} */
    const fingers = new Map();
    const at = (/** @type {MouseEvent} */ event) => {
      const box = overlay.getBoundingClientRect();
      return /** @type {[number, number]} */ ([event.clientX - box.left, event.clientY - box.top]);
    };
    overlay.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      const [px, py] = at(event);
      if (event.button || !view.inside(px, py)) return;
      overlay.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, [px, py]);
      if (fingers.size > 1) {
        drag = null;
        return;
      }
      drag = { px, py, extent: view.extent, from: view.toPlane(px, py), moved: false };
    });
    overlay.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      const [px, py] = at(event);
      if (fingers.size === 2 && fingers.has(event.pointerId)) {
        // Two fingers: their distance zooms, about the one that rests.
        const before = spread(fingers);
        fingers.set(event.pointerId, [px, py]);
        const [still] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
        this.zoom(before / Math.max(1, spread(fingers)), view.toPlane(...still));
        return;
      }
      if (drag && Math.hypot(px - drag.px, py - drag.py) > 4) drag.moved = true;
      if (view.inside(px, py)) state.cursor = view.toPlane(px, py);
      else if (!drag) state.cursor = null;
      this.keyboardCursor = false;
      if (drag?.moved) {
        const to = view.toPlane(px, py);
        if (state.tool === "line") state.line = [...drag.from, ...to];
        else if (state.tool === "select") this.paths = [boxPath(drag.from, to)];
        else if (state.tool === "draw") this.lesson?.draw(to, drag);
        else if (this.isZoomed()) this.pan(view, drag, px, py);
      }
      this.dirty = true;
    });
    const end = (/** @type {PointerEvent} */ event) => {
      fingers.delete(event.pointerId);
      if (!drag) return;
      const [px, py] = at(event);
      const to = view.toPlane(px, py);
      const { moved, from } = drag;
      drag = null;
      if (state.tool === "line" && moved) this.setLine([...from, ...to]);
      else if (state.tool === "select" && moved) this.selectBox(from, to);
      else if (!moved && event.type === "pointerup") this.click(px, py, view);
      this.paths = [];
      this.lesson?.show();
      this.changed();
    };
    overlay.addEventListener("pointerup", end);
    overlay.addEventListener("pointercancel", end);
    overlay.addEventListener("pointerleave", () => {
      if (!this.keyboardCursor) state.cursor = null;
      this.dirty = true;
    });
    overlay.addEventListener("wheel", (/** @type {WheelEvent} */ event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.zoom(Math.exp(event.deltaY * 0.002), view.toPlane(...at(event)));
    }, { passive: false });
    overlay.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.mapKey(event, view));
    overlay.addEventListener("blur", () => {
      if (this.keyboardCursor) state.cursor = null;
      this.changed();
    });
  }

  /** @param {number} px @param {number} py @param {MapView} view */
  click(px, py, view) {
    const { state } = this;
    if (this.lesson?.enter(view.toPlane(px, py), this.pointNear(px, py, view), false)) return;
    if (state.tool === "select") {
      const point = this.pointNear(px, py, view);
      if (point < 0) state.chosen.clear();
      else if (state.chosen.has(point)) state.chosen.delete(point);
      else state.chosen.add(point);
      return;
    }
    if (state.tool !== "pin") return;
    const near = state.pins.findIndex((pin) => {
      const [qx, qy] = view.toScreen(...pin);
      return Math.hypot(qx - px, qy - py) < 10;
    });
    if (near >= 0) this.removePin(near);
    else this.addPin(view.toPlane(px, py));
  }

  /** @param {[number, number]} from @param {[number, number]} to */
  selectBox(from, to) {
    const { points } = this.main;
    const [x0, x1] = [Math.min(from[0], to[0]), Math.max(from[0], to[0])];
    const [y0, y1] = [Math.min(from[1], to[1]), Math.max(from[1], to[1])];
    this.state.chosen = new Set(points.x.map((/** @type {number} */ _v, /** @type {number} */ i) => i).filter((/** @type {number} */ i) =>
      points.x[i] >= x0 && points.x[i] <= x1 && points.y[i] >= y0 && points.y[i] <= y1));
    this.openTab("points");
  }

  listenStrip() {
    const { strip } = this.parts;
    /** @type {number | null} */
    let from = null;
    const share = (/** @type {MouseEvent} */ event) => {
      const box = strip.getBoundingClientRect();
      return Math.max(0, Math.min(1, (event.clientX - box.left - INSET) / (box.width - 2 * INSET)));
    };
    strip.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      strip.setPointerCapture(event.pointerId);
      from = share(event);
    });
    strip.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      if (from === null) return;
      const to = share(event);
      if (Math.abs(to - from) * strip.clientWidth > 6) {
        this.setRange([this.clock.position(from), this.clock.position(to)]);
        this.openTab("range");
      }
    });
    strip.addEventListener("pointerup", (/** @type {PointerEvent} */ event) => {
      const to = share(event);
      if (from !== null && Math.abs(to - from) * strip.clientWidth <= 6) this.scrub(to);
      from = null;
    });
  }

  isZoomed() {
    return this.root.classList.contains("tv-zoomed");
  }

  /** @param {MapView} view @param {any} drag @param {number} px @param {number} py */
  pan(view, drag, px, py) {
    const { x0, x1, y0, y1 } = drag.extent;
    const dx = ((drag.px - px) / view.box.width) * (x1 - x0);
    const dy = ((py - drag.py) / view.box.height) * (y1 - y0);
    this.setExtent({ x0: x0 + dx, x1: x1 + dx, y0: y0 + dy, y1: y1 + dy });
  }

  /** @param {number} factor 0 for the whole map @param {[number, number]} [about] */
  zoom(factor, about) {
    const view = this.views[0];
    if (!factor) return this.setExtent(view.whole());
    const { x0, x1, y0, y1 } = view.extent;
    const [x, y] = about ?? this.state.cursor ?? [(x0 + x1) / 2, (y0 + y1) / 2];
    return this.setExtent({
      x0: x + (x0 - x) * factor, x1: x + (x1 - x) * factor, y0: y + (y0 - y) * factor, y1: y + (y1 - y) * factor,
    });
  }

  /** @param {import("./view.js").Extent} extent */
  setExtent(extent) {
    const whole = this.views[0].whole();
    const limited = (/** @type {number} */ low, /** @type {number} */ high, /** @type {number} */ first, /** @type {number} */ last) => {
      const size = Math.max((last - first) / 200, Math.min(last - first, high - low));
      const start = Math.max(first, Math.min(last - size, low));
      return size >= last - first ? [first, last] : [start, start + size];
    };
    const [x0, x1] = limited(extent.x0, extent.x1, whole.x0, whole.x1);
    const [y0, y1] = limited(extent.y0, extent.y1, whole.y0, whole.y1);
    for (const view of this.everyView()) view.extent = { x0, x1, y0, y1 };
    this.changed();
  }

  /** @param {KeyboardEvent} event @param {MapView} view */
  mapKey(event, view) {
    const { state } = this;
    const { x0, x1, y0, y1 } = view.extent;
    const far = event.shiftKey ? 0.1 : 0.01;
    const moves = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] });
    const cursor = state.cursor ?? [(x0 + x1) / 2, (y0 + y1) / 2];
    if (event.key in moves) {
      const [dx, dy] = moves[event.key];
      this.keyboardCursor = true;
      state.cursor = [
        Math.max(x0, Math.min(x1, cursor[0] + dx * far * (x1 - x0))),
        Math.max(y0, Math.min(y1, cursor[1] + dy * far * (y1 - y0))),
      ];
    } else if (event.key === "Enter") {
      const at = /** @type {[number, number]} */ ([cursor[0], cursor[1]]);
      const [px, py] = view.toScreen(...at);
      if (!this.lesson?.enter(at, this.pointNear(px, py, view, 30), true)) this.addPin(at);
    }
    else if (event.key === "a" || event.key === "A") this.lineStart = cursor;
    else if ((event.key === "b" || event.key === "B") && this.lineStart) this.setLine([...this.lineStart, ...cursor]);
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.changed();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const typing = target.matches("select, input:not([type=range]):not([type=checkbox]), textarea");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || this.parts.help.open) return;
    if (event.key === " " && target.matches("button, input[type=checkbox], summary")) return;
    const { state } = this;
    const acts = /** @type {Record<string, () => void>} */ ({
      " ": () => this.toggle(), ",": () => this.step(-1), ".": () => this.step(1),
      Home: () => this.seek(this.ends()[0]), End: () => this.seek(this.ends()[1]),
      m: () => {
        state.mode = this.modes[(this.modes.indexOf(state.mode) + 1) % this.modes.length];
        this.changed();
      },
      "[": () => this.setRange([state.position, state.range?.[1] ?? this.last]),
      "]": () => this.setRange([state.range?.[0] ?? 0, state.position]),
      "\\": () => this.setRange(null),
      "+": () => this.zoom(1 / 1.5), "=": () => this.zoom(1 / 1.5), "-": () => this.zoom(1.5), 0: () => this.zoom(0),
      Delete: () => this.removePin(state.pins.length - 1), Backspace: () => this.removePin(state.pins.length - 1),
      s: () => this.savePicture(), "?": () => this.toggleHelp(),
    });
    const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  // ---------------------------------------------------------------- address, picture

  readHash() {
    const shown = read(location.hash);
    const { state } = this;
    if (shown.clock && CLOCKS.includes(shown.clock)) state.clock = /** @type {any} */ (shown.clock);
    if (state.clock === "step" && !this.recordings.every((/** @type {any} */ one) => one.steps)) state.clock = "epoch";
    this.mergeTimes();
    if (shown.time !== undefined) state.position = positionOf(this.times, shown.time);
    if (shown.mode && this.modes.includes(shown.mode)) state.mode = shown.mode;
    if (shown.of !== undefined && shown.of >= 0 && shown.of < this.classes) state.of = Math.floor(shown.of);
    if (shown.palette && shown.palette in this.facts.palettes) state.palette = shown.palette;
    if (shown.scale && shown.scale in this.facts.scales) state.scale = shown.scale;
    if (shown.speed !== undefined && SPEEDS.includes(shown.speed)) state.speed = shown.speed;
    if (shown.theme === "light" || shown.theme === "dark") state.theme = shown.theme;
    if (shown.pins) state.pins = shown.pins;
    if (shown.line) state.line = shown.line;
    if (shown.part !== undefined && shown.part >= -1 && shown.part < this.classes) state.part = Math.floor(shown.part);
    if (shown.top !== undefined && shown.top >= 0) state.top = Math.floor(shown.top);
    if (shown.outline !== undefined) state.outline = shown.outline === 1;
    if (shown.levels) state.contours = shown.levels;
    if (shown.hidden) state.hidden = new Set(shown.hidden);
    if (shown.range) {
      const [a, b] = shown.range.map((epoch) => Math.round(positionOf(this.times, epoch)));
      state.range = b > a ? [a, b] : null;
    }
    if (shown.view && this.views) this.setExtent({ x0: shown.view[0], x1: shown.view[1], y0: shown.view[2], y1: shown.view[3] });
    else if (shown.view) this.firstExtent = shown.view;
  }

  writeHash() {
    if (this.firstExtent) {
      const [x0, x1, y0, y1] = this.firstExtent;
      this.firstExtent = undefined;
      this.setExtent({ x0, x1, y0, y1 });
    }
    const { state } = this;
    if (state.playing || this.embedded) return;
    const { extent } = this.views[0];
    const text = written({
      time: valueAt(this.times, state.position),
      mode: state.mode, of: state.mode === "probability" ? state.of : undefined,
      part: state.mode === "difference" ? state.part : undefined,
      top: state.top === (this.facts.top ?? 0) ? undefined : state.top,
      outline: state.outline === !!this.facts.outline ? undefined : Number(state.outline),
      clock: state.clock === (this.facts.by ?? "epoch") ? undefined : state.clock,
      speed: state.speed === 1 ? undefined : state.speed,
      theme: state.theme === "auto" ? undefined : state.theme,
      range: state.range ? [this.times[state.range[0]], this.times[state.range[1]]] : undefined,
      pins: state.pins, line: state.line ?? undefined,
      view: this.isZoomed() ? [extent.x0, extent.x1, extent.y0, extent.y1] : undefined,
      hidden: [...state.hidden], levels: state.contours,
      palette: state.palette === Object.keys(this.facts.palettes)[0] ? undefined : state.palette,
      scale: state.scale === this.facts.scale ? undefined : state.scale ?? undefined,
    });
    if (text === this.lastHash) return;
    this.lastHash = text;
    try {
      history.replaceState(null, "", `#${text}`);
    } catch {
      // A page within a page may have no address of its own.
    }
  }

  savePicture() {
    const view = this.views[0];
    if (!view.planes) return;
    view.sharpen(this.look());
    const canvas = el("canvas", { width: view.picture.width, height: view.picture.height + Math.round(30 * view.ratio) });
    const context = canvas.getContext("2d");
    context.fillStyle = css(this.theme.ground);
    context.fillRect(0, 0, canvas.width, canvas.height);
    const down = Math.round(30 * view.ratio);
    context.drawImage(view.picture, 0, down);
    context.drawImage(view.overlay, 0, down);
    context.scale(view.ratio, view.ratio);
    context.fillStyle = this.theme.ink;
    context.font = "600 14px system-ui, sans-serif";
    context.fillText(this.facts.title, view.box.left, 24, view.box.width * 0.7);
    context.textAlign = "right";
    context.fillText(this.parts.counter.textContent, view.box.left + view.box.width, 24);
    canvas.toBlob((/** @type {Blob | null} */ blob) => {
      if (!blob) return;
      const link = el("a", { href: URL.createObjectURL(blob), download: `${(this.facts.title || "map").replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60)}-${this.parts.counter.textContent.replace(/\W+/g, "-")}.png` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }
}

/** @param {Float32Array | null | undefined} held @param {number} size */
function lengthened(held, size) {
  const made = new Float32Array(size).fill(NaN);
  if (held) made.set(held.subarray(0, size));
  return made;
}

/**
 * @param {any} facts a recording's
 * @param {any} [before] what was prepared of fewer snapshots
 */
function prepared(facts, before) {
  // When each point was learnt is found again, since later snapshots may tell more.
  const made = { ...facts, predictions: null, images: before?.images ?? null, learning: null };
  const coded = facts.points?.predictions;
  if (coded) {
    const bytes = typeof coded === "string" ? fromBase64(coded) : coded.slice();
    made.predictions = new Uint16Array(bytes.buffer);
  }
  if (facts.doubt) made.doubt = { ...facts.doubt, bytes: fromBase64(facts.doubt.values) };
  if (facts.thumbnails && !made.images)
    made.images = facts.thumbnails.map((/** @type {string} */ url) => Object.assign(new Image(), { src: url }));
  return made;
}

/**
 * The order in which snapshots are visited, so that a curve has its shape early.
 * @param {number} n
 */
export function spreadOrder(n) {
  const order = [];
  const seen = new Set();
  for (let stride = 2 ** Math.ceil(Math.log2(Math.max(1, n))); stride >= 1; stride /= 2)
    for (let i = 0; i < n; i += stride)
      if (!seen.has(i)) {
        seen.add(i);
        order.push(i);
      }
  return order;
}

/** @param {Map<number, [number, number]>} fingers two places on the screen */
function spread(fingers) {
  const [a, b] = [...fingers.values()];
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}

/** @param {string} shape an SVG path in a square of 24 */
function icon(shape) {
  return svg("svg", { viewBox: "0 0 24 24", class: "tv-shape", "aria-hidden": "true" }, svg("path", { d: shape }));
}

/** @param {[number, number]} a @param {[number, number]} b @returns {[number, number][]} */
function boxPath(a, b) {
  return [a, [b[0], a[1]], b, [a[0], b[1]], a];
}

let named = 0;

/** Begins the ids of elements, of which a notebook with several players has each once. */
const OWN = `tv-${Math.random().toString(36).slice(2, 8)}`;

/** @param {string} label @param {any} input */
function labelled(label, input) {
  input.id = `${OWN}-field-${++named}`;
  return { input, root: el("div", { class: "tv-field" }, el("label", { for: input.id }, label), input) };
}

/** @param {string} label @param {[string, string][]} options @param {(value: string) => void} act */
function select(label, options, act) {
  const input = el("select", { onchange: () => act(input.value) },
    ...options.map(([value, text]) => el("option", { value }, text)));
  return labelled(label, input);
}

/** @param {string} label @param {any} attributes @param {(value: string) => void} act */
function field(label, attributes, act) {
  const input = el("input", { ...attributes, onchange: () => act(input.value) });
  return labelled(label, input);
}

/** @param {string} label @param {boolean} on @param {(on: boolean) => void} act */
function check(label, on, act) {
  const box = el("input", { type: "checkbox", onchange: () => act(box.checked) });
  box.checked = on;
  return el("label", { class: "tv-check" }, box, el("span", {}, label));
}

/**
 * Start the player of an offline page.
 * @param {Document} page
 */
export function startPage(page) {
  const root = /** @type {HTMLElement} */ (page.getElementById("trainviz"));
  const say = (/** @type {string} */ text) => root.replaceChildren(el("p", { class: "tv-wait", role: "alert" }, text));
  if (!canInflate()) {
    say("This browser is too old to unpack the recording (it lacks DecompressionStream): please open the page in a current Firefox, Chrome, Edge or Safari.");
    return;
  }
  try {
    const source = pageSource(page);
    if (!source.facts.recordings.length) {
      say("No snapshot of this recording is captured yet. Capture one, and save the page again.");
      return;
    }
    /** @type {any} */ (globalThis).trainvizPlayer = new Player(root, source);
  } catch (error) {
    say(`The recording cannot be shown: ${/** @type {any} */ (error)?.message ?? error}`);
  }
}
