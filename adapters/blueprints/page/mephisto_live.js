// @ts-check
/**
 * The live connection of one agent's page: one WebSocket after the other, as if it
 * were one that never breaks.
 *
 * There is no acknowledgement of a single message on this wire. But a socket keeps
 * its order, so the answer to a heartbeat says that everything sent before that
 * heartbeat has arrived. What is not known to have arrived is sent again on the next
 * socket under its old update id, by which the server drops doubles.
 */

import { newId, wireTime } from "./mephisto_requests.js";

const HEARTBEAT_MS = 6_000;
/** Heartbeats without an answer after which the socket counts as dead. */
const MISSED_HEARTBEATS_LIMIT = 2;
const FIRST_RECONNECT_MS = 250;
const LONGEST_RECONNECT_MS = 10_000;
const RECONNECT_ATTEMPTS = 60;
/** The age of the server's own sign of life that worries. */
const SERVER_AWAY_MS = 20_000;
const OUTGOING_LIMIT = 1_000;
const REMEMBERED_UPDATES = 10_000;

/**
 * Calls back at a steady pace, also in a background tab: browsers slow a page's own
 * timers down there to one a minute, but not those of a worker.
 *
 * @param {() => void} callback
 * @param {number} ms
 * @returns {() => void} stops it
 */
function steadily(callback, ms) {
  const source = new Blob([`setInterval(() => postMessage(null), ${ms})`]);
  const url = URL.createObjectURL(source);
  const ticker = new Worker(url);
  let stop = () => ticker.terminate();
  ticker.onmessage = callback;
  ticker.onerror = () => {
    // A page whose content policy forbids such workers has to live with its own timers.
    const timer = setInterval(callback, ms);
    stop = () => clearInterval(timer);
  };
  return () => {
    stop();
    URL.revokeObjectURL(url);
  };
}

/** @typedef {Record<string, any> & {update_id: string}} Update */

/** The connection; it opens with `open()` and never reports an error, only its state. */
export class LiveConnection {
  #agentId;
  #handlers;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {(() => void) | null} */
  #stopHeartbeats = null;
  /** @type {number | undefined} */
  #reconnectTimer;
  #attempts = 0;
  #unanswered = 0;
  /** @type {string | null} */
  #state = null;
  /** @type {object[]} */
  #waiting = []; // updates for the next open socket, in order
  /** @type {object[]} */
  #unconfirmed = []; // sent on this socket, not known to have arrived
  /** @type {{time: number, sent: number} | null} */
  #mark = null; // the last heartbeat: its time, and how many of #unconfirmed went before it
  /** @type {Set<string>} */
  #seen = new Set();

  /**
   * @param {string} agentId
   * @param {object} handlers
   * @param {(status: string) => void} handlers.onStatus
   * @param {(update: Update) => void} handlers.onUpdate  each update once
   * @param {(state: string) => void} handlers.onState  `connected`, `reconnecting`,
   *     `server away` (the page's server is there, the task behind it is not) or `lost`
   *     (given up; `open()` tries again)
   */
  constructor(agentId, handlers) {
    this.#agentId = agentId;
    this.#handlers = handlers;
  }

  /** Starts connecting, and goes on reconnecting until `close()`. */
  open() {
    this.#attempts = 0;
    this.#stopHeartbeats ??= steadily(() => this.#beat(), HEARTBEAT_MS);
    this.#connect();
  }

  /** Ends the connection for good. */
  close() {
    this.#stopHeartbeats?.();
    this.#stopHeartbeats = null;
    clearTimeout(this.#reconnectTimer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  /**
   * Sends an update, which has an `update_id`, or keeps it for the next socket.
   *
   * @param {Update} update
   * @throws {Error} when too many updates wait already
   */
  send(update) {
    if (this.#waiting.length + this.#unconfirmed.length >= OUTGOING_LIMIT) {
      throw new Error("too many messages wait for the connection");
    }
    this.#remember(update.update_id);
    this.#waiting.push({
      packet_type: "mephisto_bound_live_update",
      subject_id: this.#agentId,
      data: update,
      client_timestamp: wireTime(),
    });
    this.#flush();
  }

