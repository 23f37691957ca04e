// @ts-check
// What the journal's lines say. The first one names the incarnation and the next number; the others are a packet with
// its number, an acknowledgement (cumulative), an agent's status (null: forgotten), or that an agent's page was there.
import { StartError } from "./errors.js";
import { decodeLines, encodeLine } from "./journal_lines.js";
import { Outbox } from "./outbox.js";

/** What a journal says once all its lines are read. */
export class JournalContents {
  outbox = new Outbox();
  /** @type {Map<string, string>} status of each agent known */
  agents = new Map();
  /** @type {Set<string>} those of them whose page had a socket */
  pages = new Set();
  /** Highest number that was ever acknowledged. */
  acknowledged = 0;
  /** Size of the part that is whole. */
  size = 0;

  /**
   * Number of the next packet. An acknowledgement of numbers that were never given out here means that this file lost
   * its end after the operator had committed it: numbering goes on behind them, so that no new packet is taken for one
   * of those.
   */
  get nextSeq() {
    return Math.max(this.outbox.nextSeq, this.acknowledged + 1);
  }

  /** @param {number} seq */
  acknowledge(seq) {
    this.acknowledged = Math.max(this.acknowledged, seq);
    this.outbox.acknowledge(seq);
  }
}

/**
 * Fold a journal's lines into what they say.
 *
 * @param {Buffer} text
 * @param {string} path for the error
 * @param {string} incarnation what its header has to say
 * @returns {JournalContents}
 * @throws {StartError} on damage before the last line, or a line that cannot stand where it stands
 */
export function readContents(text, path, incarnation) {
  const contents = new JournalContents();
  for (const { record, line, end } of decodeLines(text, path)) {
    const isLegal = line === 1 ? begin(contents, record, incarnation) : apply(contents, record);
    if (!isLegal) {
      throw new StartError(
        `${path}, line ${line} is not a journal record that can stand there: use a data directory of this run`,
      );
    }
    contents.size = end;
  }
  return contents;
}

/**
 * @param {JournalContents} contents
 * @param {any} record
 * @param {string} incarnation
 */
function begin(contents, record, incarnation) {
  if (record?.incarnation !== incarnation || !Number.isSafeInteger(record.next_seq)) return false;
  contents.outbox.nextSeq = record.next_seq;
  contents.acknowledged = record.next_seq - 1;
  return true;
}

/**
 * @param {JournalContents} contents
 * @param {any} record
 * @returns {boolean} false when the record makes no sense there
 */
function apply(contents, record) {
  if (typeof record?.agent === "string") {
    if (typeof record.status === "string") contents.agents.set(record.agent, record.status);
    else {
      contents.agents.delete(record.agent);
      contents.pages.delete(record.agent);
    }
    return record.status === null || typeof record.status === "string";
  }
  if (typeof record?.page === "string") {
    if (contents.agents.has(record.page)) contents.pages.add(record.page);
    return true;
  }
  if (Number.isSafeInteger(record?.ack)) {
    contents.acknowledge(record.ack);
    return true;
  }
  contents.outbox.nextSeq = contents.nextSeq;
  if (record?.seq !== contents.outbox.nextSeq || typeof record.packet !== "object" || record.packet === null) {
    return false;
  }
  contents.outbox.push(JSON.stringify(record.packet));
  return true;
}

/**
 * @param {string} incarnation
 * @param {number} nextSeq
 */
export function headerLine(incarnation, nextSeq) {
  return encodeLine(JSON.stringify({ incarnation, next_seq: nextSeq }));
}

/**
 * @param {string} token
 * @param {string | null} status null: forgotten
 */
export function agentLine(token, status) {
  return encodeLine(JSON.stringify({ agent: token, status }));
}

/** @param {string} token */
export function pageLine(token) {
  return encodeLine(JSON.stringify({ page: token }));
}

/** @param {number} seq */
export function ackLine(seq) {
  return encodeLine(JSON.stringify({ ack: seq }));
}

/**
 * @param {number} seq
 * @param {string} text the packet's JSON
 */
export function packetLine(seq, text) {
  return encodeLine(`{"seq":${seq},"packet":${text}}`);
}
