/** Time: snapshots, and the clocks by which they pass. */

/**
 * @typedef {"epoch" | "step" | "snapshot" | "slow" | "progress"} ClockName
 * "slow" is geometric: as much time from epoch 1 to 2 as from 100 to 200.
 */

/** A clock maps the place among the snapshots, a fraction of an index, to 0 ... 1 and back. */
export class Clock {
  /**
   * @param {ArrayLike<number>} times ascending
   * @param {boolean} geometric
   */
  constructor(times, geometric = false) {
    const shift = times.length ? 1 - times[0] : 0;
    this.at = Array.from(times, (time) => (geometric ? Math.log(time + shift) : time));
    this.first = this.at[0] ?? 0;
    this.span = (this.at[this.at.length - 1] ?? 0) - this.first;
  }

  /** @param {number} position */
  share(position) {
    if (!this.span) return 0;
    const last = this.at.length - 1;
    const left = Math.max(0, Math.min(last, Math.floor(position)));
    const right = Math.min(left + 1, last);
    const time = this.at[left] + (position - left) * (this.at[right] - this.at[left]);
    return (time - this.first) / this.span;
  }

  /** @param {number} share */
  position(share) {
    const last = this.at.length - 1;
    if (last < 1 || !this.span) return 0;
    const time = this.first + Math.max(0, Math.min(1, share)) * this.span;
    let [low, high] = [0, last];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.at[middle] <= time) low = middle;
      else high = middle;
    }
    const gap = this.at[high] - this.at[low];
    return low + (gap > 0 ? Math.min(1, (time - this.at[low]) / gap) : 1);
  }
}

/**
 * @param {ClockName} name
 * @param {number[]} epochs
 * @param {number[] | null} steps
 */
export function clockOf(name, epochs, steps) {
  if (name === "snapshot") return new Clock(epochs.map((_, index) => index));
  if (name === "step" && steps) return new Clock(steps);
  return new Clock(steps && !ascends(epochs) ? steps : epochs, name === "slow");
}

/** @param {number[]} times */
export function ascends(times) {
  return times.every((time, index) => !index || time > times[index - 1]);
}

/**
 * Return a value at a place between snapshots, as the films' captions do.
 * @param {ArrayLike<number>} values
 * @param {number} position
 */
export function valueAt(values, position) {
  const left = Math.max(0, Math.min(values.length - 1, Math.floor(position)));
  const weight = position - left;
  if (weight <= 0 || left + 1 >= values.length) return values[left];
  return values[left] + weight * (values[left + 1] - values[left]);
}

/**
 * Return the place of a time among ascending times; the last of equals, and the nearer end outside.
 * @param {ArrayLike<number>} times
 * @param {number} time
 */
export function positionOf(times, time) {
  const last = times.length - 1;
  if (last < 0 || time <= times[0]) {
    let first = 0;
    while (first < last && times[first + 1] <= time) first++;
    return Math.max(0, first);
  }
  if (time >= times[last]) return last;
  let [low, high] = [0, last];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle;
    else high = middle;
  }
  return low + (time - times[low]) / (times[high] - times[low] || 1);
}
