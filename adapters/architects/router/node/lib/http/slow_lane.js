// @ts-check
/**
 * Shares a narrow bandwidth among large bodies of strangers: what they cost is not taken from those who work.
 *
 * Nobody knows whose a body is before it has been read, and to read megabytes, or a form of a thousand parts, takes as
 * long as to serve several workers. So bodies from addresses where nobody has an agent come one piece after the other,
 * and together not faster than `BYTES_PER_SECOND`.
 */
import { setTimeout } from "node:timers/promises";

/** So much of each body needs no lane: nearly all bodies are smaller. */
export const FREE_BYTES = 4 * 1024;

/** Number of bodies that are in it at the same time. */
export const PLACES = 100;

/** What all bodies of strangers may bring in a second in the long run, and at once. */
const BYTES_PER_SECOND = 2 ** 20;
const BURST_BYTES = 2 ** 20;

/** A bandwidth, used in the order of asking. */
export class SlowLane {
  #monotonic;
  /** @type {Promise<unknown>} the end of the turns that were asked for */
  #lastTurn = Promise.resolve();
  /** When what has been taken so far is paid for. */
  #paidAt;

  /** @param {() => number} monotonic returns seconds since any fixed moment */
  constructor(monotonic) {
    this.#monotonic = monotonic;
    this.#paidAt = monotonic();
  }

  /**
   * Wait until what was taken before is paid for, then take so much.
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
      const seconds = this.#paidAt - BURST_BYTES / BYTES_PER_SECOND - this.#monotonic();
      if (seconds > 0) await Promise.race([setTimeout(seconds * 1000), givenUp]);
      this.#paidAt = Math.max(this.#paidAt, this.#monotonic()) + sizeBytes / BYTES_PER_SECOND;
    } finally {
      leave();
    }
  }
}
