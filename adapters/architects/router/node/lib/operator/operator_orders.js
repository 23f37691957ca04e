// @ts-check
/** Executes the packets of the operator. */
import { MalformedJsonError } from "../errors.js";
import { raw, strictJson } from "../json_text.js";
import { log } from "../log.js";
import {
  readAcknowledgement,
  readAgentAnswer,
  readAgentStatuses,
  readPackets,
  readPageList,
  readPauseNotice,
  readStatusUpdate,
  readWebhookTerms,
  readWorkerPageAnswer,
} from "../packets.js";

/** @typedef {import("../packets.js").WirePacket} WirePacket */
/** @typedef {import("../packets.js").AgentAnswer} AgentAnswer */
/** @typedef {import("../packets.js").Acknowledgement} Acknowledgement */

/** Does what the operator's packets say; one that cannot be read is discarded, counted and reported back. */
export class OperatorOrders {
  #journal;
  #agents;
  #requests;
  #webhooks;
  #link;
  #packets;
  #counters;

  /**
   * @param {object} parts
   * @param {import("../journal/journal.js").Journal} parts.journal where acknowledgements go
   * @param {import("../pages/agents.js").AgentSessions} parts.agents the known agents
   * @param {import("./waiting_requests.js").WaitingRequests} parts.requests pages that wait for an agent
   * @param {import("./webhooks.js").Webhooks} parts.webhooks what the provider's site may send
   * @param {import("./operator_link.js").OperatorLink} parts.link the operator's socket, for answers
   * @param {import("../packets.js").PacketFactory} parts.packets makes packets
   * @param {import("../counters.js").Counters} parts.counters counts what is discarded
   */
  constructor({ journal, agents, requests, webhooks, link, packets, counters }) {
    this.#journal = journal;
    this.#agents = agents;
    this.#requests = requests;
    this.#webhooks = webhooks;
    this.#link = link;
    this.#packets = packets;
    this.#counters = counters;
  }

  /**
   * Execute the packets of one frame, in order.
   *
   * @param {string} frame
   */
  execute(frame) {
    /** @type {WirePacket[]} */
    let packets = [];
    try {
      packets = readPackets(strictJson(frame, Infinity));
    } catch (error) {
      this.#reportMalformed(error, "");
    }
    for (const packet of packets) {
      try {
        this.#execute(packet);
      } catch (error) {
        this.#reportMalformed(error, `${packet.packet_type}: `);
      }
    }
  }

  /** @param {WirePacket} packet */
  #execute(packet) {
    const { subject_id: subject, data = "null" } = packet;
    switch (packet.packet_type) {
      case "client_bound_live_update":
        this.#deliver(subject ?? "", packet);
        break;
      case "update_status": {
        const session = this.#agents.setStatus(subject ?? "", readStatusUpdate(data).status);
        this.#agents.send(session, this.#packets.forwarded(packet));
        break;
      }
      case "agent_details":
        this.#answerRequest(readAgentAnswer(data), packet);
        break;
      case "worker_page":
        this.#settle(readWorkerPageAnswer(data).request_id, packet);
        break;
      case "ack":
        this.#acknowledge(readAcknowledgement(data));
        break;
      case "agents":
        for (const session of this.#agents.replaceAll(readAgentStatuses(data).agents)) {
          this.#agents.send(session, this.#packets.status(session.token, session.status));
        }
        this.#link.send(this.#packets.fromRouter("watched_pages", raw({ agents: this.#agents.watched })));
        break;
      case "confirm_pages":
        for (const token of readPageList(data).agents) this.#agents.ask(token);
        break;
      case "pausing":
        this.#link.pause();
        this.#requests.pause(readPauseNotice(data).failure_reason);
        break;
      case "webhooks":
        this.#webhooks.expect(readWebhookTerms(data));
        break;
      case "drain":
        this.#journal.drain(() => this.#sendState());
        break;
      case "request_statuses":
        this.#link.send(this.#packets.fromRouter("return_statuses", raw(this.#agents.reportedStatuses())));
        break;
      default:
        throw new MalformedJsonError(`'${packet.packet_type}' is not a packet type of the operator`);
    }
  }

  /**
   * @param {string} token
   * @param {WirePacket} packet
   */
  #deliver(token, packet) {
    const session = this.#agents.get(token);
    if (session === null) this.#counters.drop("unknown_agent");
    else this.#agents.deliver(session, this.#packets.forwarded(packet));
  }

  /**
   * @param {AgentAnswer} answer
   * @param {WirePacket} packet
   */
  #answerRequest({ request_id: requestId, agent_id: token, status }, packet) {
    const session = token === null ? null : this.#agents.setStatus(token, status);
    const wasWaitedFor = this.#settle(requestId, packet);
    if (session !== null && wasWaitedFor) this.#agents.claim(session);
    else if (session !== null) this.#agents.miss(session);
  }

  /**
   * Answer a page's request.
   *
   * @param {string} requestId
   * @param {WirePacket} packet
   * @returns {boolean} whether it still waited
   */
  #settle(requestId, packet) {
    const wasWaitedFor = this.#requests.settle(requestId, this.#packets.answered(packet));
    if (!wasWaitedFor) this.#counters.drop("late_answer");
    return wasWaitedFor;
  }

  /** @param {Acknowledgement} ack */
  #acknowledge({ incarnation, seq }) {
    if (incarnation !== this.#journal.incarnation || seq >= this.#journal.outbox.nextSeq) {
      throw new MalformedJsonError(`${seq} of ${incarnation} was never sent from here`);
    }
    this.#link.acknowledge(seq);
  }

  #sendState() {
    this.#link.send(this.#packets.fromRouter("router_state", raw(this.#journal.state)));
  }

  /**
   * @param {unknown} error
   * @param {string} prefix
   */
  #reportMalformed(error, prefix) {
    if (!(error instanceof MalformedJsonError)) throw error;
    const reason = prefix + error.message;
    this.#counters.drop("malformed_operator_packet");
    log("malformed_operator_packet", { reason });
    this.#link.report(this.#packets.fromRouter("router_report", raw({ what: "malformed_packet", reason })));
  }
}
