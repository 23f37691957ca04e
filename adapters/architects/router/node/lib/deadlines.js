// @ts-check
import { performance } from "node:perf_hooks";

/** A longer timer would fire at once; the sweep sets it again when it wakes early. */
const LONGEST_TIMER_MILLISECONDS = 2 ** 31 - 1;

/**
 * Many deadlines of one length, driven by one timer.
 *
 * All have the same length, so the order in which they were set is the order in which they end: the first entry of the
 * map is always the next one due, and setting one again costs no timer.
 *
 * @template Key
 */
export class Deadlines {
  /** @type {Map<Key, number>} */
  #due = new Map();
  /** @type {NodeJS.Timeout | null} */
  #timer = null;
  #milliseconds;
  #onExpired;

  /**
   * @param {number} seconds length of every deadline
   * @param {(key: Key) => void} onExpired called once for each deadline that passed
   */
  constructor(seconds, onExpired) {
    this.#milliseconds = seconds * 1000;
    this.#onExpired = onExpired;
  }

  /**
   * Start the deadline of `key`, or start it again.
   *
   * @param {Key} key
   */
  set(key) {
    this.#due.delete(key);
    this.#due.set(key, performance.now() + this.#milliseconds);
    if (this.#timer === null) this.#arm(this.#milliseconds);
  }

  /** @param {Key} key */
  delete(key) {
    this.#due.delete(key);
  }

  /** @param {number} milliseconds */
  #arm(milliseconds) {
    this.#timer = setTimeout(() => this.#sweep(), Math.min(Math.ceil(milliseconds), LONGEST_TIMER_MILLISECONDS));
    this.#timer.unref();
  }

  #sweep() {
    this.#timer = null;
    const now = performance.now();
    /** @type {Key[]} */
    const expired = [];
    for (const [key, due] of this.#due) {
      if (due > now) {
        this.#arm(due - now);
        break;
      }
      expired.push(key);
    }
    for (const key of expired) this.#due.delete(key);
    for (const key of expired) this.#onExpired(key);
  }
}
