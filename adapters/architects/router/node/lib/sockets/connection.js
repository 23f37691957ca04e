// @ts-check
/** The outgoing side of a WebSocket: the only part of a socket that the rest of the router sees. */

/** Reasons for closing, as WebSocket codes. */
export const POLICY_VIOLATION = 1008;
export const TOO_BIG = 1009;
export const SERVICE_RESTART = 1012;

/** Packets to send in order. A connection has no identity: it gets one from what is said on it. */
export class Connection {
  /** @type {Set<string>} tokens of the agents whose packets go to this socket */
  agents = new Set();
  /** @type {Set<string>} tokens of all agents that were spoken for on this socket */
  spokeFor = new Set();
  #socket;

  /** @param {import("ws").WebSocket} socket */
  constructor(socket) {
    this.#socket = socket;
  }

  /** True until the connection is closed. */
  get isOpen() {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  /** Size of what was sent and the network has not taken yet. */
  get unsentBytes() {
    return this.#socket.bufferedAmount;
  }

  /**
   * Send an encoded packet after those before it. On a connection that is being closed it is discarded.
   *
   * @param {string} packet
   * @param {() => void} [onSent] called once the network has taken it
   */
  send(packet, onSent) {
    if (this.isOpen) this.#socket.send(packet, onSent ? (error) => error ?? onSent() : undefined);
  }

  /**
   * Close the socket instead of sending it more.
   *
   * @param {number} code
   */
  close(code) {
    this.#socket.close(code);
  }

  /** Drop the connection at once. */
  terminate() {
    this.#socket.terminate();
  }

  /** Ask for a sign of life; see `onPong`. */
  ping() {
    if (this.isOpen) this.#socket.ping();
  }

  /** @param {() => void} listener called with each sign of life that was asked for */
  onPong(listener) {
    this.#socket.on("pong", listener);
  }
}

/**
 * Return whether a socket was closed by its page, rather than lost on the way.
 *
 * @param {number} code the close code. 1005 does not count: a page that gives no code has it in common with a broken
 *   line.
 * @returns {boolean}
 */
export function isGoodbye(code) {
  return code === 1000 || code === 1001;
}
