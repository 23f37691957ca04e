// @ts-check
/**
 * Keeps the HTTP requests that wait for the operator's `agent_details`.
 *
 * Each is answered once, by the deadline at the latest.
 */
import { DeadlineQueue } from "../deadline_queue.js";
import { BUSY } from "../packets.js";

/** @typedef {import("../json_text.js").Raw} Raw */

/** Size of all packets that wait for an answer. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024;

/** Requests by their id. */
export class WaitingRequests {
  #packets;
  #deadlineSeconds;
  #maxWaiting;
  #monotonic;
  /** @type {number | null} */
  #pausedAt = null;
  /** What a page reads that nobody answers. */
  #reason = BUSY;
  /** @type {Map<string, {answer: (packet: Raw) => void, packet: Raw | null}>} */
  #waiting = new Map();
  /** @type {DeadlineQueue<string>} */
  #deadlines;
  #isClosed = false;
  #sizeBytes = 0;

  /**
   * @param {object} parts
   * @param {import("../packets.js").PacketFactory} parts.packets makes the answer of a request that nobody else answered
   * @param {number} parts.deadlineSeconds how long a request waits
   * @param {number} parts.maxWaiting how many may wait at once; further ones are asked at once to try again
   * @param {() => number} parts.monotonic returns seconds since any fixed moment
   */
  constructor({ packets, deadlineSeconds, maxWaiting, monotonic }) {
    this.#packets = packets;
    this.#deadlineSeconds = deadlineSeconds;
    this.#maxWaiting = maxWaiting;
    this.#monotonic = monotonic;
    this.#deadlines = new DeadlineQueue(deadlineSeconds, monotonic);
    this.#deadlines.watch((requestIds) => requestIds.forEach((requestId) => this.#giveUp(requestId)));
  }

  /** Packets that a new operator has to be sent again, oldest first. */
  get unanswered() {
    return [...this.#waiting.values()].flatMap(({ packet }) => (packet === null ? [] : [packet]));
  }

  /**
   * Wait for the answer to a request.
   *
   * @param {string} requestId its id, which the answer names
   * @param {Raw | null} packet what to send again while there is no answer; null if the outbox takes care of that
   * @param {AbortSignal} signal gives the request up
   * @returns {Promise<Raw>} the packet that answers the page. After the deadline, or if too many wait, it asks to try
   *   again.
   */
  async wait(requestId, packet, signal) {
    const bytes = packet?.length ?? 0;
    const isFull = this.#waiting.size >= this.#maxWaiting || this.#sizeBytes + bytes > MAX_WAITING_BYTES;
    if (this.#isClosed || isFull || this.#isPausedForLong) return this.#busy(requestId);
    this.#sizeBytes += bytes;
    const giveUp = () => this.#giveUp(requestId);
    signal.addEventListener("abort", giveUp);
    try {
      return await new Promise((answer) => {
        this.#waiting.set(requestId, { answer, packet });
        this.#deadlines.set(requestId);
        if (signal.aborted) giveUp();
      });
    } finally {
      this.#sizeBytes -= bytes;
      signal.removeEventListener("abort", giveUp);
    }
  }

  /**
   * Answer a request.
   *
   * @param {string} requestId
   * @param {Raw} answer
   * @returns {boolean} whether it still waited
   */
  settle(requestId, answer) {
    this.#waiting.get(requestId)?.answer(answer);
    this.#deadlines.delete(requestId);
    return this.#waiting.delete(requestId);
  }

  /** Ask everyone who waits, or comes later, to try again: the process ends. */
  giveUpAll() {
    this.#isClosed = true;
    for (const requestId of [...this.#waiting.keys()]) this.#giveUp(requestId);
  }

  /**
   * Note that the operator leaves in order. It may be back soon: only those who come much later do not wait.
   *
   * @param {string} reason what pages read that get no answer
   */
  pause(reason) {
    this.#pausedAt = this.#monotonic();
    this.#reason = reason;
  }

  /** Note that there is an operator. */
  resume() {
    this.#pausedAt = null;
    this.#reason = BUSY;
  }

  get #isPausedForLong() {
    return this.#pausedAt !== null && this.#monotonic() - this.#pausedAt > this.#deadlineSeconds;
  }

  /** @param {string} requestId */
  #giveUp(requestId) {
    this.settle(requestId, this.#busy(requestId));
  }

  /** @param {string} requestId */
  #busy(requestId) {
    return this.#packets.busy(requestId, this.#reason);
  }
}
