// @ts-check
/** Counts what the router dropped or refused, for monitoring. */

/** Counts since the process started. */
export class Counters {
  /** Sockets that claimed to be the operator without the run's secret. */
  refusedOperators = 0;
  /** @type {Map<string, number>} */
  #dropped = new Map();

  /**
   * Count something that was discarded.
   *
   * @param {string} reason a short fixed name, never text from a client
   */
  drop(reason) {
    this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + 1);
  }

  /** Count a socket that claimed to be the operator and could not prove it. */
  refuseOperator() {
    this.refusedOperators += 1;
  }

  /** Numbers of discarded things, by reason. */
  get dropped() {
    return Object.fromEntries(this.#dropped);
  }
}
