/** The list of the runs that a server offers. */

import { el, number } from "./dom.js";
import { kept } from "./live_source.js";

/** @typedef {import("./live_source.js").Api} Api */
/** @typedef {import("./live_source.js").Run} Run */

/** How many runs are shown side by side. */
export const MOST_SELECTED = 6;
/** Least time between two thumbnails of a run, in milliseconds. */
const THUMBNAIL_PAUSE = 2000;

export const STATES = { recording: "Recording", idle: "Not being recorded", gone: "Deleted", damaged: "Damaged" };

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
