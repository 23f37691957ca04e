// @ts-check
/**
 * Packets between page, router and operator: their shapes, and a factory that stamps them with the time.
 *
 * Text to packets and back; nothing here reads or writes anything.
 */
import {
  itemsOf,
  membersOf,
  optional,
  raw,
  rawObject,
  read,
  readInteger,
  readObject,
  readText,
  readTimestamp,
} from "./json_text.js";

/** @typedef {import("./json_text.js").Raw} Raw */

/** Subject of the packets between router and operator that concern no agent. */
export const MEPHISTO = "mephisto";

/** What a worker reads if the operator did not answer in time. */
export const BUSY = "The task server is busy at the moment, please try again in a minute...";

/**
 * Seconds since the epoch; null and absent are told apart.
 *
 * @typedef {number | null | undefined} Timestamp
 */

/**
 * One packet in any direction; a field that was absent stays absent.
 *
 * @typedef {object} WirePacket
 * @property {string} packet_type
 * @property {string | null} [subject_id] an agent's token, a request's id, or `mephisto`
 * @property {Raw} [data]
 * @property {Timestamp} [client_timestamp]
 * @property {Timestamp} [router_incoming_timestamp]
 * @property {Timestamp} [router_outgoing_timestamp]
 * @property {Timestamp} [server_timestamp]
 */

/**
 * Data of an operator's `alive`.
 *
 * @typedef {object} OperatorGreeting
 * @property {string | null} token
 * @property {string | null} incarnation
 * @property {number | null} acked
 * @property {string | null} run the operator's run, where a router belongs to one
 */

/**
 * Data of `agents`: the status of every agent that exists.
 *
 * @typedef {object} AgentStatuses
 * @property {Map<string, string>} agents
 */

/**
 * The part of the data of `agent_details` that concerns the router.
 *
 * @typedef {object} AgentAnswer
 * @property {string} request_id
 * @property {string | null} agent_id
 * @property {string | null} status
 */

/**
 * The part of the data of `worker_page` that concerns the router.
 *
 * @typedef {object} WorkerPageAnswer
 * @property {string} request_id
 */

/**
 * Data of `update_status`.
 *
 * @typedef {object} StatusUpdate
 * @property {string} status
 */

/**
 * Data of `ack`: everything up to `seq` is committed.
 *
 * @typedef {object} Acknowledgement
 * @property {string} incarnation
 * @property {number} seq
 */

/**
 * Data of `confirm_pages`, `pages_confirmed` and `watched_pages`: agents by token.
 *
 * @typedef {object} PageList
 * @property {string[]} agents
 */

/**
 * Data of `pausing`: the text for pages that request an agent meanwhile.
 *
 * @typedef {object} PauseNotice
 * @property {string} failure_reason
 */

/**
 * Data of `webhooks`: how requests of the provider's site are recognized. Names of headers are in lower case.
 *
 * @typedef {object} WebhookTerms
 * @property {string} secret
 * @property {string} signature_header
 * @property {string} timestamp_header
 * @property {string} event_header
 */

/**
 * Data of the answer to a heartbeat; the time is in milliseconds.
 *
 * @typedef {object} HeartbeatAnswer
 * @property {number} last_mephisto_ping
 * @property {string} status
 * @property {boolean} operator_away true if nobody answers what the page sends: it is kept until an operator comes back
 */

/** @type {import("./json_text.js").MemberReader<string | null | undefined>} */
const readSubject = (text) => (text === undefined ? undefined : optional(readText)(text));

const PACKET = {
  packet_type: readText,
  subject_id: readSubject,
  data: (/** @type {Raw | undefined} */ text) => text,
  client_timestamp: readTimestamp,
  router_incoming_timestamp: readTimestamp,
  router_outgoing_timestamp: readTimestamp,
  server_timestamp: readTimestamp,
};

/**
 * Read one packet.
 *
 * @param {Raw} text
 * @returns {WirePacket}
 * @throws {MalformedJsonError}
 */
export function readPacket(text) {
  return read(text, PACKET);
}

/**
 * Read the packets of a frame of the operator.
 *
 * @param {Raw} text
 * @returns {WirePacket[]}
 * @throws {MalformedJsonError}
 */
export function readPackets(text) {
  return text.startsWith("[") ? itemsOf(text).map(readPacket) : [readPacket(text)];
}

/**
 * @param {Raw} data
 * @returns {OperatorGreeting}
 * @throws {MalformedJsonError}
 */
export function readOperatorGreeting(data) {
  const text = optional(readText);
  return read(data, { token: text, incarnation: text, acked: optional(readInteger), run: text });
}

/**
 * @param {Raw} data
 * @returns {AgentStatuses}
 * @throws {MalformedJsonError}
 */
export function readAgentStatuses(data) {
  const { agents } = read(data, { agents: readObject });
  return { agents: new Map([...membersOf(agents)].map(([token, status]) => [token, readText(status)])) };
}

