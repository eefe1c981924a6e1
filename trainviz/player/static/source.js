/** Where a player gets its snapshots from. */

import { fromBase64 } from "./bytes.js";

/**
 * @typedef {object} Source What the offline page, the live page and the widget each implement.
 * @property {any} facts title, recordings and so on; docs/player.md lists them
 * @property {(recording: number, index: number) => Promise<Uint8Array>} bytes a packed map
 * @property {(told: (replaced?: [number, number]) => void) => () => void} subscribe told when facts
 *   have grown, and from which snapshot of which recording on maps were replaced; returns how to
 *   stop that
 * @property {string | null} worker the text of a worker, or null
 */

/**
 * The snapshots that lie in the page itself.
 * @param {Document} page
 * @returns {Source}
 */
export function pageSource(page) {
  const text = (/** @type {string} */ id) => page.getElementById(id)?.textContent ?? "";
  return {
    facts: JSON.parse(text("trainviz-facts")),
    worker: text("trainviz-worker") || null,
    bytes: async (recording, index) => {
      const id = `trainviz-${recording}-${index}`;
      // The first picture is wanted before the browser has read the whole page; what follows an
      // element tells that it is complete.
      while (!page.getElementById(id)?.nextSibling && page.readyState === "loading")
        await new Promise((done) => setTimeout(done, 10));
      return fromBase64(text(id));
    },
    subscribe: () => () => {},
  };
}
