/** The live page: runs that a server reads from the disk, and what is new of them. */

import { canInflate } from "./bytes.js";
import { positionOf, valueAt } from "./clock.js";
import { el } from "./dom.js";
import { Api, HttpError, kept, LiveSource } from "./live_source.js";
import { Player } from "./player.js";
import { MOST_SELECTED, RunList, STATES } from "./runs.js";

/** @typedef {import("./live_source.js").Change} Change */
/** @typedef {import("./live_source.js").Run} Run */

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
    const times = before.map((at) => valueAt(this.times, at));
    const images = this.recordings.map((/** @type {any} */ one) => one.images);
    super.grown();
    this.recordings.forEach((/** @type {any} */ one, /** @type {number} */ r) =>
      Object.assign(one, { images: images[r], learning: undefined }));
    this.takePredictions();
    // Of several runs, another's epochs may come to lie before the one that is shown.
    const [now, ...range] = this.recordings.length < 2 ? before : times.map((time) => positionOf(this.times, time));
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
      this.say(`${runs.filter((run) => !run.count).map((run) => run.name).join(", ")}: waiting for the first snapshot …`, ids);
      return;
    }
    let replies;
    try {
      replies = await Promise.all(ids.map(async (id) => (await this.api.get(`/api/r/${id}`)).json()));
    } catch (error) {
      if (turn === this.opening) this.say(`The runs cannot be opened: ${/** @type {Error} */ (error).message}`, ids);
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

  /**
   * Say something in the place of runs, which are opened at the next change or connection.
   * @param {string} text
   * @param {string[]} [ids]
   */
  say(text, ids = []) {
    this.close();
    this.shown = ids;
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
