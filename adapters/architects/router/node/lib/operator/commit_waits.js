// @ts-check
/**
 * Lets answers to workers wait until the operator has committed what they handed in.
 *
 * What is waited for is in the journal already: if the operator is slow, or away, the answer relies on that.
 */

/** Answers that wait, by the number of their packet. */
export class CommitWaits {
  #seconds;
  /** @type {Map<number, () => void>} */
  #waiting = new Map();

  /** @param {number} seconds how long an answer waits at most; 0 not at all */
  constructor(seconds) {
    this.#seconds = seconds;
  }

  /**
   * Wait until the operator has acknowledged a packet, or has gone, or time is up.
   *
   * @param {number} seq the packet's number
   * @param {number} leastSeconds how long this answer waits at most, if that is longer than for others
   * @returns {Promise<void>}
   */
  wait(seq, leastSeconds) {
    const seconds = Math.max(this.#seconds, leastSeconds);
    if (seconds === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle(), seconds * 1000);
      const settle = () => {
        clearTimeout(timer);
        this.#waiting.delete(seq);
        resolve();
      };
      this.#waiting.set(seq, settle);
    });
  }

  /**
   * Let those continue whose packets have a number up to the acknowledged one.
   *
   * @param {number} acknowledged
   */
  settle(acknowledged) {
    for (const [seq, settle] of this.#waiting) if (seq <= acknowledged) settle();
  }

  /** Let everybody continue: there is no operator. */
  giveUpAll() {
    for (const settle of this.#waiting.values()) settle();
  }
}
