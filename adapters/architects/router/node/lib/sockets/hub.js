// @ts-check
/** Decides who speaks on which socket, and passes on what is said there. */
import { MalformedJsonError } from "../errors.js";
import { strictJson } from "../json_text.js";
import { log } from "../log.js";
import { MEPHISTO, readOperatorGreeting, readPacket } from "../packets.js";
import { POLICY_VIOLATION, SERVICE_RESTART, TOO_BIG } from "./connection.js";

/** @typedef {import("./connection.js").Connection} Connection */
/** @typedef {import("../packets.js").WirePacket} WirePacket */
/** @typedef {import("../packets.js").OperatorGreeting} OperatorGreeting */

/** All open sockets. */
export class Hub {
  #secret;
  #page;
  #sessions;
  #requests;
  #link;
  #orders;
  #counters;
  #maxPacketBytes;
  #maxUnknown;
  /** @type {Set<Connection>} */
  #connections = new Set();
  /** @type {Set<Connection>} in the order in which they were opened */
  #unknown = new Set();

  /**
   * @param {object} parts
   * @param {import("../settings.js").Secret} parts.secret makes a socket the operator's
   * @param {import("../http/run_page.js").RunPage} parts.page knows whose operator may attach
   * @param {import("../pages/page_sessions.js").PageSessions} parts.sessions handles packets of pages
   * @param {import("../pages/page_requests.js").PageRequests} parts.requests has requests for a new operator
   * @param {import("../operator/operator_link.js").OperatorLink} parts.link the operator's socket
   * @param {import("../operator/operator_orders.js").OperatorOrders} parts.orders executes packets of the operator
   * @param {import("../counters.js").Counters} parts.counters counts what is discarded
   * @param {number} parts.maxPacketBytes size of a page's packet
   * @param {number} parts.maxUnknown sockets on which nobody is known yet; when there are more, the oldest is closed.
   *   Pages greet at once, so that these are others.
   */
  constructor({ secret, page, sessions, requests, link, orders, counters, maxPacketBytes, maxUnknown }) {
    this.#secret = secret;
    this.#page = page;
    this.#sessions = sessions;
    this.#requests = requests;
    this.#link = link;
    this.#orders = orders;
    this.#counters = counters;
    this.#maxPacketBytes = maxPacketBytes;
    this.#maxUnknown = maxUnknown;
  }

  /** Number of open sockets. */
  get socketCount() {
    return this.#connections.size;
  }

  /**
   * Return whether a socket is the operator's.
   *
   * @param {Connection} connection
   * @returns {boolean}
   */
  isOperator(connection) {
    return this.#link.isHeldBy(connection);
  }

  /**
   * Return whether somebody is known to speak on a socket: the operator, or the page of an agent.
   *
   * @param {Connection} connection
   * @returns {boolean}
   */
  isKnown(connection) {
    return this.isOperator(connection) || connection.agents.size > 0;
  }

  /**
   * Register a new socket.
   *
   * @param {Connection} connection
   */
  connect(connection) {
    connection.onPong(() => this.#onPong(connection));
    this.#connections.add(connection);
    this.#unknown.add(connection);
    if (this.#unknown.size <= this.#maxUnknown) return;
    this.#counters.drop("unknown_sockets");
    const [oldest] = this.#unknown;
    this.#unknown.delete(oldest);
    oldest.close(POLICY_VIOLATION);
  }

  /**
   * Remove a socket that is closed.
   *
   * @param {Connection} connection
   * @param {object} options
   * @param {boolean} options.saidGoodbye the other side closed it; otherwise it was lost
   */
  disconnect(connection, { saidGoodbye }) {
    this.#connections.delete(connection);
    this.#unknown.delete(connection);
    this.#link.detach(connection);
    this.#sessions.onDisconnect(connection, { saidGoodbye });
  }

  /**
   * Handle a message of a socket.
   *
   * @param {Connection} connection
   * @param {string | null} text null if the message was no text
   */
  onMessage(connection, text) {
    if (!connection.isOpen) return;
    if (text === null) {
      this.#counters.drop("malformed_packet");
    } else if (this.isOperator(connection)) {
      this.#link.hear();
      this.#orders.execute(text);
    } else if (Buffer.byteLength(text) > this.#maxPacketBytes) {
      this.#counters.drop("packet_too_big");
      connection.close(TOO_BIG);
    } else {
      this.#onPacket(connection, text);
      if (this.isKnown(connection)) this.#unknown.delete(connection);
    }
  }

  /** Close all sockets: the process ends. */
  close() {
    for (const connection of this.#connections) connection.close(SERVICE_RESTART);
  }

  /** @param {Connection} connection */
  #onPong(connection) {
    if (this.isOperator(connection)) this.#link.hear();
    else this.#sessions.onPong(connection);
  }

  /**
   * @param {Connection} connection
   * @param {string} message
   */
  #onPacket(connection, message) {
    /** @type {WirePacket} */
    let packet;
    try {
      packet = readPacket(strictJson(message));
    } catch (error) {
      if (!(error instanceof MalformedJsonError)) throw error;
      this.#counters.drop("malformed_packet");
      return;
    }
    if (packet.subject_id === MEPHISTO) this.#checkOperator(connection, packet);
    else this.#sessions.onPacket(connection, packet);
  }

  /**
   * @param {Connection} connection
   * @param {WirePacket} packet
   */
  #checkOperator(connection, packet) {
    const greeting = greetingOf(packet);
    const isOperator = packet.packet_type === "alive" && this.#secret.matches(greeting?.token);
    if (greeting !== null && isOperator && this.#page.admits(greeting.run)) {
      this.#link.attach(connection, greeting);
      this.#sessions.onOperatorAttached();
      this.#requests.onOperatorAttached();
      return;
    }
    this.#counters.refuseOperator();
    log("operator_refused", {
      reason: isOperator ? "it is not that of the run" : "it does not have the run's secret",
    });
    connection.close(POLICY_VIOLATION);
  }
}

/**
 * @param {WirePacket} packet
 * @returns {OperatorGreeting | null} null if it is none
 */
function greetingOf({ data = "{}" }) {
  try {
    return readOperatorGreeting(data);
  } catch (error) {
    if (!(error instanceof MalformedJsonError)) throw error;
    return null;
  }
}
