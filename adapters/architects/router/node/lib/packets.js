// @ts-check
// Packets as text and as objects; no input or output.
import { randomUUID } from "node:crypto";

/** Subject of packets between router and operator that concern no agent. */
export const OPERATOR = "mephisto";

/** What a worker reads when the operator did not answer in time. */
export const BUSY = "The task server is busy at the moment, please try again in a minute...";

/** Deeper data is refused: what reads it behind the router has a limited stack. */
const MAX_NESTING = 200;

/**
 * @typedef {object} Packet
 * @property {string} packet_type
 * @property {string | null} subject_id an agent's token, a request's id, or `mephisto`
 * @property {unknown} [data]
 * @property {number | null} [client_timestamp] seconds, like all of these
 * @property {number | null} [router_incoming_timestamp]
 * @property {number | null} [router_outgoing_timestamp]
 * @property {number | null} [server_timestamp]
 */

/** The present time in seconds. */
export function timestamp() {
  return Date.now() / 1000;
}

/**
 * Decode one WebSocket message.
 *
 * @param {string} text
 * @returns {{packets: Packet[], isBatch: boolean} | null} null when it is not made of packets
 */
export function decodeFrame(text) {
  let content;
  try {
    content = JSON.parse(text);
  } catch {
    return null;
  }
  const isBatch = Array.isArray(content);
  /** @type {any[]} */
  const packets = isBatch ? content : [content];
  return packets.every((packet) => isObject(packet) && typeof packet.packet_type === "string")
    ? { packets, isBatch }
    : null;
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, any>}
 */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Make a packet for the operator.
 *
 * @param {string} type
 * @param {string | null} subject
 * @param {unknown} data
 * @param {unknown} [clientTimestamp] as the page sent it; anything but a number counts as absent
 * @returns {Packet}
 */
export function packetForOperator(type, subject, data, clientTimestamp) {
  return {
    packet_type: type,
    subject_id: subject,
    data,
    client_timestamp: typeof clientTimestamp === "number" ? clientTimestamp : null,
    router_incoming_timestamp: timestamp(),
    server_timestamp: null,
  };
}

/**
 * Make the packet that tells a page its agent's status.
 *
 * @param {string} token
 * @param {string | undefined} status
 * @returns {Packet}
 */
export function statusPacket(token, status) {
  return { packet_type: "update_status", subject_id: token, data: { status }, router_outgoing_timestamp: timestamp() };
}

/**
 * Make the answer to a page whose request the operator did not answer in time.
 *
 * @param {string} requestId
 * @returns {Packet}
 */
export function busyAnswer(requestId) {
  return {
    packet_type: "agent_details",
    subject_id: requestId,
    data: { request_id: requestId, worker_id: null, agent_id: null, init_task_data: null, failure_reason: BUSY },
    client_timestamp: null,
    router_incoming_timestamp: null,
    router_outgoing_timestamp: timestamp(),
    server_timestamp: null,
  };
}

/**
 * Encode a packet that holds what a worker sent.
 *
 * Half of a surrogate pair, which JavaScript makes of a text cut within a character, becomes U+FFFD: a strict reader
 * behind the router would refuse the whole packet.
 *
 * @param {Packet} packet
 */
export function encode(packet) {
  const text = JSON.stringify(packet);
  if (!text.includes("\\ud")) return text;
  return text.replace(/\\(?:(ud[89a-f][0-9a-f]{2})|.)/g, (escape, half) => (half ? "\\ufffd" : escape));
}

/**
 * Add what is only known when a packet goes out to an encoded one.
 *
 * @param {string} text the packet's JSON
 * @param {number | null} seq its number, if it has one
 */
export function outgoing(text, seq) {
  const numbered = seq === null ? "" : `"seq":${seq},`;
  return `{${numbered}"router_outgoing_timestamp":${timestamp()},${text.slice(1)}`;
}

/**
 * Tell whether data from outside is nested too deeply to be passed on.
 *
 * @param {unknown} value
 * @param {number} [room] levels that are left
 * @returns {boolean}
 */
export function isNestedTooDeeply(value, room = MAX_NESTING) {
  if (typeof value !== "object" || value === null) return false;
  if (room === 0) return true;
  for (const part of Object.values(value)) {
    if (typeof part === "object" && isNestedTooDeeply(part, room - 1)) return true;
  }
  return false;
}

/** A new request's id. */
export function newRequestId() {
  return randomUUID();
}
