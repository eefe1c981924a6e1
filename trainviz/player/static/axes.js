/** What coordinates along an axis mean: numbers, dates, or categories, each of which has a band. */

import { number, ticksOf } from "./dom.js";

/** @typedef {{kind: string, categories: string[]}} Axis */

const DAY = 86400e3;
/** Milliseconds. */

/** @param {Axis | undefined} axis @returns {number} how many bands; 0 for numbers and dates */
export function bandsOf(axis) {
  return axis?.kind === "category" ? axis.categories.length : 0;
}

/** What a coordinate stands for, whole. @param {Axis | undefined} axis @param {number} value */
export function placeText(axis, value) {
  const bands = bandsOf(axis);
  if (axis && bands) return axis.categories[Math.max(0, Math.min(bands - 1, Math.floor(value + 0.5)))];
  if (axis?.kind === "date") return isoOf(value).slice(0, 10);
  return number(Number(value.toPrecision(3)));
}

/**
 * The ticks between two ends of an axis.
 * @param {Axis | undefined} axis @param {number} low @param {number} high
 * @param {number} count about how many
 * @returns {[number, string][]}
 */
export function axisTicks(axis, low, high, count) {
  if (axis && bandsOf(axis)) {
    const every = Math.max(1, Math.ceil((high - low) / (4 * count)));
    return axis.categories.flatMap((name, k) =>
      k >= low && k <= high && k % every === 0 ? [/** @type {[number, string]} */ ([k, name])] : []);
  }
  if (axis?.kind === "date") return dateTicks(low, high, count);
  return ticksOf(low, high, count).map((tick) => [tick, number(tick)]);
}

/** @param {number} days since 1970 */
function isoOf(days) {
  return new Date(Math.round(days * DAY)).toISOString().replace(/^\+0*/, "");
}

/**
 * @param {number} low @param {number} high in days @param {number} count
 * @returns {[number, string][]}
 */
function dateTicks(low, high, count) {
  const span = (high - low) / Math.max(1, count);
  const [from, to] = [new Date(low * DAY), new Date(high * DAY)];
  /** @type {[number, string][]} */
  const ticks = [];
  if (span > 20) {
    // Whole months, or years of twelve.
    const step = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200].find((months) => months * 31 >= span) ?? 12000;
    const first = Math.floor((from.getUTCFullYear() * 12 + from.getUTCMonth()) / step) * step;
    for (let month = first; month <= to.getUTCFullYear() * 12 + to.getUTCMonth(); month += step) {
      const day = new Date(0).setUTCFullYear(Math.floor(month / 12), month % 12, 1) / DAY;
      if (day >= low && day <= high) ticks.push([day, isoOf(day).slice(0, step % 12 ? 7 : 4)]);
    }
    return ticks;
  }
  const step = [1 / 1440, 1 / 144, 1 / 24, 1 / 8, 1 / 2, 1, 2, 7, 14].find((days) => days >= span) ?? 28;
  for (let k = Math.ceil(low / step); k * step <= high; k++) {
    const text = isoOf(k * step);
    ticks.push([k * step, step < 1 ? text.slice(5, 16).replace("T", " ") : text.slice(0, 10)]);
  }
  return ticks;
}
