/** The live page: runs that a server reads from the disk, and what is new of them. */

import { canInflate, fromBase64 } from "./bytes.js";
import { positionOf, valueAt } from "./clock.js";
import { el, number } from "./dom.js";
import { Player } from "./player.js";

/**
 * @typedef {object} Run What the server says of a run.
 * @property {string} id
 * @property {string} name
 * @property {"recording" | "idle" | "gone" | "damaged"} state
 * @property {string} problem
 * @property {string} version another one once snapshots were replaced
 * @property {number} count of snapshots
 * @property {number | null} epoch of the last one
 * @property {number | null} step
 * @property {Record<string, number>} metrics
 * @property {string | null} group the same for runs that can be shown side by side
 */

/** @typedef {{runs: Run[], note: string, paths: number}} Change */

const MOST_SELECTED = 6;
const LARGEST_EVENT = 2 ** 24;
/** Seconds without a word from the server after which it counts as gone. */
const SILENCE = 30;
/** Least time between two thumbnails of a run, in milliseconds. */
const THUMBNAIL_PAUSE = 2000;

const STATES = { recording: "Recording", idle: "Not being recorded", gone: "Deleted", damaged: "Damaged" };

class HttpError extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The server's interface. */
export class Api {
  /** @param {string | null} token */
  constructor(token) {
    /** @type {Record<string, string>} */
    this.headers = token ? { Authorization: `Bearer ${token}` } : {};
  }

  /** @param {string} path @param {AbortSignal} [signal] */
  async get(path, signal) {
    let response;
    try {
      response = await fetch(path, { headers: this.headers, signal });
    } catch (error) {
      throw signal?.aborted ? error : new Error("the server does not answer");
    }
    if (!response.ok) throw new HttpError(response.status, await response.text());
    return response;
  }

  /**
   * Listen to the server until it ends or is silent; not an EventSource, which sends no token.
   * @param {(change: Change) => void} told
   * @param {AbortController} stop
   */
  async listen(told, stop) {
    const response = await this.get("/api/events", stop.signal);
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const silent = setTimeout(() => stop.abort(), 1000 * SILENCE);
      const { done, value } = await reader.read().finally(() => clearTimeout(silent));
      if (done) return;
      text += decoder.decode(value, { stream: true });
      if (text.length > LARGEST_EVENT) throw new Error("the server sends too much");
      const events = text.split("\n\n");
      text = /** @type {string} */ (events.pop());
      for (const event of events) {
        const data = event.split("\n").find((line) => line.startsWith("data: "));
        if (data) told(JSON.parse(data.slice(6)));
      }
    }
  }
}

/** The snapshots of some runs on the server: a source, as source.js describes it. */
export class LiveSource {
  /**
   * @param {Api} api
   * @param {Run[]} runs
   * @param {any[]} replies the facts of each
   * @param {string | null} worker
   * @param {(run: number, reply: any) => void} replaced told when snapshots were replaced
   */
  constructor(api, runs, replies, worker, replaced) {
    this.api = api;
    this.worker = worker;
    this.replaced = replaced;
    this.held = runs.map((run, r) => ({ id: run.id, version: replies[r].version, busy: false, again: false }));
    const names = runs.map((run) => run.name);
    this.facts = {
      ...replies[0], title: runs.length > 1 ? `${runs.length} runs` : names[0],
      recordings: replies.map((reply, r) => opened(reply.recordings[0], runs.length > 1 ? names[r] : "")),
    };
    this.told = () => {};
  }

  /** @param {number} r @param {number} index @returns {Promise<Uint8Array>} */
  async bytes(r, index) {
    const { id, version } = this.held[r];
    const response = await this.api.get(`/api/r/${id}/snapshots/${index}?version=${version}`);
    return new Uint8Array(await response.arrayBuffer());
  }

  /** @param {() => void} told */
  subscribe(told) {
    this.told = told;
    return () => {
      this.told = () => {};
    };
  }

  /** Fetch what is new of a run; while that is under way, once more afterwards. @param {number} r */
  async refresh(r) {
    const held = this.held[r];
    held.again = true;
    if (held.busy) return;
    held.busy = true;
    try {
      while (held.again) {
        held.again = false;
        const facts = this.facts.recordings[r];
        // The last snapshot may have got further metrics since.
        const since = Math.max(0, facts.epochs.length - 1);
        const response = await this.api.get(`/api/r/${held.id}?version=${held.version}&since=${since}`);
        const reply = await response.json();
        if (reply.version !== held.version) {
          this.replaced(r, reply);
          return;
        }
        this.facts.recordings[r] = grownFacts(facts, reply);
        this.told();
      }
    } finally {
      held.busy = false;
    }
  }
}

