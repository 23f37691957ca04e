// @ts-check
/** Reads request bodies under limits of size and time. */
import { RefusalError } from "../errors.js";

/** @typedef {import("node:http").IncomingMessage} IncomingMessage */

/**
 * Limits of one request's body.
 *
 * @typedef {object} BodyLimits
 * @property {number} maxBytes
 * @property {number} idleSeconds how long the client may pause
 */

/**
 * Give a request's body to `take`, piece by piece as it arrives.
 *
 * @param {IncomingMessage} request
 * @param {BodyLimits} limits
 * @param {(piece: Buffer) => Promise<void>} take
 * @throws {RefusalError} it is too large, or the client stopped sending it
 */
export async function readPieces(request, { maxBytes, idleSeconds }, take) {
  const tooLarge = new RefusalError(413, `The body is too large: it may have ${maxBytes} bytes.`);
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw tooLarge;
  if ((request.headers["content-encoding"] ?? "identity").toLowerCase() !== "identity") {
    throw new RefusalError(415, "The body is compressed, which is not supported.");
  }
  let bytes = 0;
  // Not `for await`: leaving that loop closes the connection before the refusal is sent.
  for (
    let piece = await nextPiece(request, idleSeconds);
    piece !== null;
    piece = await nextPiece(request, idleSeconds)
  ) {
    bytes += piece.length;
    if (bytes > maxBytes) throw tooLarge;
    // Only the client's time counts, not that of the taker.
    await take(piece);
  }
}

/**
 * Read a request's whole body.
 *
 * @param {IncomingMessage} request
 * @param {BodyLimits} limits
 * @returns {Promise<Buffer>}
 * @throws {RefusalError} it is too large, or the client stopped sending it
 */
export async function readBody(request, limits) {
  /** @type {Buffer[]} */
  const pieces = [];
  await readPieces(request, limits, async (piece) => {
    pieces.push(piece);
  });
  return Buffer.concat(pieces);
}

/**
 * Return whether a request's body is a form.
 *
 * @param {IncomingMessage} request
 * @returns {boolean}
 */
export function isForm(request) {
  return (request.headers["content-type"] ?? "").toLowerCase().startsWith("multipart/form-data");
}

/**
 * Wait for the next piece of a body; the request stays paused afterwards.
 *
 * @param {IncomingMessage} request
 * @param {number} idleSeconds
 * @returns {Promise<Buffer | null>} null at the end
 */
function nextPiece(request, idleSeconds) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => settle(() => reject(new RefusalError(408, "The body did not arrive in time."))),
      Math.ceil(idleSeconds * 1000),
    );
    const onData = (/** @type {Buffer} */ piece) => settle(() => resolve(piece));
    const onEnd = () => settle(() => resolve(null));
    const onClose = () => settle(() => reject(new RefusalError(400, "The body ended too early.")));
    const settle = (/** @type {() => void} */ outcome) => {
      clearTimeout(timer);
      request.pause();
      request.off("data", onData).off("end", onEnd).off("error", onClose).off("close", onClose);
      outcome();
    };
    if (request.readableEnded) onEnd();
    else if (request.destroyed) onClose();
    else request.on("data", onData).on("end", onEnd).on("error", onClose).on("close", onClose).resume();
  });
}
