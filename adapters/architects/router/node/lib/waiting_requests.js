// @ts-check
import { Deadlines } from "./deadlines.js";
import { busyAnswer } from "./packets.js";

/** @typedef {import("./packets.js").Packet} Packet */

/** HTTP requests that wait for the operator's `agent_details`; each is answered once, by the deadline at the latest. */
export class WaitingRequests {
  /** @type {Map<string, {answer: (packet: Packet) => void, packet: Packet | null}>} */
  #waiting = new Map();
  /** @type {Deadlines<string>} */
  #deadlines;
  #limit;

  /**
   * @param {number} deadlineSeconds
   * @param {number} limit requests that may wait at once; further ones are told at once that the server is busy
   */
  constructor(deadlineSeconds, limit) {
    this.#limit = limit;
    this.#deadlines = new Deadlines(deadlineSeconds, (requestId) => this.giveUp(requestId));
  }

  /** Packets that a new operator has to be sent again, oldest first. */
  get unanswered() {
    return [...this.#waiting.values()].flatMap(({ packet }) => (packet ? [packet] : []));
  }

  /**
   * Wait for the answer to a request.
   *
   * @param {string} requestId
   * @param {Packet | null} packet what to send again while there is no answer; null when the outbox takes care of that
   * @returns {Promise<Packet>} the operator's `agent_details`, or one that asks the worker to try again
   */
  wait(requestId, packet) {
    if (this.#waiting.size >= this.#limit) return Promise.resolve(busyAnswer(requestId));
    return new Promise((answer) => {
      this.#waiting.set(requestId, { answer, packet });
      this.#deadlines.set(requestId);
    });
  }

  /**
   * Answer a request, if it still waits.
   *
   * @param {string} requestId
   * @param {Packet} packet
   * @returns {boolean} whether it did
   */
  settle(requestId, packet) {
    this.#waiting.get(requestId)?.answer(packet);
    this.#deadlines.delete(requestId);
    return this.#waiting.delete(requestId);
  }

  /**
   * Stop waiting: the deadline has passed or the page has gone.
   *
   * @param {string} requestId
   */
  giveUp(requestId) {
    this.settle(requestId, busyAnswer(requestId));
  }

  /** Answer everyone who waits; the process ends. */
  giveUpAll() {
    for (const requestId of [...this.#waiting.keys()]) this.giveUp(requestId);
  }
}
