// @ts-check
/**
 * Limits the bandwidth of large bodies of strangers, so that whoever works does not wait for them.
 *
 * Nobody knows whose a body is before it has been read, and reading megabytes, or a form of a thousand parts, takes as
 * long as serving several workers. So bodies from addresses where nobody has an agent are read one piece after the
 * other, all together at `BYTES_PER_SECOND`.
 */
import { setTimeout } from "node:timers/promises";

/** So much of each body is not throttled: nearly all bodies are smaller. */
export const FREE_BYTES = 4 * 1024;

/** Number of bodies that are throttled at the same time. */
export const MAX_BODIES = 100;

/** What all throttled bodies together may bring in a second in the long run, and at once. */
const BYTES_PER_SECOND = 2 ** 20;
const BURST_BYTES = 2 ** 20;

/** A token bucket that is shared by all bodies, in the order of asking. */
export class Throttle {
  #monotonic;
  /** @type {Promise<unknown>} the end of the turns that were asked for */
  #lastTurn = Promise.resolve();
  /** When the bucket is full again. */
  #fullAt;

  /** @param {() => number} monotonic returns seconds since any fixed moment */
  constructor(monotonic) {
    this.#monotonic = monotonic;
    this.#fullAt = monotonic();
  }

  /**
   * Wait until the bucket is not overdrawn, then take so much.
   *
   * @param {number} sizeBytes
   * @param {Promise<never>} givenUp rejected to end the wait: nothing is taken
   * @returns {Promise<void>}
   */
  async take(sizeBytes, givenUp) {
    const before = this.#lastTurn;
    /** @type {(value?: undefined) => void} */
    let leave = () => {};
    this.#lastTurn = Promise.all([before, new Promise((resolve) => (leave = resolve))]);
    try {
      await Promise.race([before, givenUp]);
      const seconds = this.#fullAt - BURST_BYTES / BYTES_PER_SECOND - this.#monotonic();
      if (seconds > 0) await Promise.race([setTimeout(seconds * 1000), givenUp]);
      this.#fullAt = Math.max(this.#fullAt, this.#monotonic()) + sizeBytes / BYTES_PER_SECOND;
    } finally {
      leave();
    }
  }
}
