// @ts-check
/**
 * Limits how often something may happen for each of many keys, for instance requests of an address.
 *
 * Each key has a bucket of tokens that is refilled steadily. Only `MAX_KEYS` buckets are remembered: a client with more
 * addresses than that has more than one machine.
 */

/** Keys that are remembered; beyond it the longest unused is forgotten. */
const MAX_KEYS = 10_000;

/** Token buckets by key. */
export class RateLimiter {
  #burst;
  #perSecond;
  #monotonic;
  /** @type {Map<string, {tokens: number, at: number}>} */
  #buckets = new Map();

  /**
   * @param {number} burst how often something may happen at once
   * @param {number} perSecond how often it may happen in the long run
   * @param {() => number} monotonic returns seconds since any fixed moment
   */
  constructor(burst, perSecond, monotonic) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#monotonic = monotonic;
  }

  /**
   * Take a token of a key.
   *
   * @param {string} key
   * @returns {boolean} whether there was one
   */
  allows(key) {
    const now = this.#monotonic();
    const bucket = this.#buckets.get(key) ?? { tokens: this.#burst, at: now };
    const tokens = Math.min(this.#burst, bucket.tokens + (now - bucket.at) * this.#perSecond);
    const isAllowed = tokens >= 1;
    this.#buckets.delete(key);
    this.#buckets.set(key, { tokens: isAllowed ? tokens - 1 : tokens, at: now });
    if (this.#buckets.size > MAX_KEYS) {
      const [oldest] = this.#buckets.keys();
      this.#buckets.delete(oldest);
    }
    return isAllowed;
  }
}
