/** Calls of the task's procedures on the server, over the page's live connection. */

import { newId } from "./mephisto_requests.js";

const ANSWER_TIMEOUT_MS = 120_000;

/** The calls of one page that are waiting for their answers. */
export class RemoteProcedures {
  #send;
  #waiting = new Map(); // by request id

  /** @param {(update: object) => void} send  sends a live update */
  constructor(send) {
    this.#send = send;
  }

  /**
   * @param {string} procedure  the procedure's name
   * @param {*} [args]  anything JSON can hold
   * @returns {Promise<*>} its result; rejected with the server's reason, or after a timeout
   */
  async call(procedure, args) {
    const requestId = newId();
    this.#send({ request_id: requestId, target: procedure, args: JSON.stringify(args) });
    return new Promise((resolve, reject) => {
      const late = { handles: requestId, error: `no answer from ${procedure}` };
      const timer = setTimeout(() => this.settle(late), ANSWER_TIMEOUT_MS);
      this.#waiting.set(requestId, { resolve, reject, timer });
    });
  }

  /** Settles a call with its answer. An answer to a call made before a reload is ignored. */
  settle({ handles, response, error }) {
    const call = this.#waiting.get(handles);
    if (call === undefined) return;
    this.#waiting.delete(handles);
    clearTimeout(call.timer);
    if (error) call.reject(new Error(error));
    else call.resolve(JSON.parse(response));
  }
}
