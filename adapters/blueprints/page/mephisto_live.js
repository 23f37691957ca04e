/**
 * The live connection of one agent's page: a series of WebSockets that behaves like
 * one that never breaks.
 *
 * The protocol does not acknowledge single messages. But a socket keeps the order, so
 * the answer to a heartbeat confirms everything sent before that heartbeat. Unconfirmed
 * messages are sent again on the next socket with the same update id, by which the
 * server drops duplicates.
 */

import { newId, wireTime } from "./mephisto_requests.js";

const HEARTBEAT_MS = 6_000;
/** The number of unanswered heartbeats after which the socket counts as dead. */
const MISSED_HEARTBEATS_LIMIT = 2;
const FIRST_RECONNECT_MS = 250;
const MAX_RECONNECT_MS = 10_000;
const RECONNECT_ATTEMPTS = 60;
/** The age of the operator's last sign of life after which it counts as away. */
const SERVER_AWAY_MS = 20_000;
const OUTGOING_LIMIT = 1_000;
const REMEMBERED_UPDATES = 10_000;

/**
 * Calls a function at a fixed interval, even in a background tab: there, browsers slow a
 * page's timers down to once a minute, but not those of a Web Worker.
 * @returns {() => void} a function that stops the calls
 */
function steadily(callback, ms) {
  const source = new Blob([`setInterval(() => postMessage(null), ${ms})`]);
  const url = URL.createObjectURL(source);
  const ticker = new Worker(url);
  let stop = () => ticker.terminate();
  ticker.onmessage = callback;
  ticker.onerror = () => {
    // A content security policy may forbid such workers; then the page's timers must do.
    const timer = setInterval(callback, ms);
    stop = () => clearInterval(timer);
  };
  return () => {
    stop();
    URL.revokeObjectURL(url);
  };
}

/** The connection. It reports its state, never an error. */
export class LiveConnection {
  #agentId;
  #handlers;
  #socket = null;
  #stopHeartbeats = null;
  #reconnectTimer = null;
  #attempts = 0;
  #unanswered = 0;
  #state = null;
  #waiting = []; // updates for the next open socket, in order
  #unconfirmed = []; // sent on this socket, not known to have arrived
  #mark = null; // the last heartbeat: its time, and the number of #unconfirmed sent before it
  #seen = new Set();

  /**
   * @param {string} agentId
   * @param {object} handlers
   * @param {(status: string) => void} handlers.onStatus
   * @param {(update: object) => void} handlers.onUpdate  each update once
   * @param {(state: string) => void} handlers.onState  `connected`, `reconnecting`,
   *     `server away` (the router answers, but the operator does not) or `lost` (given up;
   *     `open()` tries again)
   */
  constructor(agentId, handlers) {
    this.#agentId = agentId;
    this.#handlers = handlers;
  }

  /** Connects, and keeps reconnecting until `close()` is called. */
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
   * Sends an update, which must have an `update_id`, or keeps it for the next socket.
   * @throws {Error} if too many updates are already waiting
   */
  send(update) {
    if (this.#waiting.length + this.#unconfirmed.length >= OUTGOING_LIMIT) {
      throw new Error("too many messages are waiting for the connection");
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

  /** Passes an update to the page, unless the page received it before or sent it. */
  deliver(update) {
    if (this.#seen.has(update.update_id)) return;
    this.#remember(update.update_id);
    this.#handlers.onUpdate(update);
  }

  #remember(updateId) {
    this.#seen.add(updateId);
    if (this.#seen.size > REMEMBERED_UPDATES) {
      this.#seen.delete(this.#seen.values().next().value); // the oldest
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

  #write(packet) {
    this.#socket.send(JSON.stringify(packet));
  }

  #flush() {
    while (this.#waiting.length > 0 && this.#socket?.readyState === WebSocket.OPEN) {
      const packet = this.#waiting.shift();
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
      if (this.#unanswered === 0) this.#attempts = 0; // this socket has proved stable
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

  #receive(packet) {
    if (packet.packet_type === "heartbeat") {
      this.#heartbeatAnswered(packet);
    } else if (packet.packet_type === "update_status") {
      this.#handlers.onStatus(packet.data.status);
    } else if (packet.packet_type === "client_bound_live_update") {
      this.deliver(packet.data);
    }
  }

  #heartbeatAnswered({ client_timestamp: time, data }) {
    this.#unanswered = 0;
    if (this.#mark?.time === time) {
      this.#unconfirmed.splice(0, this.#mark.sent);
      this.#mark = null;
    }
    const away = Date.now() - data.last_mephisto_ping > SERVER_AWAY_MS;
    this.#setState(away ? "server away" : "connected");
  }

  #lost() {
    this.#socket = null;
    this.#waiting.unshift(...this.#unconfirmed);
    this.#unconfirmed = [];
    this.#mark = null;
    if (this.#attempts >= RECONNECT_ATTEMPTS) {
      this.#setState("lost");
      return;
    }
    this.#setState("reconnecting");
    const maximum = Math.min(MAX_RECONNECT_MS, FIRST_RECONNECT_MS * 2 ** this.#attempts);
    this.#attempts += 1;
    // Jitter, so that not all pages reconnect to a restarted server at the same time.
    this.#reconnectTimer = setTimeout(() => this.#connect(), maximum * (0.5 + Math.random() / 2));
  }

  #setState(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#handlers.onState(state);
  }
}
