// @ts-check

/** Reasons for closing a socket, as WebSocket codes. */
export const CLOSE_POLICY = 1008;
export const CLOSE_TOO_BIG = 1009;
export const CLOSE_RESTART = 1012;

const GOODBYES = new Set([1000, 1001, 1005]);

/**
 * One socket, a page's or the operator's: it carries no identity of its own, what it says does.
 */
export class Peer {
  /** @type {Set<string>} tokens of the agents whose packets go to this socket */
  agents = new Set();
  #socket;

  /** @param {import("ws").WebSocket} socket */
  constructor(socket) {
    this.#socket = socket;
  }

  get isOpen() {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  /** Bytes that were sent here and that the network has not taken yet. */
  get unsentBytes() {
    return this.#socket.bufferedAmount;
  }

  /**
   * Send one message after those before it. On a socket that is going down it is dropped.
   *
   * @param {string} text
   * @param {() => void} [onSent] called when the network has taken it
   */
  send(text, onSent) {
    if (this.isOpen) this.#socket.send(text, onSent ? (error) => error ?? onSent() : undefined);
  }

  /** Ask for a sign of life; see `onPong`. */
  ping() {
    if (this.isOpen) this.#socket.ping();
  }

  /** @param {() => void} listener */
  onPong(listener) {
    this.#socket.on("pong", listener);
  }

  /**
   * Close in good order.
   *
   * @param {number} code
   * @param {string} reason
   */
  close(code, reason) {
    this.#socket.close(code, reason);
  }

  /** Drop the connection at once. */
  terminate() {
    this.#socket.terminate();
  }
}

/**
 * Tell whether a socket was closed by its page rather than lost on the way.
 *
 * @param {number} code the close code
 */
export function isGoodbye(code) {
  return GOODBYES.has(code);
}
