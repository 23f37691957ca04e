// @ts-check
/** Reads large bodies in a thread: to parse megabytes takes a third of a second, and others are served meanwhile. */
import { Worker } from "node:worker_threads";

import { MalformedJsonError } from "../errors.js";

/** A body of more bytes is read in the thread. */
export const LARGE_BODY_BYTES = 256 * 1024;

const THREAD = new URL("./large_bodies_thread.js", import.meta.url);

/**
 * A body for the thread.
 *
 * @typedef {object} BodyOrder
 * @property {number} id
 * @property {string} shape name of a reader in `request_bodies.js`
 * @property {Uint8Array} content
 */

/**
 * The thread's answer: what the reader returned, or why it refused the body.
 *
 * @typedef {object} BodyAnswer
 * @property {number} id
 * @property {unknown} [body]
 * @property {string} [refusal]
 */

/**
 * Somebody who waits for a body.
 *
 * @typedef {object} Waiter
 * @property {(body: any) => void} resolve
 * @property {(error: Error) => void} reject
 */

/** Reads bodies one after the other, in a thread that is started for the first one. */
export class LargeBodies {
  /** @type {Worker | null} */
  #thread = null;
  /** @type {Map<number, Waiter>} */
  #waiting = new Map();
  #lastId = 0;

  /**
   * Read a body as strict JSON of one shape.
   *
   * @template T
   * @param {Buffer} content
   * @param {(text: string) => T} shape a reader of `request_bodies.js`
   * @returns {Promise<T>}
   * @throws {MalformedJsonError} it is not JSON that every reader can read, or has another shape
   */
  read(content, shape) {
    const id = (this.#lastId += 1);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#thread ??= this.#start();
      this.#thread.ref();
      this.#thread.postMessage({ id, shape: shape.name, content });
    });
  }

  #start() {
    const thread = new Worker(THREAD);
    thread.on("message", (/** @type {BodyAnswer} */ answer) => this.#settle(answer));
    // What is too much for the thread must not end the router, and the next body gets a new thread.
    thread.on("error", (error) => this.#giveUp(error));
    return thread;
  }

  /** @param {BodyAnswer} answer */
  #settle({ id, body, refusal }) {
    const waiter = this.#waiting.get(id);
    this.#waiting.delete(id);
    // A router that has nothing else to do may end.
    if (this.#waiting.size === 0) this.#thread?.unref();
    if (refusal === undefined) waiter?.resolve(body);
    else waiter?.reject(new MalformedJsonError(refusal));
  }

  /** @param {Error} error */
  #giveUp(error) {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#thread = null;
    for (const waiter of waiting) waiter.reject(error);
  }
}