/**
 * @param {Raw} data
 * @returns {AgentAnswer}
 * @throws {MalformedJsonError}
 */
export function readAgentAnswer(data) {
  return read(data, { request_id: readText, agent_id: optional(readText), status: optional(readText) });
}

/**
 * @param {Raw} data
 * @returns {WorkerPageAnswer}
 * @throws {MalformedJsonError}
 */
export function readWorkerPageAnswer(data) {
  return read(data, { request_id: readText });
}

/**
 * @param {Raw} data
 * @returns {StatusUpdate}
 * @throws {MalformedJsonError}
 */
export function readStatusUpdate(data) {
  return read(data, { status: readText });
}

/**
 * @param {Raw} data
 * @returns {Acknowledgement}
 * @throws {MalformedJsonError}
 */
export function readAcknowledgement(data) {
  return read(data, { incarnation: readText, seq: readInteger });
}

/**
 * @param {Raw} data
 * @returns {PageList}
 * @throws {MalformedJsonError}
 */
export function readPageList(data) {
  return read(data, { agents: (text) => itemsOf(text ?? "null").map(readText) });
}

/**
 * @param {Raw} data
 * @returns {PauseNotice}
 * @throws {MalformedJsonError}
 */
export function readPauseNotice(data) {
  return read(data, { failure_reason: readText });
}

/**
 * @param {Raw} data
 * @returns {WebhookTerms}
 * @throws {MalformedJsonError}
 */
export function readWebhookTerms(data) {
  return read(data, {
    secret: readText,
    signature_header: readText,
    timestamp_header: readText,
    event_header: readText,
  });
}

/** Makes encoded packets. */
export class PacketFactory {
  #clock;
  #busyText;

  /**
   * @param {() => number} clock returns seconds since the epoch
   * @param {() => string} busyText returns the text for a worker whose request is not answered in time
   */
  constructor(clock, busyText = () => BUSY) {
    this.#clock = clock;
    this.#busyText = busyText;
  }

  /** Return the time as packets have it: in seconds, with three decimals. */
  now() {
    return Math.round(this.#clock() * 1000) / 1000;
  }

  /**
   * Make a packet that reports what a worker did.
   *
   * @param {string} packetType
   * @param {string | null} subject
   * @param {Raw} data
   * @param {Timestamp} [clientTimestamp]
   * @returns {Raw}
   */
  fromWorker(packetType, subject, data, clientTimestamp) {
    return encode({
      packet_type: packetType,
      subject_id: subject,
      data,
      client_timestamp: clientTimestamp,
      router_incoming_timestamp: this.now(),
    });
  }

  /**
   * Make a packet that reports what the router knows.
   *
   * @param {string} packetType
   * @param {Raw} data
   * @param {string} [subject]
   * @returns {Raw}
   */
  fromRouter(packetType, data, subject = MEPHISTO) {
    return encode({ packet_type: packetType, subject_id: subject, data, router_outgoing_timestamp: this.now() });
  }

  /**
   * Make the packet that tells a page its agent's status.
   *
   * @param {string} agent
   * @param {string} status
   * @returns {Raw}
   */
  status(agent, status) {
    return this.fromRouter("update_status", raw({ status }), agent);
  }

  /**
   * Make the answer to a page whose request the operator did not answer in time.
   *
   * @param {string} requestId
   * @param {string} [reason] what the worker reads
   * @returns {Raw}
   */
  busy(requestId, reason = BUSY) {
    const refusal = {
      request_id: requestId,
      worker_id: null,
      agent_id: null,
      init_task_data: null,
      failure_reason: reason === BUSY ? this.#busyText() : reason,
    };
    return this.fromRouter("agent_details", raw(refusal));
  }

  /**
   * Stamp a packet that is passed on as it came.
   *
   * @param {WirePacket} packet
   * @returns {Raw}
   */
  forwarded(packet) {
    const now = this.now();
    return encode({ ...packet, router_incoming_timestamp: now, router_outgoing_timestamp: now });
  }

  /**
   * Stamp the operator's answer to a page.
   *
   * @param {WirePacket} packet
   * @returns {Raw}
   */
  answered(packet) {
    return encode({ ...packet, router_incoming_timestamp: this.now() });
  }

  /**
   * Add what is only known when a packet of the outbox is sent: its number and the time.
   *
   * @param {Raw} packet
   * @param {number} seq
   * @returns {Raw}
   */
  numbered(packet, seq) {
    return `{"seq":${seq},"router_outgoing_timestamp":${this.now()},${packet.slice(1)}`;
  }
}

/**
 * @param {WirePacket} packet
 * @returns {Raw}
 */
function encode({ data, ...fields }) {
  /** @type {Record<string, Raw | undefined>} */
  const members = {};
  for (const [name, value] of Object.entries(fields)) members[name] = value === undefined ? undefined : raw(value);
  return rawObject({ ...members, data });
}
