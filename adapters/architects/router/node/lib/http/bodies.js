// @ts-check
/** Reads request bodies under limits of size, time and speed. */
import { RefusalError } from "../errors.js";
import { strictJson } from "../json_text.js";
import { Resource, busy } from "./body_pool.js";
import { clientAddress } from "./client_address.js";
import { LARGE_BODY_BYTES, LargeBodies } from "./large_bodies.js";

/** A body may be slower than this only as long as a client may pause. */
const MIN_BYTES_PER_SECOND = 1024;

/** @typedef {import("node:http").IncomingMessage} IncomingMessage */
/** @typedef {import("./body_pool.js").PooledBody} PooledBody */

/**
 * Limits of one request's body.
 *
 * @typedef {object} BodyLimits
 * @property {number} maxBytes
 * @property {number} idleSeconds how long the client may pause
 * @property {number} trustedProxies web servers of ours in front
 */

/** Reads the bodies of requests. */
export class BodyReader {
  #limits;
  #pool;
  #monotonic;
  #largeBodies = new LargeBodies();

  /**
   * @param {object} parts
   * @param {BodyLimits} parts.limits of each body
   * @param {import("./body_pool.js").BodyPool} parts.pool what they share
   * @param {() => number} parts.monotonic returns seconds since any fixed moment
   */
  constructor({ limits, pool, monotonic }) {
    this.#limits = limits;
    this.#pool = pool;
    this.#monotonic = monotonic;
  }

  /**
   * Give a request's body to `take`, piece by piece as it arrives.
   *
   * @param {IncomingMessage} request
   * @param {(piece: Buffer, body: PooledBody) => Promise<void>} take
   * @throws {RefusalError} it is too large, the client stopped sending it or is too slow, or there is no room for it
   */
  async readPieces(request, take) {
    const { maxBytes, idleSeconds, trustedProxies } = this.#limits;
    const tooLarge = new RefusalError(413, `The body is too large: it may have ${maxBytes} bytes.`);
    if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw tooLarge;
    if ((request.headers["content-encoding"] ?? "identity").toLowerCase() !== "identity") {
      throw new RefusalError(415, "The body is compressed, which is not supported.");
    }
    const eviction = new AbortController();
    const body = this.#pool.open(clientAddress(request, trustedProxies), () => eviction.abort());
    try {
      let bytes = 0;
      // The time that the taker needs is not the client's.
      let slowAt = this.#monotonic() + idleSeconds;
      for (;;) {
        const seconds = Math.min(slowAt - this.#monotonic(), idleSeconds);
        const piece = await nextPiece(request, seconds, eviction.signal);
        if (piece === null) return;
        const arrivedAt = this.#monotonic();
        bytes += piece.length;
        if (bytes > maxBytes) throw tooLarge;
        body.receive(piece.length);
        await take(piece, body);
        slowAt += this.#monotonic() - arrivedAt + piece.length / MIN_BYTES_PER_SECOND;
      }
    } finally {
      this.#pool.close(body);
    }
  }

  /**
   * Read a request's whole body.
   *
   * @param {IncomingMessage} request
   * @returns {Promise<Buffer>}
   * @throws {RefusalError} it is too large, the client stopped sending it or is too slow, or there is no room for it
   */
  async readBody(request) {
    /** @type {Buffer[]} */
    const pieces = [];
    let bytes = 0;
    await this.readPieces(request, async (piece, body) => {
      bytes += piece.length;
      await body.throttle(piece.length);
      body.hold(Resource.MEMORY, bytes);
      pieces.push(piece);
    });
    return Buffer.concat(pieces);
  }

  /**
   * Read a request's whole body as strict JSON of one shape; a large one is read beside the event loop.
   *
   * @template T
   * @param {IncomingMessage} request
   * @param {(text: string) => T} shape a reader of `request_bodies.js`
   * @returns {Promise<T>}
   * @throws {RefusalError} as `readBody`
   * @throws {MalformedJsonError} it is not JSON that every reader can read, or has another shape
   */
  async readJson(request, shape) {
    const content = await this.readBody(request);
    return content.length > LARGE_BODY_BYTES ? this.#largeBodies.read(content, shape) : shape(strictJson(content));
  }
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
 * @param {number} seconds how long to wait
 * @param {AbortSignal} eviction given if the body has to give way
 * @returns {Promise<Buffer | null>} null at the end
 */
function nextPiece(request, seconds, eviction) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => settle(() => reject(new RefusalError(408, "The body did not arrive in time."))),
      Math.max(0, Math.ceil(seconds * 1000)),
    );
    const onData = (/** @type {Buffer} */ piece) => settle(() => resolve(piece));
    const onEnd = () => settle(() => resolve(null));
    const onClose = () => settle(() => reject(new RefusalError(400, "The body ended too early.")));
    const onEvicted = () => settle(() => reject(busy()));
    const settle = (/** @type {() => void} */ outcome) => {
      clearTimeout(timer);
      request.pause();
      request.off("data", onData).off("end", onEnd).off("error", onClose).off("close", onClose);
      eviction.removeEventListener("abort", onEvicted);
      outcome();
    };
    eviction.addEventListener("abort", onEvicted);
    if (eviction.aborted) onEvicted();
    else if (request.readableEnded) onEnd();
    else if (request.destroyed) onClose();
    else request.on("data", onData).on("end", onEnd).on("error", onClose).on("close", onClose).resume();
  });
}
