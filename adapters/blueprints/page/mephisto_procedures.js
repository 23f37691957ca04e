// @ts-check
/** Procedures of the task on the server, called from the page over its live connection. */

import { newId } from "./mephisto_requests.js";

const ANSWER_TIMEOUT_MS = 120_000;

/** The calls of one page that wait for their answers. */
export class RemoteProcedures {
  #send;
  /** @type {Map<string, {resolve: (result: any) => void, reject: (reason: Error) => void, timer: number}>} */
  #waiting = new Map(); // by request id

  /** @param {(update: object) => void} send  hands a live update to the connection */
  constructor(send) {
    this.#send = send;
  }

  /**
   * @param {string} procedure  its name
   * @param {*} [args]  anything JSON can hold
   * @returns {Promise<*>} its result; rejected with the server's reason, or when none came in time
   */
  async call(procedure, args) {
    const requestId = newId();
    this.#send({ request_id: requestId, target: procedure, args: JSON.stringify(args) });
    return new Promise((resolve, reject) => {
      const late = { handles: requestId, error: `no answer from ${procedure}` };
      const timer = window.setTimeout(() => this.settle(late), ANSWER_TIMEOUT_MS);
      this.#waiting.set(requestId, { resolve, reject, timer });
    });
  }

  /**
   * Takes an answer; one to a call of an earlier load of the page is nobody's.
   *
   * @param {{handles: string, response?: string, error?: string}} answer
   */
  settle({ handles, response, error }) {
    const call = this.#waiting.get(handles);
    if (call === undefined) return;
    this.#waiting.delete(handles);
    clearTimeout(call.timer);
    if (error) call.reject(new Error(error));
    else call.resolve(JSON.parse(response ?? "null"));
  }
}
