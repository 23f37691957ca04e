// @ts-check
// The router's errors, by who must act:
//
//   StartError    the person who starts the process: a setting, the data directory, the address
//   Refused       the sender of a request; its sentence is safe to show to a worker

/** The process cannot start as it was asked to. The message is one sentence that says what to change. */
export class StartError extends Error {}

/** A request that is answered with an error status. The message is the sentence in the answer. */
export class Refused extends Error {
  /**
   * @param {number} status the HTTP status of the answer
   * @param {string} sentence what was wrong and what to do; nothing internal
   */
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}