/**
 * The facts of a recording with its predictions as numbers, beside them, since they grow.
 * @param {any} facts as the server sends them @param {string} name
 */
function opened(facts, name) {
  const { points } = facts;
  return { ...facts, name, guesses: words(points?.predictions), points: points && { ...points, predictions: null } };
}

/** @param {string | null | undefined} coded */
function words(coded) {
  return coded ? new Uint16Array(fromBase64(coded).slice().buffer) : null;
}

/**
 * Return the facts of a recording together with those of its new snapshots.
 * @param {any} facts @param {any} news @returns {any}
 */
export function grownFacts(facts, news) {
  const { since } = news;
  const count = since + news.epochs.length;
  const joined = (/** @type {any[]} */ before, /** @type {any[]} */ after) => [...before.slice(0, since), ...after];
  const blank = (/** @type {number} */ n) => Array.from({ length: n }, () => null);
  const names = new Set([...Object.keys(facts.metrics), ...Object.keys(news.metrics)]);
  const metrics = Object.fromEntries([...names].map((name) => [
    name, joined(facts.metrics[name] ?? blank(since), news.metrics[name] ?? blank(count - since)),
  ]));
  let { guesses } = facts;
  const more = words(news.predictions);
  if (guesses || more) {
    const m = facts.points.labels.length;
    const all = new Uint16Array(count * m).fill(65535);
    if (guesses) all.set(guesses.subarray(0, since * m));
    if (more) all.set(more, since * m);
    guesses = all;
  }
  return {
    ...facts, metrics, guesses, limits: news.limits, total: news.total,
    epochs: joined(facts.epochs, news.epochs),
    steps: facts.steps && news.steps && joined(facts.steps, news.steps),
  };
}

/** A player whose recordings grow, and that can follow them. */
export class LivePlayer extends Player {
  /** @param {HTMLElement} root @param {LiveSource} source @param {{follow: boolean, back: (() => void) | null}} options */
  constructor(root, source, { follow, back }) {
    super(root, /** @type {any} */ (source));
    const p = this.parts;
    p.follow = el("input", { type: "checkbox", role: "switch", onchange: () => this.setFollow(p.follow.checked) });
    const label = el("label", { class: "tv-check tv-follow", title: "Show each new snapshot as it comes" }, p.follow, el("span", {}, "Follow"));
    p.counter.before(label);
    p.status = el("p", { class: "tv-status" });
    p.says = el("p", { class: "tv-says", role: "status" });
    p.head.firstChild.append(el("div", { class: "tv-states" }, p.status, p.says));
    p.runs = el("button", { type: "button", hidden: !back, onclick: () => back?.() }, "All runs");
    p.head.lastChild.prepend(p.runs);
    this.takePredictions();
    this.follow = false;
    this.setFollow(follow);
    this.layout();
  }

  /** @param {boolean} on */
  setFollow(on) {
    this.follow = on;
    this.parts.follow.checked = on;
    kept("follow", on ? "on" : "off");
    if (!on) return;
    this.pause();
    super.seek(this.last);
  }

  /** Whoever looks at another moment is not pulled away from it. @param {number} position */
  seek(position) {
    super.seek(position);
    if (this.follow && this.state.position < this.last) this.setFollow(false);
  }

  playNow() {
    if (this.follow) this.setFollow(false);
    super.playNow();
  }

  grown() {
    const { state } = this;
    const before = [state.position, ...(state.range ?? [])];
    const times = before.map((at) => valueAt(this.epochs, at));
    const images = this.recordings.map((/** @type {any} */ one) => one.images);
    super.grown();
    this.recordings.forEach((/** @type {any} */ one, /** @type {number} */ r) =>
      Object.assign(one, { images: images[r], learning: undefined }));
    this.takePredictions();
    // Of several runs, another's epochs may come to lie before the one that is shown.
    const [now, ...range] = this.recordings.length < 2 ? before : times.map((time) => positionOf(this.epochs, time));
    state.position = Math.min(now, this.last);
    if (state.range) state.range = [Math.round(range[0]), Math.round(range[1])];
    this.stripKey = this.pointsKey = "";
    if (this.follow) super.seek(this.last);
  }

