// @ts-check
/** Turns errors into answers: a status and a sentence, always as JSON, and nothing internal. */
import {
  JournalUnwritableError,
  MalformedJsonError,
  OutboxFullError,
  RefusalError,
  UnknownAgentError,
} from "../errors.js";
import { log } from "../log.js";

/** A client that is still sending a refused body has this long to read the answer. */
const LINGER_SECONDS = 1;
/** So much of it is read and thrown away meanwhile: many clients read the answer only when they have sent everything. */
const LINGER_BYTES = 2 * 2 ** 20;

/** @type {[new () => Error, RefusalError][]} */
const REFUSALS = [
  [UnknownAgentError, new RefusalError(403, "This agent is not known here. Please reload the page.")],
  [
    OutboxFullError,
    new RefusalError(507, "The task server can take no more work at the moment. Please try again later."),
  ],
  [
    JournalUnwritableError,
    new RefusalError(503, "The task server cannot store anything at the moment. Please try again in a minute."),
  ],
];

/**
 * Return the refusal with which a failed request is answered.
 *
 * @param {any} error
 * @returns {RefusalError}
 */
export function refusalFor(error) {
  if (error instanceof RefusalError) return error;
  if (error instanceof MalformedJsonError) {
    return new RefusalError(400, `The request is not what is expected here: ${error.message}.`);
  }
  const [, refusal] = REFUSALS.find(([kind]) => error instanceof kind) ?? [];
  if (refusal) return refusal;
  const isTheSenders = error?.status >= 400 && error?.status < 500;
  if (isTheSenders) return new RefusalError(error.status, "The request cannot be understood.");
  return new RefusalError(500, "The task server failed at this request. Please try again.");
}

/**
 * Answer a request whose handler threw an error.
 *
 * @param {unknown} error
 * @param {import("express").Request} request
 * @param {import("express").Response} response
 * @param {import("express").NextFunction} _next
 */
export function answerError(error, request, response, _next) {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const refusal = refusalFor(error);
  if (refusal.status === 500) {
    log("request_failed", { method: request.method, path: request.path, error: /** @type {any} */ (error)?.name });
  }
  if (!request.complete) hangUpLater(request);
  response.status(refusal.status).json({ error: refusal.sentence });
}

/** @param {import("express").Request} request */
function hangUpLater(request) {
  const hangUp = () => request.complete || request.destroy();
  let bytes = 0;
  const discard = (/** @type {Buffer} */ piece) => {
    bytes += piece.length;
    if (bytes > LINGER_BYTES) hangUp();
  };
  request.on("data", discard).resume();
  setTimeout(hangUp, LINGER_SECONDS * 1000).unref();
}
