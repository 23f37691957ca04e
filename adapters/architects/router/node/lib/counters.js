// @ts-check

/** What the router dropped or refused since it started. */
export class Counters {
  /** Sockets that said they were the operator without the secret. */
  refusedOperators = 0;

  /** @type {Record<string, number>} */
  #dropped = {};

  /**
   * Count a packet that goes nowhere.
   *
   * @param {string} reason a short fixed name
   */
  drop(reason) {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + 1;
  }

  /** Dropped packets by reason. */
  get dropped() {
    return { ...this.#dropped };
  }
}
