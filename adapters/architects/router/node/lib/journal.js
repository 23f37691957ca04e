// @ts-check
// The router's memory. What it promised (packets of workers) and what it needs to serve pages after a restart (the
// agents and their statuses) is in one append-only file.
//
// Group commit: while one write and sync is under way everything that arrives waits, and then goes out together with
// the next one. A packet gets its number when it is written, so a failed write uses up none.
import { mkdir, readdir, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";

import { Refused, StartError } from "./errors.js";
import { JournalFile, syncDirectory } from "./journal_file.js";
import { decodeLines, encodeLine } from "./journal_lines.js";
import { log } from "./log.js";
import { Outbox } from "./outbox.js";

const FILE_NAME = /^journal-(.+)\.jsonl$/;
const COMPACT_ABOVE_BYTES = 16 * 1024 * 1024;
/** A fresh file is worth its cost when the old one is this many times larger. */
const COMPACT_RATIO = 4;
const MAX_BATCH_PACKETS = 4096;
const MAX_BATCH_BYTES = 16 * 1024 * 1024;

/**
 * @typedef {object} Waiting
 * @property {string | null} text a packet's JSON; null: only waits for the notes before it
 * @property {number} bytes
 * @property {() => void} resolve
 * @property {(error: Error) => void} reject
 */

/** The durable outbox and the agents' statuses. */
export class Journal {
  /** @type {JournalFile} */
  #file;
  #outbox = new Outbox();
  /** @type {Map<string, string>} */
  #agents = new Map();
  #maxOutboxBytes;

  /** @type {Waiting[]} */
  #waiting = [];
  #waitingBytes = 0;
  /** @type {Set<string>} agents whose status is not in the file yet */
  #changedAgents = new Set();
  #acknowledged = 0;
  #writtenAck = 0;
  /** @type {Promise<void> | null} */
  #committing = null;
  #compactAbove = COMPACT_ABOVE_BYTES;

  /** Called after packets were committed. */
  onCommitted = () => {};

  /**
   * @param {JournalFile} file
   * @param {string} incarnation
   * @param {number} maxOutboxBytes
   */
  constructor(file, incarnation, maxOutboxBytes) {
    this.#file = file;
    this.#maxOutboxBytes = maxOutboxBytes;
    /** Names the numbering: packets are told apart by incarnation and number. */
    this.incarnation = incarnation;
  }

  /**
   * Open the journal of a data directory, or start one.
   *
   * @param {string} directory created if missing
   * @param {{maxOutboxBytes: number, newIncarnation: () => string}} options
   * @returns {Promise<Journal>}
   * @throws {StartError} when the file is damaged before its last line
   */
  static async open(directory, { maxOutboxBytes, newIncarnation }) {
    await mkdir(directory, { recursive: true });
    const names = await readdir(directory);
    for (const name of names) {
      if (name.endsWith(".jsonl.new")) await unlink(join(directory, name));
    }
    const journals = names.filter((name) => FILE_NAME.test(name));
    if (journals.length > 1) {
      throw new StartError(`${directory} holds more than one journal (${journals.join(", ")}): keep the one of this run`);
    }
    if (journals.length === 0) {
      const incarnation = newIncarnation();
      const file = await JournalFile.replace(join(directory, `journal-${incarnation}.jsonl`), header(incarnation, 1));
      await syncDirectory(directory);
      return new Journal(file, incarnation, maxOutboxBytes);
    }
    const { file, content } = await JournalFile.open(join(directory, journals[0]));
    const incarnation = /** @type {RegExpExecArray} */ (FILE_NAME.exec(journals[0]))[1];
    const journal = new Journal(file, incarnation, maxOutboxBytes);
    try {
      await journal.#recover(content);
    } catch (error) {
      await file.close();
      throw error;
    }
    return journal;
  }

  /** Agents that the operator made known, with their statuses. @returns {ReadonlyMap<string, string>} */
  get agents() {
    return this.#agents;
  }

  /** Unacknowledged packets: how many, and their size. */
  get outboxSize() {
    return { length: this.#outbox.length, bytes: this.#outbox.bytes };
  }

  /** Number of the oldest unacknowledged packet, or null. */
  get firstUnacked() {
    return this.#outbox.firstUnacked;
  }

  /** Number of the next packet. */
  get nextSeq() {
    return Math.max(this.#outbox.nextSeq, this.#acknowledged + 1);
  }

  /**
   * Committed, unacknowledged packets from a number on.
   *
   * @param {number} seq
   * @param {number} maxBytes
   */
  packetsFrom(seq, maxBytes) {
    return this.#outbox.from(seq, maxBytes);
  }

  /**
   * Commit a packet of a worker.
   *
   * @param {string} text the packet's JSON
   * @returns {Promise<void>} fulfilled when it is on disk
   * @throws {Refused} 507 when the outbox is full, 503 when writing fails; then nothing was accepted
   */
  append(text) {
    const bytes = Buffer.byteLength(text);
    if (this.#outbox.bytes + this.#waitingBytes + bytes > this.#maxOutboxBytes) {
      return Promise.reject(new Refused(507, "The task server can take no more work at the moment. Please try again later."));
    }
    return this.#enqueue(text, bytes);
  }

  /**
   * The operator has everything up to and with `seq`.
   *
   * A number that was never given out means that this file lost its end after the operator had committed it; the
   * numbering goes on behind it, so that no new packet is taken for one of those.
   *
   * @param {number} seq
   */
  acknowledge(seq) {
    if (seq <= this.#acknowledged) return;
    this.#acknowledged = seq;
    this.#outbox.acknowledge(seq);
    this.#wake();
  }

  /**
   * Make an agent known, or note its new status.
   *
   * @param {string} token
   * @param {string} status
   */
  setAgent(token, status) {
    if (this.#agents.get(token) === status) return;
    this.#agents.set(token, status);
    this.#changedAgents.add(token);
    this.#wake();
  }

  /**
   * Forget an agent.
   *
   * @param {string} token
   */
  forgetAgent(token) {
    if (!this.#agents.delete(token)) return;
    this.#changedAgents.add(token);
    this.#wake();
  }

  /** Wait until the agents' statuses as they are now have been written, or could not be. */
  async agentsWritten() {
    if (this.#changedAgents.size > 0 || this.#committing) await this.#enqueue(null, 0);
  }

  /** Finish what is under way, sync and close. */
  async close() {
    while (this.#committing) await this.#committing;
    await this.#file.close();
  }

  /**
   * @param {string | null} text
   * @param {number} bytes
   * @returns {Promise<void>}
   */
  #enqueue(text, bytes) {
    return new Promise((resolve, reject) => {
      this.#waitingBytes += bytes;
      this.#waiting.push({ text, bytes, resolve, reject });
      this.#wake();
    });
  }

  #wake() {
    // A turn later: what arrives in the same turn of the event loop shares a commit.
    this.#committing ??= new Promise((resolve) => {
      setImmediate(() => this.#commitAll().then(resolve));
    });
  }

  async #commitAll() {
    let written = true;
    while (this.#waiting.length > 0 || (written && this.#hasNotes())) {
      written = await this.#commitBatch();
    }
    this.#committing = null;
  }

  #hasNotes() {
    return this.#changedAgents.size > 0 || this.#acknowledged > this.#writtenAck;
  }

  /** @returns {Promise<boolean>} whether the file took it */
  async #commitBatch() {
    await this.#compactIfWorthwhile();
    const batch = this.#takeBatch();
    const agents = [...this.#changedAgents];
    const acknowledged = this.#acknowledged;
    this.#changedAgents.clear();
    this.#outbox.nextSeq = this.nextSeq;
    const packets = batch.flatMap(({ text }) => (text === null ? [] : [text]));
    try {
      await this.#file.append(this.#lines(agents, acknowledged, packets), packets.length > 0);
    } catch (error) {
      log("journal_write_failed", { code: /** @type {NodeJS.ErrnoException} */ (error).code, packets: packets.length });
      for (const token of agents) this.#changedAgents.add(token);
      for (const { text, resolve, reject } of batch) {
        if (text === null) resolve();
        else reject(new Refused(503, "The task server cannot store anything at the moment. Please try again in a minute."));
      }
      return false;
    }
    this.#writtenAck = acknowledged;
    for (const text of packets) this.#outbox.push(text);
    for (const { resolve } of batch) resolve();
    if (packets.length > 0) this.onCommitted();
    return true;
  }

  /** @returns {Waiting[]} */
  #takeBatch() {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && count < MAX_BATCH_PACKETS && bytes < MAX_BATCH_BYTES) {
      bytes += this.#waiting[count].bytes;
      count += 1;
    }
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, count);
  }

  /**
   * @param {string[]} agents
   * @param {number} acknowledged
   * @param {string[]} packets
   */
  #lines(agents, acknowledged, packets) {
    let lines = agents.map((token) => agentLine(token, this.#agents.get(token) ?? null)).join("");
    if (acknowledged > this.#writtenAck) lines += encodeLine(JSON.stringify({ ack: acknowledged }));
    packets.forEach((text, index) => {
      lines += packetLine(this.#outbox.nextSeq + index, text);
    });
    return lines;
  }

  /** Put a fresh file, with only what still counts, in the place of a large one. */
  async #compactIfWorthwhile() {
    const size = this.#file.size;
    if (size <= this.#compactAbove || this.#outbox.bytes * COMPACT_RATIO > size) return;
    const old = this.#file;
    let content = header(this.incarnation, this.firstUnacked ?? this.nextSeq);
    for (const [token, status] of this.#agents) content += agentLine(token, status);
    for (const { seq, text } of this.#outbox.from(0)) content += packetLine(seq, text);
    try {
      this.#file = await JournalFile.replace(old.path, content);
      this.#compactAbove = Math.max(COMPACT_ABOVE_BYTES, this.#file.size * COMPACT_RATIO);
    } catch (error) {
      // The old file is still good; try again when it has grown as much once more.
      this.#compactAbove = size + COMPACT_ABOVE_BYTES;
      log("journal_compaction_failed", { code: /** @type {NodeJS.ErrnoException} */ (error).code });
      return;
    }
    // Fails for good, and ends the process: nothing may be promised in a file that a crash could take back.
    await syncDirectory(dirname(old.path));
    await old.close();
  }

  /** @param {Buffer} content */
  async #recover(content) {
    let end = 0;
    for (const line of decodeLines(content, this.#file.path)) {
      if (!this.#replay(/** @type {any} */ (line.record), line.line === 1)) {
        throw new StartError(`${this.#file.path}, line ${line.line} is not a journal record that can stand there: use a data directory of this run`);
      }
      end = line.end;
    }
    this.#writtenAck = this.#acknowledged;
    if (end < content.length) {
      log("journal_tail_cut", { bytes: content.length - end });
      await this.#file.cut(end);
    }
    if (end === 0) await this.#file.append(header(this.incarnation, 1), true);
  }

  /**
   * @param {any} record
   * @param {boolean} first
   * @returns {boolean} false when the record makes no sense there
   */
  #replay(record, first) {
    if (typeof record !== "object" || record === null) return false;
    if (first) {
      this.#outbox.nextSeq = record.next_seq;
      this.#acknowledged = record.next_seq - 1;
      return record.incarnation === this.incarnation && Number.isSafeInteger(record.next_seq);
    }
    if (typeof record.agent === "string") {
      if (typeof record.status === "string") this.#agents.set(record.agent, record.status);
      else this.#agents.delete(record.agent);
      return record.status === null || typeof record.status === "string";
    }
    if (Number.isSafeInteger(record.ack)) {
      this.#acknowledged = Math.max(this.#acknowledged, record.ack);
      this.#outbox.acknowledge(record.ack);
      return true;
    }
    this.#outbox.nextSeq = this.nextSeq;
    if (record.seq !== this.#outbox.nextSeq || typeof record.packet !== "object" || record.packet === null) return false;
    this.#outbox.push(JSON.stringify(record.packet));
    return true;
  }
}

/**
 * @param {string} incarnation
 * @param {number} nextSeq
 */
function header(incarnation, nextSeq) {
  return encodeLine(JSON.stringify({ incarnation, next_seq: nextSeq }));
}

/**
 * @param {string} token
 * @param {string | null} status null: forgotten
 */
function agentLine(token, status) {
  return encodeLine(JSON.stringify({ agent: token, status }));
}

/**
 * @param {number} seq
 * @param {string} text the packet's JSON
 */
function packetLine(seq, text) {
  return encodeLine(`{"seq":${seq},"packet":${text}}`);
}
