// @ts-check
/**
 * Keeps many deadlines of one length with a single timer.
 *
 * All deadlines have the same length, so the order in which they were set is the order in which they pass: the first key
 * is always the next one due, and setting a key again costs no timer.
 */

/** A longer timer would fire at once; it is set again when it wakes early. */
const MAX_TIMER_MILLISECONDS = 2 ** 31 - 1;

/**
 * Keys with a deadline each.
 *
 * @template Key
 */
export class DeadlineQueue {
  #seconds;
  #monotonic;
  /** @type {Map<Key, number>} */
  #setAt = new Map();
  /** @type {NodeJS.Timeout | null} */
  #timer = null;
  /** @type {((keys: Key[]) => void) | null} */
  #onPassed = null;

  /**
   * @param {number} seconds the length of every deadline
   * @param {() => number} monotonic returns seconds since any fixed moment
   */
  constructor(seconds, monotonic) {
    this.#seconds = seconds;
    this.#monotonic = monotonic;
  }

  /**
   * Start the deadline of a key, or start it again.
   *
   * @param {Key} key
   */
  set(key) {
    this.#setAt.delete(key);
    this.#setAt.set(key, this.#monotonic());
    this.#arm();
  }

  /**
   * Remove the deadline of a key, if it has one.
   *
   * @param {Key} key
   */
  delete(key) {
    this.#setAt.delete(key);
  }

  /**
   * Return whether the deadline of a key has yet to pass.
   *
   * @param {Key} key
   * @returns {boolean}
   */
  has(key) {
    return this.#setAt.has(key);
  }

  /**
   * From now on remove the keys whose deadline has passed, and call `onPassed` with them, oldest first.
   *
   * Deadlines that pass while nobody watches are reported when somebody does.
   *
   * @param {(keys: Key[]) => void} onPassed
   */
  watch(onPassed) {
    this.#onPassed = onPassed;
    this.#arm();
  }

  #arm() {
    const { value: setAt } = this.#setAt.values().next();
    if (this.#timer !== null || this.#onPassed === null || setAt === undefined) return;
    const milliseconds = Math.ceil((setAt + this.#seconds - this.#monotonic()) * 1000);
    this.#timer = setTimeout(() => this.#wake(), Math.min(Math.max(milliseconds, 0), MAX_TIMER_MILLISECONDS));
    this.#timer.unref();
  }

  #wake() {
    this.#timer = null;
    const now = this.#monotonic();
    /** @type {Key[]} */
    const passed = [];
    for (const [key, setAt] of this.#setAt) {
      if (setAt + this.#seconds > now) break;
      passed.push(key);
    }
    for (const key of passed) this.#setAt.delete(key);
    if (passed.length > 0) this.#onPassed?.(passed);
    this.#arm();
  }
}
