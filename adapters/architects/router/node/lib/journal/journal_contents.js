// @ts-check
/**
 * Reads and writes the records of the journal, without touching a file.
 *
 * The first line names the incarnation and the next number. The others are a packet with its number, an acknowledgement
 * (cumulative), an agent's status (null: forgotten), a note that an agent's page was there, or a witness of what was on
 * the disk.
 */
import { DamagedJournalError, MalformedJsonError } from "../errors.js";
import { membersOf, strictJson } from "../json_text.js";
import { decodeLines, encodeLine } from "./journal_lines.js";
import { Outbox } from "./outbox.js";

/** The state that a journal describes once all its lines are read. */
export class JournalContents {
  /** Names the numbering: packets are told apart by incarnation and number. */
  incarnation = "";
  outbox = new Outbox();
  /** @type {Map<string, string>} the status of each known agent */
  agents = new Map();
  /** @type {Set<string>} the known agents whose page had a socket */
  pages = new Set();
  /** Length of the part that is whole. */
  sizeBytes = 0;

  /**
   * Remove an agent and its page.
   *
   * @param {string} token
   */
  forgetAgent(token) {
    this.agents.delete(token);
    this.pages.delete(token);
  }
}

/**
 * Fold a journal's lines into the state they describe.
 *
 * @param {Buffer} content what a power cut damaged is ignored
 * @returns {JournalContents}
 * @throws {DamagedJournalError} a line that was on the disk is damaged, a record does not fit where it stands, or the
 *   header is missing
 */
export function readContents(content) {
  const contents = new JournalContents();
  for (const { number, json, end } of decodeLines(content)) {
    if (!apply(contents, json, number === 1)) {
      throw new DamagedJournalError(`line ${number} is not a record that can stand there`);
    }
    contents.sizeBytes = end;
  }
  if (contents.sizeBytes === 0) throw new DamagedJournalError("line 1, the header, is missing or torn");
  return contents;
}

/**
 * Apply one record.
 *
 * @param {JournalContents} contents
 * @param {string} json
 * @param {boolean} isHeader
 * @returns {boolean} whether it fits there
 */
function apply(contents, json, isHeader) {
  const members = recordOf(json);
  const packet = members.get("packet");
  const record = Object.fromEntries(
    [...members].filter(([name]) => name !== "packet").map(([name, text]) => [name, JSON.parse(text)]),
  );
  if (typeof record.incarnation === "string" && Number.isSafeInteger(record.next_seq)) {
    contents.incarnation = record.incarnation;
    contents.outbox = new Outbox(record.next_seq);
    return isHeader;
  }
  if (packet !== undefined) {
    if (record.seq !== contents.outbox.nextSeq) return false;
    contents.outbox.add(packet);
  } else if (Number.isSafeInteger(record.ack)) {
    contents.outbox.acknowledge(record.ack);
  } else if (typeof record.agent === "string" && typeof record.status === "string") {
    contents.agents.set(record.agent, record.status);
  } else if (typeof record.agent === "string" && record.status === null) {
    contents.forgetAgent(record.agent);
  } else if (typeof record.page === "string") {
    if (contents.agents.has(record.page)) contents.pages.add(record.page);
  } else if (!Number.isSafeInteger(record.durable)) {
    return false;
  }
  return !isHeader;
}

/** @param {string} json */
function recordOf(json) {
  try {
    return membersOf(strictJson(json, Infinity));
  } catch (error) {
    if (!(error instanceof MalformedJsonError)) throw error;
    return new Map();
  }
}

/**
 * Return the first line of a journal.
 *
 * @param {string} incarnation
 * @param {number} nextSeq the number of the first packet in it
 */
export function headerLine(incarnation, nextSeq) {
  return encodeLine(JSON.stringify({ incarnation, next_seq: nextSeq }));
}

/**
 * Return the line of a packet (on one line) with its number.
 *
 * @param {number} seq
 * @param {string} packet
 */
export function packetLine(seq, packet) {
  return encodeLine(`{"seq":${seq},"packet":${packet}}`);
}

/**
 * Return the line that acknowledges everything up to a number.
 *
 * @param {number} seq
 */
export function ackLine(seq) {
  return encodeLine(JSON.stringify({ ack: seq }));
}

/**
 * Return the line of an agent's status.
 *
 * @param {string} token
 * @param {string | null} status null forgets the agent
 */
export function agentLine(token, status) {
  return encodeLine(JSON.stringify({ agent: token, status }));
}

/**
 * Return the line that an agent's page was there.
 *
 * @param {string} token
 */
export function pageLine(token) {
  return encodeLine(JSON.stringify({ page: token }));
}
