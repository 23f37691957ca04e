// @ts-check
import { log } from "./log.js";
import { OPERATOR, isObject, packetForOperator, timestamp } from "./packets.js";

/** @typedef {import("./packets.js").Packet} Packet */

const FIRST_STATUS = "none";

/** What the packets of the operator mean. */
export class OperatorOrders {
  #journal;
  #counters;
  #agents;
  #requests;
  #link;

  /**
   * @param {object} parts
   * @param {import("./journal.js").Journal} parts.journal
   * @param {import("./counters.js").Counters} parts.counters
   * @param {import("./agents.js").Agents} parts.agents
   * @param {import("./waiting_requests.js").WaitingRequests} parts.requests
   * @param {import("./operator_link.js").OperatorLink} parts.link
   */
  constructor({ journal, counters, agents, requests, link }) {
    this.#journal = journal;
    this.#counters = counters;
    this.#agents = agents;
    this.#requests = requests;
    this.#link = link;
  }

  /**
   * Do what a packet of the operator says.
   *
   * @param {Packet} packet
   */
  obey(packet) {
    const { subject_id: subject } = packet;
    const data = isObject(packet.data) ? packet.data : {};
    if (packet.packet_type === "ack") {
      this.#acknowledge(data);
    } else if (packet.packet_type === "drain") {
      this.#journal.drained().then(() => {
        this.#link.send(packetForOperator("router_state", OPERATOR, this.#journal.state));
      });
    } else if (packet.packet_type === "request_statuses") {
      this.#link.send(packetForOperator("return_statuses", OPERATOR, this.#agents.reportedStatuses()));
    } else if (packet.packet_type === "agents" && isObject(data.agents) && Object.values(data.agents).every(isText)) {
      this.#replaceAgents(data.agents);
    } else if (packet.packet_type === "agent_details" && isText(data.agent_id ?? "") && isText(data.status ?? "")) {
      this.#answerRequest(packet, data);
    } else if (packet.packet_type === "update_status" && isText(subject) && isText(data.status)) {
      this.#agents.setStatus(subject, data.status);
      this.#agents.tell(subject, this.#forPage(packet));
    } else if (packet.packet_type === "client_bound_live_update") {
      if (this.#agents.knows(subject)) this.#agents.deliver(subject, this.#forPage(packet));
      else this.#counters.drop("unknown_agent");
    } else {
      this.#counters.drop("malformed_operator_packet");
      log("malformed_operator_packet", { packet_type: packet.packet_type });
    }
  }

  /** @param {Record<string, any>} data */
  #acknowledge({ incarnation, seq }) {
    const isOurs =
      incarnation === this.#journal.incarnation && Number.isSafeInteger(seq) && seq < this.#journal.nextSeq;
    if (isOurs) this.#journal.acknowledge(seq);
    else this.#counters.drop("malformed_operator_packet");
  }

  /** @param {Record<string, string>} statuses */
  #replaceAgents(statuses) {
    const changed = Object.keys(statuses).filter((token) => this.#agents.status(token) !== statuses[token]);
    this.#agents.replaceAll(statuses);
    for (const token of changed) this.#agents.tellStatus(token);
  }

  /**
   * Answer a waiting request. Who gets an agent is known to the journal before the worker knows it.
   *
   * @param {Packet} packet
   * @param {Record<string, any>} data
   */
  #answerRequest(packet, data) {
    const requestId = data.request_id ?? packet.subject_id;
    const answer = {
      ...packet,
      data: { ...data, agent_id: data.agent_id ?? null },
      router_incoming_timestamp: timestamp(),
    };
    const token = data.agent_id;
    if (token) this.#agents.setStatus(token, data.status ?? this.#agents.status(token) ?? FIRST_STATUS);
    this.#journal.agentsWritten().then(() => {
      const wasWaitedFor = this.#requests.settle(requestId, answer);
      if (token && wasWaitedFor) this.#agents.claim(token);
      else if (token) this.#agents.miss(token);
    });
  }

  /** @param {Packet} packet */
  #forPage(packet) {
    const now = timestamp();
    return JSON.stringify({ ...packet, router_incoming_timestamp: now, router_outgoing_timestamp: now });
  }
}

/** @param {unknown} value @returns {value is string} */
function isText(value) {
  return typeof value === "string";
}
