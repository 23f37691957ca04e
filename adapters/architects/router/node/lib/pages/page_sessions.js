// @ts-check
/** Handles the packets that pages send on their sockets, and reports to the operator which pages are there. */
import { OutboxFullError } from "../errors.js";
import { isObject, raw } from "../json_text.js";

/** Absence of the operator that pages are told about; a restart is shorter. */
const NOTICE_SECONDS = 15;

/** @typedef {import("./agent_session.js").AgentSession} AgentSession */
/** @typedef {import("../sockets/connection.js").Connection} Connection */
/** @typedef {import("../packets.js").WirePacket} WirePacket */

/** The pages that have a socket. */
export class PageSessions {
  #journal;
  #agents;
  #link;
  #packets;
  #counters;
  #graceSeconds;

  /**
   * @param {object} parts
   * @param {import("../journal/journal.js").Journal} parts.journal where live updates go
   * @param {import("./agents.js").AgentSessions} parts.agents the known agents
   * @param {import("../operator/operator_link.js").OperatorLink} parts.link the operator's socket
   * @param {import("../packets.js").PacketFactory} parts.packets makes packets
   * @param {import("../counters.js").Counters} parts.counters counts what is discarded
   * @param {number} parts.graceSeconds how long pages are kept alive while no operator is attached
   */
  constructor({ journal, agents, link, packets, counters, graceSeconds }) {
    this.#journal = journal;
    this.#agents = agents;
    this.#link = link;
    this.#packets = packets;
    this.#counters = counters;
    this.#graceSeconds = graceSeconds;
  }

  /**
   * Handle a packet of a page.
   *
   * @param {Connection} connection
   * @param {WirePacket} packet
   */
  onPacket(connection, packet) {
    const session = this.#agents.get(packet.subject_id);
    if (session === null) {
      this.#counters.drop("unknown_agent");
    } else if (packet.packet_type === "alive") {
      this.#hear(session, connection, true);
    } else if (packet.packet_type === "heartbeat") {
      this.#hear(session, connection, false);
      this.#answerHeartbeat(session, connection, packet);
    } else if (packet.packet_type === "mephisto_bound_live_update") {
      this.#hear(session, connection, false);
      this.#recordLiveUpdate(session, packet);
    } else {
      this.#counters.drop("unknown_packet_type");
    }
  }

  /**
   * Handle a sign of life of a page's socket, which a tab in the background gives too.
   *
   * @param {Connection} connection
   */
  onPong(connection) {
    for (const token of [...connection.agents]) {
      const session = this.#agents.get(token);
      if (session !== null) this.#welcome(session, { wasAway: this.#agents.feel(session), isNew: false });
    }
  }

  /**
   * Handle the end of a socket.
   *
   * @param {Connection} connection
   * @param {object} options
   * @param {boolean} options.saidGoodbye the page closed it; otherwise what it was sent last may not have arrived
   */
  onDisconnect(connection, { saidGoodbye }) {
    this.#agents.lose(connection, { saidGoodbye });
  }

  /** Give every page time to come back: while nobody could answer it, it may have had no socket. */
  onOperatorAttached() {
    this.#agents.restartSilence();
  }

  /** From now on report agents whose page is gone. */
  watchSilence() {
    this.#agents.watchSilence((sessions) => this.#reportStatuses(sessions));
  }

  /** From now on ask the sockets of silent pages for a sign of life. */
  watchPulse() {
    this.#agents.watchPulse();
  }

  /**
   * @param {AgentSession} session
   * @param {Connection} connection
   * @param {boolean} isNew
   */
  #hear(session, connection, isNew) {
    // Any packet may be the first sign of a page: it does not always say `alive` for its agent.
    this.#welcome(session, { wasAway: this.#agents.hear(session, connection, { isNew }), isNew });
  }

  /**
   * @param {AgentSession} session
   * @param {{wasAway: boolean, isNew: boolean}} how
   */
  #welcome(session, { wasAway, isNew }) {
    if (isNew || wasAway) {
      this.#agents.send(session, this.#packets.status(session.token, session.status));
      this.#agents.deliverKept(session);
    }
    if (wasAway) this.#reportStatuses([session]);
    if (!session.isAsked || !this.#link.isAttached) return;
    session.isAsked = false;
    this.#link.send(this.#packets.fromRouter("pages_confirmed", raw({ agents: [session.token] })));
  }

  /**
   * @param {AgentSession} session
   * @param {Connection} connection
   * @param {WirePacket} packet
   */
  #answerHeartbeat(session, connection, packet) {
    // In terms of the page's own clock: it compares, and leaves for good if the time looks old.
    const seenAt = typeof packet.client_timestamp === "number" ? packet.client_timestamp : this.#packets.now();
    const away = this.#link.awaySeconds;
    const age = away > this.#graceSeconds && !this.#link.isPaused ? away : 0;
    /** @type {import("../packets.js").HeartbeatAnswer} */
    const answer = {
      last_mephisto_ping: Math.round((seenAt - age) * 1000),
      status: session.status,
      operator_away: away > NOTICE_SECONDS,
    };
    connection.send(this.#packets.forwarded({ ...packet, data: raw(answer) }));
  }

  /**
   * @param {AgentSession} session
   * @param {WirePacket} packet
   */
  #recordLiveUpdate(session, { packet_type: packetType, data, client_timestamp: clientTimestamp }) {
    if (!isObject(data)) {
      this.#counters.drop("malformed_packet");
      return;
    }
    try {
      this.#journal.recordNowait(this.#packets.fromWorker(packetType, session.token, data, clientTimestamp));
    } catch (error) {
      if (!(error instanceof OutboxFullError)) throw error;
      this.#counters.drop("outbox_full");
    }
  }

  /** @param {AgentSession[]} sessions */
  #reportStatuses(sessions) {
    // Without an operator nobody misses it: the next one asks for all.
    if (sessions.length === 0 || !this.#link.isAttached) return;
    const statuses = Object.fromEntries(sessions.map((session) => [session.token, session.reportedStatus]));
    this.#link.send(this.#packets.fromRouter("return_statuses", raw(statuses)));
  }
}