  takePredictions() {
    this.recordings.forEach((/** @type {any} */ one, /** @type {number} */ r) => {
      one.predictions = this.facts.recordings[r].guesses;
    });
  }

  /** @param {string} text @param {string} state */
  setStatus(text, state) {
    const { status } = this.parts;
    if (status.textContent !== text) status.textContent = text;
    status.dataset.state = state;
  }

  /** @param {string} text said once, also to screen readers */
  tell(text) {
    this.parts.says.textContent = text;
    this.layout();
  }

  /** Try again to load what could not be loaded. */
  retry() {
    this.parts.note.hidden = true;
    this.samplesOf = null;
    this.changed();
  }
}

/** The list of runs, the player of those that are selected, and the connection to the server. */
export class LivePage {
  /** @param {HTMLElement} root @param {Api} api @param {string | null} worker */
  constructor(root, api, worker) {
    this.root = root;
    this.api = api;
    this.worker = worker;
    /** @type {Map<string, Run>} */
    this.runs = new Map();
    this.note = "";
    this.known = false;
    this.connected = false;
    this.stop = new AbortController();
    /** @type {LivePlayer | null} */
    this.player = null;
    /** @type {LiveSource | null} */
    this.source = null;
    /** @type {string[]} */
    this.shown = [];
    /** @type {RunList | null} */
    this.list = null;
    this.opening = 0;
    addEventListener("popstate", () => this.route());
    document.addEventListener("visibilitychange", () => {
      // A browser has six connections to a server, and hidden pages must not use them up.
      if (document.hidden) this.stop.abort();
      else this.wake?.();
    });
    this.connect();
  }

  async connect() {
    let pause = 500;
    for (;;) {
      if (document.hidden) await this.sleep(Infinity);
      this.stop = new AbortController();
      try {
        await this.api.listen((change) => {
          pause = 500;
          this.changed(change);
        }, this.stop);
      } catch (error) {
        const status = error instanceof HttpError ? error.status : 0;
        if (status === 403) {
          this.say(/** @type {Error} */ (error).message);
          return;
        }
        if (status) console.warn(/** @type {Error} */ (error).message);
      }
      this.connected = false;
      if (document.hidden) continue;
      this.showState();
      await this.sleep(pause);
      pause = Math.min(10_000, 2 * pause);
    }
  }

  /** Wait so many milliseconds, or until the page is shown again. @param {number} time */
  sleep(time) {
    return new Promise((done) => {
      const timer = time < Infinity ? setTimeout(done, time) : undefined;
      this.wake = () => {
        clearTimeout(timer);
        done(null);
      };
    });
  }

  /** @param {Change} change */
  changed(change) {
    const again = !this.connected;
    this.connected = true;
    this.note = change.note;
    const waited = this.list && [...this.runs.values()].every((run) => !run.count);
    for (const run of change.runs) this.runs.set(run.id, run);
    if (!this.known) {
      this.known = true;
      this.route();
      return;
    }
    if (again) this.player?.retry();
    for (const run of change.runs) {
      const r = this.shown.indexOf(run.id);
      if (r >= 0 && this.source && run.count && run.state !== "gone") this.refresh(r);
    }
    if (waited || (this.shown.length && !this.player)) this.route();
    this.list?.show(this.runs, this.note);
    this.showState();
  }

  /** @param {number} r */
  async refresh(r) {
    try {
      await this.source?.refresh(r);
    } catch (error) {
      // Without a server this is said already; a run that was deleted has its own state.
      if (this.connected) console.warn(String(error));
    }
    this.showState();
  }

  /** Show what the address names: runs, or the list of all. */
  route() {
    const asked = (new URLSearchParams(location.search).get("runs") ?? "").split(",").filter(Boolean);
    const found = asked.filter((id) => this.runs.has(id)).slice(0, MOST_SELECTED);
    const [only] = this.runs.values();
    if (!asked.length && this.runs.size === 1 && only.count) found.push(only.id);
    if (found.length) this.open(found);
    else this.showList();
  }

  /** @param {string[]} ids */
  go(ids) {
    const search = ids.length ? `?runs=${ids.join(",")}` : "";
    history.pushState(null, "", `${location.pathname}${search}`);
    this.route();
  }

