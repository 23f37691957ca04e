// @ts-check
/**
 * Errors of the router, by who must act.
 *
 * StartError: the person who starts the process; a setting, the data directory or the address is wrong.
 * DamagedJournalError: the same person; becomes a `StartError` once the file is named.
 * RefusalError: the sender of a request; its sentence is safe to show to a worker.
 * MalformedJsonError: the sender of a body or a packet.
 * UnknownAgentError: the sender, who names an agent that does not exist here.
 * OutboxFullError: the person who runs the operator, which has been away for too long.
 * JournalUnwritableError: the person who looks after the disk.
 *
 * Only the HTTP side knows which status goes with which error (`http/refusals.js`).
 */

/** The process cannot start as asked; the message is one sentence that says what to change. */
export class StartError extends Error {}

/** The journal holds something that a crash does not leave behind; the message names the line. */
export class DamagedJournalError extends Error {}

/** A request that is answered with an error status. */
export class RefusalError extends Error {
  /**
   * @param {number} status the HTTP status
   * @param {string} sentence what was wrong and what to do about it; nothing internal
   */
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
    this.sentence = sentence;
  }
}

/** The text is not JSON, or not JSON of the expected shape; the message says where. */
export class MalformedJsonError extends Error {}

/** No agent has this token. */
export class UnknownAgentError extends Error {}

/** The packet was not accepted: too many already wait for the operator. */
export class OutboxFullError extends Error {}

/** The packet was not accepted: the journal could not be written. */
export class JournalUnwritableError extends Error {}

/**
 * Return the code of an error of the system, such as `ENOSPC`.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function codeOf(error) {
  return /** @type {NodeJS.ErrnoException} */ (error).code ?? "unknown error";
}
