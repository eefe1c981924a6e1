/** The state of the page in its address, after the #. */

/**
 * @typedef {object} Shown
 * @property {number} [time] the epoch (or step)
 * @property {string} [mode]
 * @property {number} [of] the class of the mode probability
 * @property {string} [clock]
 * @property {number} [part] the class of the mode difference
 * @property {number} [top] how many classes have a colour
 * @property {number} [outline]
 * @property {number} [speed]
 * @property {string} [theme]
 * @property {[number, number]} [range] epochs
 * @property {[number, number][]} [pins]
 * @property {number[]} [line] x, y, x, y
 * @property {number[]} [view] x0, x1, y0, y1
 * @property {number[]} [hidden] classes
 * @property {string} [palette]
 * @property {string} [scale]
 * @property {number[]} [levels]
 */

const NUMBERS = new Set(["time", "of", "part", "top", "outline", "speed"]);
const LISTS = new Set(["range", "line", "view", "hidden", "levels"]);
const WORDS = new Set(["mode", "clock", "palette", "scale", "theme"]);

/** @param {Shown} shown */
export function written(shown) {
  const parts = [];
  for (const [name, value] of Object.entries(shown)) {
    if (value === undefined || value === null || (Array.isArray(value) && !value.length)) continue;
    const text =
      name === "pins"
        ? /** @type {[number, number][]} */ (value).map((pin) => pin.map(short).join(",")).join(";")
        : Array.isArray(value)
          ? /** @type {number[]} */ (value).map(short).join(",")
          : typeof value === "number" ? short(value) : encodeURIComponent(value);
    parts.push(`${name}=${text}`);
  }
  return parts.join("&");
}

/** @param {number} number */
function short(number) {
  return String(Number(number.toPrecision(6)));
}

/**
 * Read a state; whatever is no such thing is left out.
 * @param {string} text
 * @returns {Shown}
 */
export function read(text) {
  /** @type {any} */
  const shown = {};
  for (const part of text.replace(/^#/, "").split("&")) {
    const [name, value = ""] = part.split("=");
    if (NUMBERS.has(name) && value !== "" && Number.isFinite(Number(value))) shown[name] = Number(value);
    if (LISTS.has(name)) {
      const numbers = value.split(",").map(Number);
      const due = name === "range" ? 2 : name === "line" || name === "view" ? 4 : numbers.length;
      if (value && numbers.length === due && numbers.every(Number.isFinite)) shown[name] = numbers;
    }
    if (name === "pins" && value) {
      const pins = value.split(";").map((pin) => pin.split(",").map(Number));
      shown.pins = pins.filter((pin) => pin.length === 2 && pin.every(Number.isFinite)).slice(0, 12);
    }
    if (WORDS.has(name)) {
      try {
        shown[name] = decodeURIComponent(value);
      } catch {
        // No text; left out.
      }
    }
  }
  return shown;
}