  /**
   * Hands an update to the page unless it has had it, or sent it itself.
   *
   * @param {Update} update
   */
  deliver(update) {
    if (this.#seen.has(update.update_id)) return;
    this.#remember(update.update_id);
    this.#handlers.onUpdate(update);
  }

  /** @param {string} updateId */
  #remember(updateId) {
    this.#seen.add(updateId);
    if (this.#seen.size > REMEMBERED_UPDATES) {
      const [oldest] = this.#seen;
      this.#seen.delete(oldest);
    }
  }

  #connect() {
    const scheme = window.location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${window.location.host}/`);
    this.#socket = socket;
    this.#unanswered = 0;
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this.#receive(JSON.parse(event.data));
    socket.onclose = () => {
      if (socket === this.#socket) this.#lost();
    };
  }

  #opened() {
    this.#write({
      packet_type: "alive",
      subject_id: this.#agentId,
      data: { update_id: newId() },
      client_timestamp: wireTime(),
    });
    this.#flush();
    this.#heartbeat();
  }

  /** @param {object} packet  the socket is open */
  #write(packet) {
    this.#socket?.send(JSON.stringify(packet));
  }

  #flush() {
    while (this.#socket?.readyState === WebSocket.OPEN) {
      const packet = this.#waiting.shift();
      if (packet === undefined) return;
      this.#unconfirmed.push(packet);
      this.#write(packet);
    }
  }

  #beat() {
    if (this.#socket === null) return; // between two attempts
    if (this.#unanswered >= MISSED_HEARTBEATS_LIMIT) {
      const dead = this.#socket;
      this.#lost();
      dead.close();
    } else if (this.#socket.readyState === WebSocket.OPEN) {
      if (this.#unanswered === 0) this.#attempts = 0; // this socket has held for a while
      this.#heartbeat();
    } else {
      this.#unanswered += 1; // still connecting
    }
  }

  #heartbeat() {
    this.#unanswered += 1;
    this.#mark = { time: wireTime(), sent: this.#unconfirmed.length };
    this.#write({
      packet_type: "heartbeat",
      subject_id: this.#agentId,
      client_timestamp: this.#mark.time,
    });
  }

  /** @param {any} packet  from the server */
  #receive(packet) {
    if (packet.packet_type === "heartbeat") {
      this.#heartbeatAnswered(packet);
    } else if (packet.packet_type === "update_status") {
      this.#handlers.onStatus(packet.data.status);
    } else if (packet.packet_type === "client_bound_live_update") {
      this.deliver(packet.data);
    }
  }

  /** @param {{client_timestamp: number, data: {last_mephisto_ping: number, operator_away?: boolean}}} answer */
  #heartbeatAnswered({ client_timestamp: time, data }) {
    this.#unanswered = 0;
    if (this.#mark !== null && this.#mark.time === time) {
      this.#unconfirmed.splice(0, this.#mark.sent);
      this.#mark = null;
    }
    const away = data.operator_away === true || Date.now() - data.last_mephisto_ping > SERVER_AWAY_MS;
    this.#become(away ? "server away" : "connected");
  }

  #lost() {
    this.#socket = null;
    this.#waiting.unshift(...this.#unconfirmed);
    this.#unconfirmed = [];
    this.#mark = null;
    if (this.#attempts >= RECONNECT_ATTEMPTS) {
      this.#become("lost");
      return;
    }
    this.#become("reconnecting");
    const longest = Math.min(LONGEST_RECONNECT_MS, FIRST_RECONNECT_MS * 2 ** this.#attempts);
    this.#attempts += 1;
    // Jitter: the pages of a server that came back must not all knock at once.
    this.#reconnectTimer = window.setTimeout(() => this.#connect(), longest * (0.5 + Math.random() / 2));
  }

  /** @param {string} state */
  #become(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#handlers.onState(state);
  }
}
