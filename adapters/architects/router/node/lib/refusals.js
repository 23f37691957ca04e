// @ts-check
// What a request is answered that fails: a status and a sentence, always JSON, and nothing internal.
import { Refused } from "./errors.js";
import { log } from "./log.js";

/** How the library that reads bodies names a body that is not JSON. */
export const NOT_JSON = "entity.parse.failed";

const BODY_ERRORS = new Map([
  [NOT_JSON, new Refused(400, "The body is not JSON.")],
  ["entity.too.large", new Refused(413, "The body is too large.")],
  ["encoding.unsupported", new Refused(415, "The body's Content-Encoding is not supported.")],
  ["charset.unsupported", new Refused(415, "The body's charset is not supported: send UTF-8.")],
]);

/**
 * Answer a request whose handler threw.
 *
 * @type {import("express").ErrorRequestHandler}
 */
export function answerError(error, request, response, _next) {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const refusal = refusalFor(error);
  if (refusal.status === 500) {
    log("request_failed", { method: request.method, path: request.path, error: String(error) });
  }
  response.status(refusal.status).json({ error: refusal.message });
}

/**
 * @param {any} error
 * @returns {Refused}
 */
function refusalFor(error) {
  if (error instanceof Refused) return error;
  const ofBody = BODY_ERRORS.get(error?.type);
  if (ofBody) return ofBody;
  const isOfTheSender = error?.status >= 400 && error?.status < 500;
  if (isOfTheSender) return new Refused(error.status, "The request cannot be understood.");
  return new Refused(500, "The task server failed at this request. Please try again.");
}
