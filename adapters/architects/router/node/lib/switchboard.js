// @ts-check
// Who speaks on which socket, and what the packets of pages mean.
import { Deadlines } from "./deadlines.js";
import { Refused } from "./errors.js";
import { OPERATOR, encode, isNestedTooDeeply, isObject, packetForOperator, timestamp } from "./packets.js";
import { CLOSE_POLICY, CLOSE_RESTART } from "./peer.js";

/** @typedef {import("./packets.js").Packet} Packet */
/** @typedef {import("./peer.js").Peer} Peer */

/** Connects the sockets of pages with that of the operator. */
export class Switchboard {
  #journal;
  #counters;
  #agents;
  #link;
  #orders;
  #isSecret;
  #operatorGraceSeconds;
  /** @type {Set<Peer>} */
  #peers = new Set();
  /** @type {Deadlines<Peer>} */
  #strangers;

  /**
   * @param {object} parts
   * @param {import("./journal.js").Journal} parts.journal
   * @param {import("./counters.js").Counters} parts.counters
   * @param {import("./agents.js").Agents} parts.agents
   * @param {import("./operator_link.js").OperatorLink} parts.link
   * @param {import("./operator_orders.js").OperatorOrders} parts.orders
   * @param {(offered: unknown) => boolean} parts.isSecret
   * @param {number} parts.operatorGraceSeconds
   * @param {number} parts.greetingSeconds a socket that speaks for no agent we know, nor as the operator, is closed then
   */
  constructor({ journal, counters, agents, link, orders, isSecret, operatorGraceSeconds, greetingSeconds }) {
    this.#journal = journal;
    this.#counters = counters;
    this.#agents = agents;
    this.#link = link;
    this.#orders = orders;
    this.#isSecret = isSecret;
    this.#operatorGraceSeconds = operatorGraceSeconds;
    this.#strangers = new Deadlines(greetingSeconds, (peer) => peer.close(CLOSE_POLICY, "no known agent"));
  }

  /** How many sockets are open. */
  get socketCount() {
    return this.#peers.size;
  }

  /** @param {Peer} peer a new socket */
  enter(peer) {
    this.#peers.add(peer);
    this.#strangers.set(peer);
  }

  /**
   * @param {Peer} peer a socket that is closed
   * @param {boolean} saidGoodbye
   */
  leave(peer, saidGoodbye) {
    this.#peers.delete(peer);
    this.#strangers.delete(peer);
    this.#agents.leave(peer, saidGoodbye);
    this.#link.leave(peer);
  }

  /** Close all sockets: the process ends. */
  close() {
    for (const peer of this.#peers) peer.close(CLOSE_RESTART, "the task server restarts");
  }

  /** @param {Peer} peer */
  isOperator(peer) {
    return this.#link.isHeldBy(peer);
  }

  /**
   * Tell the operator an agent's status as it is seen here.
   *
   * @param {string} token
   */
  reportStatus(token) {
    if (!this.#link.isAttached) return;
    this.#link.send(packetForOperator("return_statuses", OPERATOR, { [token]: this.#agents.reportedStatus(token) }));
  }

  /**
   * Handle the packets of one WebSocket message.
   *
   * @param {Peer} peer
   * @param {{packets: Packet[], isBatch: boolean} | null} frame null: it could not be read
   */
  receive(peer, frame) {
    if (frame === null || (frame.isBatch && !this.isOperator(peer) && !isOperatorGreeting(frame.packets[0]))) {
      this.#counters.drop("malformed_packet");
      return;
    }
    for (const packet of frame.packets) {
      if (!peer.isOpen) return;
      if (isOperatorGreeting(packet)) this.#greetOperator(peer, packet);
      else if (this.isOperator(peer)) this.#orders.obey(packet);
      else if (packet.subject_id === OPERATOR) this.#refuseOperator(peer);
      else this.#receiveFromPage(peer, packet);
    }
  }

  // -- packets of pages ------------------------------------------------------------------------

  /**
   * @param {Peer} peer
   * @param {Packet} packet
   */
  #receiveFromPage(peer, packet) {
    const token = packet.subject_id;
    if (!this.#agents.knows(token)) {
      this.#counters.drop("unknown_agent");
    } else if (packet.packet_type === "alive") {
      this.#hear(token, peer, true);
    } else if (packet.packet_type === "heartbeat") {
      this.#hear(token, peer, false);
      peer.send(JSON.stringify(this.#pulse(token, packet)));
    } else if (packet.packet_type === "mephisto_bound_live_update") {
      this.#hear(token, peer, false);
      this.#passOn(token, packet);
    } else {
      this.#counters.drop("unknown_packet_type");
    }
  }

  /**
   * @param {string} token
   * @param {Peer} peer
   * @param {boolean} isAlive the page says that it is new here; any other packet says it when its agent has no page
   */
  #hear(token, peer, isAlive) {
    this.#strangers.delete(peer);
    const wasAway = this.#agents.hear(token, peer, isAlive);
    if (isAlive || wasAway) {
      this.#agents.tellStatus(token);
      this.#agents.deliverKept(token);
    }
    if (wasAway) this.reportStatus(token);
  }

  /**
   * Answer a heartbeat. A page leaves for good when the operator's last sign of life looks old on the page's own clock,
   * so that clock is what the answer is given in.
   *
   * @param {string} token
   * @param {Packet} packet
   * @returns {Packet}
   */
  #pulse(token, packet) {
    const incoming = timestamp();
    const pageTime = typeof packet.client_timestamp === "number" ? packet.client_timestamp : incoming;
    const away = this.#link.awaySeconds;
    const age = away > this.#operatorGraceSeconds ? away : 0;
    return {
      packet_type: packet.packet_type,
      subject_id: token,
      client_timestamp: pageTime,
      router_incoming_timestamp: incoming,
      data: { last_mephisto_ping: Math.round((pageTime - age) * 1000), status: this.#agents.status(token) },
      router_outgoing_timestamp: incoming,
    };
  }

  /**
   * @param {string} token
   * @param {Packet} packet
   */
  #passOn(token, packet) {
    if (!isObject(packet.data) || isNestedTooDeeply(packet.data)) {
      this.#counters.drop("malformed_packet");
      return;
    }
    const text = encode(packetForOperator(packet.packet_type, token, packet.data, packet.client_timestamp));
    this.#journal.append(text).catch((error) => {
      if (!(error instanceof Refused)) throw error;
      this.#counters.drop(error.status === 507 ? "outbox_full" : "journal_unwritable");
    });
  }

  // -- who is the operator ---------------------------------------------------------------------

  /**
   * @param {Peer} peer
   * @param {Packet} packet
   */
  #greetOperator(peer, packet) {
    const greeting = isObject(packet.data) ? packet.data : {};
    if (this.#isSecret(greeting.token)) {
      this.#strangers.delete(peer);
      this.#link.attach(peer, greeting);
    } else {
      this.#refuseOperator(peer);
    }
  }

  /** @param {Peer} peer */
  #refuseOperator(peer) {
    this.#counters.refusedOperators += 1;
    peer.close(CLOSE_POLICY, "not the operator of this run");
  }
}

/** @param {Packet | undefined} packet */
function isOperatorGreeting(packet) {
  return packet?.packet_type === "alive" && packet.subject_id === OPERATOR;
}