  /** @param {string[]} ids @param {string} [told] to be said once they are shown */
  async open(ids, told) {
    const turn = ++this.opening;
    const runs = ids.map((id) => /** @type {Run} */ (this.runs.get(id)));
    this.shown = ids;
    if (runs.some((run) => !run.count)) {
      this.close();
      this.shown = ids;
      this.say(`${runs.filter((run) => !run.count).map((run) => run.name).join(", ")}: waiting for the first snapshot …`);
      return;
    }
    let replies;
    try {
      replies = await Promise.all(ids.map(async (id) => (await this.api.get(`/api/r/${id}`)).json()));
    } catch (error) {
      if (turn === this.opening) this.say(`The runs cannot be opened: ${/** @type {Error} */ (error).message}`);
      return;
    }
    if (turn !== this.opening) return;
    const follow = kept("follow") ? kept("follow") === "on" : !/(^#|&)time=/.test(location.hash);
    this.close();
    this.shown = ids;
    this.source = new LiveSource(this.api, runs, replies, this.worker, (r, reply) => this.replaced(r, reply));
    this.player = new LivePlayer(this.root, this.source, { follow, back: this.runs.size > 1 ? () => this.go([]) : null });
    /** @type {any} */ (globalThis).trainvizPlayer = this.player;
    document.title = `${this.source.facts.title} – trainviz`;
    if (told) this.player.tell(told);
    this.showState();
    // What came while this was under way.
    ids.forEach((_, r) => this.refresh(r));
  }

  /** Begin anew with a run of which snapshots were replaced. @param {number} r @param {any} reply */
  replaced(r, reply) {
    const before = /** @type {LiveSource} */ (this.source).facts.recordings[r].epochs;
    const { name } = /** @type {Run} */ (this.runs.get(this.shown[r]));
    const same = Math.min(reply.kept, before.length);
    const text = !same ? "was recorded anew" : same === before.length ? "is continued" : `is continued from epoch ${before[same - 1]}; what came after was replaced`;
    this.open(this.shown, `${name} ${text}.`);
  }

  close() {
    this.player?.close();
    this.list?.close();
    this.player = this.source = this.list = null;
    this.shown = [];
    this.root.className = "";
    this.root.removeAttribute("data-ready");
    this.root.removeAttribute("data-theme");
  }

  showList() {
    this.opening++;
    this.close();
    document.title = "Runs – trainviz";
    this.list = new RunList(this.root, this.api, (ids) => this.go(ids));
    this.list.show(this.runs, this.note);
    this.showState();
  }

  /** @param {string} text */
  say(text) {
    this.close();
    this.root.replaceChildren(el("p", { class: "tv-wait", role: "alert", dir: "auto" }, text));
  }

  /** Say how the runs and the connection are. */
  showState() {
    const lost = "The server does not answer; the page tries again, and keeps what it has.";
    this.list?.setConnection(this.connected ? "" : lost);
    if (!this.player) return;
    const runs = this.shown.map((id) => /** @type {Run} */ (this.runs.get(id)));
    const states = runs.map((run) => run.state);
    const state = !this.connected ? "lost" : states.find((one) => one === "gone" || one === "damaged") ?? (states.includes("recording") ? "recording" : "idle");
    const each = runs.map((run, r) => {
      const count = this.source?.facts.recordings[r].epochs.length ?? run.count;
      const shown = STATES[run.state] + (run.state === "gone" ? "; what the page has loaded stays" : run.state === "damaged" ? `: ${run.problem}` : "");
      return `${runs.length > 1 ? `${run.name}: ` : ""}${shown}, ${count} snapshot${count === 1 ? "" : "s"}`;
    });
    this.player.setStatus(this.connected ? each.join(" · ") : lost, state);
  }
}

/** The list of all runs, with thumbnails. */
export class RunList {
  /** @param {HTMLElement} root @param {Api} api @param {(ids: string[]) => void} go */
  constructor(root, api, go) {
    this.root = root;
    this.api = api;
    this.go = go;
    /** @type {Map<string, any>} the parts of each run's card */
    this.cards = new Map();
    /** @type {Set<string>} */
    this.chosen = new Set();
    /** @type {Map<string, Run>} */
    this.runs = new Map();
    this.night = matchMedia("(prefers-color-scheme: dark)");
    this.ended = new AbortController();
    this.night.addEventListener("change", () => this.paintAll(), { signal: this.ended.signal });
    /** @type {Set<string>} of which a thumbnail is to be fetched */
    this.wanted = new Set();
    this.fetching = false;
    /** @type {Set<string>} */
    this.visible = new Set();
    this.observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const id = /** @type {HTMLElement} */ (target).dataset.id ?? "";
        if (isIntersecting) this.visible.add(id);
        else this.visible.delete(id);
        if (isIntersecting) this.paint(id);
      }
    });
    this.note = el("p", { class: "tv-muted", role: "status" });
    this.connection = el("p", { class: "tv-status", role: "status" });
    this.filter = el("input", { type: "search", placeholder: "Name contains", "aria-label": "Name contains", oninput: () => this.arrange() });
    this.compare = el("button", { type: "button", onclick: () => this.go([...this.chosen]) });
    this.hint = el("p", { class: "tv-hint" });
    this.grid = el("ul", { class: "tv-runs" });
    root.className = "tv tv-list";
    root.replaceChildren(
      el("header", { class: "tv-head" }, el("div", { class: "tv-titles" }, el("h1", {}, "Runs"), this.note, this.connection),
        el("div", { class: "tv-actions" }, this.filter, this.compare)),
      el("main", {}, this.hint, this.grid));
  }

  close() {
    this.ended.abort();
    this.observer.disconnect();
    for (const card of this.cards.values()) URL.revokeObjectURL(card.image.src);
    this.root.replaceChildren();
  }

  /** @param {string} text */
  setConnection(text) {
    this.connection.textContent = text;
    this.connection.dataset.state = "lost";
  }

  /** @param {Map<string, Run>} runs @param {string} note */
  show(runs, note) {
    this.runs = runs;
    const live = [...runs.values()].filter((run) => run.state === "recording").length;
    this.note.textContent = `${runs.size} run${runs.size === 1 ? "" : "s"}${live ? `, ${live} being recorded` : ""}. ${note}`;
    for (const run of runs.values()) this.showCard(run);
    this.arrange();
  }

  /** @param {Run} run */
  showCard(run) {
    let card = this.cards.get(run.id);
    if (!card) {
      card = this.card(run);
      this.cards.set(run.id, card);
      this.observer.observe(card.root);
    }
    const metrics = Object.entries(run.metrics).slice(0, 2).map(([name, value]) => `${name} ${number(value)}`);
    card.state.textContent = run.state === "damaged" ? `Damaged: ${run.problem}` : STATES[run.state];
    card.state.dataset.state = run.state;
    card.epoch.textContent = run.count ? `epoch ${run.epoch}, ${run.count} snapshot${run.count === 1 ? "" : "s"}` : "no snapshot yet";
    card.metrics.textContent = metrics.join(", ");
    card.image.alt = run.count ? `Map of ${run.name} at epoch ${run.epoch}` : "";
    if (this.visible.has(run.id)) this.paint(run.id);
  }

  /** @param {Run} run */
  card(run) {
    const image = el("img", { class: "tv-thumbnail", hidden: true, alt: "" });
    const [state, epoch, metrics] = [el("p", { class: "tv-status" }), el("p", {}), el("p", { class: "tv-muted", dir: "auto" })];
    const box = el("input", { type: "checkbox", onchange: () => {
      if (box.checked) this.chosen.add(run.id);
      else this.chosen.delete(run.id);
      this.arrange();
    } });
    // The token goes along, so that the link also works in another tab.
    const token = kept("token");
    const link = el("a", { href: `?runs=${run.id}${token ? `#token=${token}` : ""}`, onclick: (/** @type {MouseEvent} */ event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.go([run.id]);
    } }, el("span", { class: "tv-picturebox" }, image), el("b", { dir: "auto" }, run.name));
    const side = el("label", { class: "tv-check" }, box, el("span", {}, "Side by side"));
    const root = el("li", { class: "tv-run", "data-id": run.id }, link, state, epoch, metrics, side);
    return { root, image, state, epoch, metrics, box, side, painted: "", at: -Infinity };
  }

  arrange() {
    const [first] = [...this.chosen].map((id) => this.runs.get(id));
    const text = this.filter.value.toLowerCase();
    const sorted = [...this.runs.values()].sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
    for (const run of sorted) {
      const card = this.cards.get(run.id);
      const fits = !first || run.group === first.group;
      const full = this.chosen.size >= MOST_SELECTED && !this.chosen.has(run.id);
      card.box.disabled = !run.count || !fits || full;
      card.side.title = fits ? "" : "It has other classes, or another window, than those that are selected";
      card.root.hidden = !run.name.toLowerCase().includes(text);
    }
    const order = sorted.map((run) => this.cards.get(run.id).root);
    // Moving a card that is in its place already would take the focus from it.
    order.forEach((card, place) => {
      if (this.grid.children[place] !== card) this.grid.insertBefore(card, this.grid.children[place] ?? null);
    });
    const others = first ? sorted.filter((run) => run.count && run.group !== first.group).length : 0;
    this.filter.hidden = sorted.length < 9;
    this.compare.hidden = sorted.length < 2;
    this.compare.disabled = this.chosen.size < 2;
    this.compare.className = this.compare.disabled ? "" : "tv-main-action";
    this.compare.textContent = this.chosen.size ? `Show ${this.chosen.size} side by side` : "Show side by side";
    this.hint.textContent = !sorted.length ? "No run is here yet. This page shows it as soon as its first snapshot is recorded."
      : sorted.length < 2 ? "" : this.chosen.size >= MOST_SELECTED ? `${MOST_SELECTED} runs at most are shown side by side.`
      : others ? `${others} run${others === 1 ? " has" : "s have"} other classes, or another window.` : "Choose a run, or tick several to see them side by side.";
  }

  paintAll() {
    for (const id of this.visible) this.paint(id);
  }

  /** Fetch a thumbnail in its turn, if it would be another. @param {string} id */
  paint(id) {
    const run = this.runs.get(id);
    const card = this.cards.get(id);
    if (!run?.count || card.painted === this.keyOf(run)) return;
    this.wanted.add(id);
    if (!this.fetching) this.fetchAll();
  }

  /** @param {Run} run */
  keyOf(run) {
    return `${run.count - 1}?version=${run.version}&dark=${this.night.matches ? 1 : 0}`;
  }

  async fetchAll() {
    this.fetching = true;
    while (this.wanted.size && !this.ended.signal.aborted) {
      const now = performance.now();
      const due = [...this.wanted].find((id) => now - this.cards.get(id).at >= THUMBNAIL_PAUSE);
      if (!due) {
        await new Promise((done) => setTimeout(done, 200));
        continue;
      }
      this.wanted.delete(due);
      const card = this.cards.get(due);
      const key = this.keyOf(/** @type {Run} */ (this.runs.get(due)));
      card.at = performance.now();
      try {
        const response = await this.api.get(`/api/r/${due}/thumbnails/${key}`, this.ended.signal);
        const url = URL.createObjectURL(await response.blob());
        URL.revokeObjectURL(card.image.src);
        Object.assign(card.image, { src: url, hidden: false });
        card.painted = key;
      } catch {
        // Replaced or deleted meanwhile; its next change tries again.
      }
    }
    this.fetching = false;
  }
}

/**
 * Read or set what this tab keeps when the page is loaded again.
 * @param {string} name @param {string} [value]
 */
function kept(name, value) {
  try {
    if (value !== undefined) sessionStorage.setItem(`trainviz-${name}`, value);
    return sessionStorage.getItem(`trainviz-${name}`);
  } catch {
    return value ?? null;
  }
}

/**
 * Start the live page.
 * @param {Document} page
 */
export function startLive(page) {
  const root = /** @type {HTMLElement} */ (page.getElementById("trainviz"));
  if (!canInflate()) {
    root.replaceChildren(el("p", { class: "tv-wait", role: "alert" }, "This browser is too old to unpack recordings (it lacks DecompressionStream): please open the page in a current Firefox, Chrome, Edge or Safari."));
    return;
  }
  const found = /(?:^#|&)token=([\w-]+)/.exec(location.hash);
  if (found) {
    kept("token", found[1]);
    // So that it is in no screenshot; the player writes its state there.
    history.replaceState(null, "", location.pathname + location.search);
  }
  const worker = page.getElementById("trainviz-worker")?.textContent || null;
  /** @type {any} */ (globalThis).trainvizLive = new LivePage(root, new Api(found?.[1] ?? kept("token")), worker);
}
