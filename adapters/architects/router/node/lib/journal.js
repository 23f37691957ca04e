// @ts-check
// The router's memory. What it promised (packets of workers) and what it needs to serve pages after a restart (the
// agents, their statuses, whose page was there) is in one append-only file.
//
// Group commit: while one write and sync is under way everything that arrives waits, and then goes out together with
// the next one. A packet gets its number when it is written, so a failed write uses up none.
import { mkdir, readdir, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";

import { Refused, StartError } from "./errors.js";
import { JournalContents, ackLine, agentLine, headerLine, packetLine, pageLine, readContents } from "./journal_contents.js";
import { JournalFile, syncDirectory } from "./journal_file.js";
import { log } from "./log.js";

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
  #contents;
  #outbox;
  #agents;
  #maxOutboxBytes;
  #isClosed = false;

  /** @type {Waiting[]} */
  #waiting = [];
  #waitingBytes = 0;
  /** @type {Set<string>} agents whose status is not in the file yet */
  #changedAgents = new Set();
  /** @type {Set<string>} agents whose page was there, which is not in the file yet */
  #newPages = new Set();
  #writtenAck;
  /** @type {Promise<void> | null} */
  #committing = null;
  #compactAbove = COMPACT_ABOVE_BYTES;

  /** Called after packets were committed. */
  onCommitted = () => {};

  /**
   * @param {JournalFile} file
   * @param {string} incarnation
   * @param {number} maxOutboxBytes
   * @param {JournalContents} [contents] what the file says
   */
  constructor(file, incarnation, maxOutboxBytes, contents = new JournalContents()) {
    this.#file = file;
    this.#contents = contents;
    this.#outbox = contents.outbox;
    this.#agents = contents.agents;
    this.#writtenAck = contents.acknowledged;
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
      throw new StartError(
        `${directory} holds more than one journal (${journals.join(", ")}): keep the one of this run`,
      );
    }
    if (journals.length === 0) {
      const incarnation = newIncarnation();
      const file = await JournalFile.replace(journalPath(directory, incarnation), headerLine(incarnation, 1));
      await syncDirectory(directory);
      return new Journal(file, incarnation, maxOutboxBytes);
    }
    const incarnation = /** @type {RegExpExecArray} */ (FILE_NAME.exec(journals[0]))[1];
    const { file, text } = await JournalFile.open(journalPath(directory, incarnation));
    try {
      const contents = readContents(text, file.path, incarnation);
      if (contents.size < text.length) {
        log("journal_tail_cut", { bytes: text.length - contents.size });
        await file.cut(contents.size);
      }
      if (contents.size === 0) await file.append(headerLine(incarnation, 1), true);
      return new Journal(file, incarnation, maxOutboxBytes, contents);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Agents that the operator made known, with their statuses. @returns {ReadonlyMap<string, string>} */
  get agents() {
    return this.#agents;
  }

  /** Those of them whose page had a socket. @returns {ReadonlySet<string>} */
  get pages() {
    return this.#contents.pages;
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
    return this.#contents.nextSeq;
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
    if (this.#isClosed || this.#outbox.bytes + this.#waitingBytes + bytes > this.#maxOutboxBytes) {
      return Promise.reject(
        new Refused(507, "The task server can take no more work at the moment. Please try again later."),
      );
    }
    return this.#enqueue(text, bytes);
  }

  /**
   * The operator has everything up to and with `seq`.
   *
   * @param {number} seq
   */
  acknowledge(seq) {
    this.#contents.acknowledge(seq);
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
    this.#contents.pages.delete(token);
    this.#newPages.delete(token);
    this.#changedAgents.add(token);
    this.#wake();
  }

  /**
   * Remember for the next start that an agent's page was there, so that its absence is noticed then.
   *
   * @param {string} token
   */
  notePage(token) {
    if (this.#contents.pages.has(token)) return;
    this.#contents.pages.add(token);
    this.#newPages.add(token);
    this.#wake();
  }

  /** Wait until the agents' statuses as they are now have been written, or could not be. */
  async agentsWritten() {
    if (this.#changedAgents.size > 0 || this.#committing) await this.#enqueue(null, 0);
  }

  /** Take nothing more from workers; fulfilled once all that was taken has been written, or could not be. */
  async drained() {
    this.#isClosed = true;
    await this.#enqueue(null, 0);
  }

  /** Take packets again: another operator has come, which says for itself when it is done. */
  reopen() {
    this.#isClosed = false;
  }

  /** Where the outbox stands, as the operator is told. */
  get state() {
    return {
      incarnation: this.incarnation,
      first_unacked: this.firstUnacked,
      next_seq: this.nextSeq,
      closed: this.#isClosed,
    };
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
    return this.#changedAgents.size > 0 || this.#newPages.size > 0 || this.#contents.acknowledged > this.#writtenAck;
  }

  /** @returns {Promise<boolean>} whether the file took it */
  async #commitBatch() {
    await this.#compactIfWorthwhile();
    const batch = this.#takeBatch();
    const agents = [...this.#changedAgents];
    const pages = [...this.#newPages];
    const acknowledged = this.#contents.acknowledged;
    this.#changedAgents.clear();
    this.#newPages.clear();
    this.#outbox.nextSeq = this.nextSeq;
    const packets = batch.flatMap(({ text }) => (text === null ? [] : [text]));
    try {
      await this.#file.append(this.#lines(agents, pages, acknowledged, packets), packets.length > 0);
    } catch (error) {
      log("journal_write_failed", { code: /** @type {NodeJS.ErrnoException} */ (error).code, packets: packets.length });
      for (const token of agents) this.#changedAgents.add(token);
      for (const token of pages) if (this.pages.has(token)) this.#newPages.add(token);
      const refusal = new Refused(
        503,
        "The task server cannot store anything at the moment. Please try again in a minute.",
      );
      for (const { text, resolve, reject } of batch) {
        if (text === null) resolve();
        else reject(refusal);
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
   * @param {string[]} pages
   * @param {number} acknowledged
   * @param {string[]} packets
   */
  #lines(agents, pages, acknowledged, packets) {
    let lines = agents.map((token) => agentLine(token, this.#agents.get(token) ?? null)).join("");
    for (const token of pages) lines += pageLine(token);
    if (acknowledged > this.#writtenAck) lines += ackLine(acknowledged);
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
    let text = headerLine(this.incarnation, this.firstUnacked ?? this.nextSeq);
    for (const [token, status] of this.#agents) text += agentLine(token, status);
    for (const token of this.pages) text += pageLine(token);
    for (const { seq, text: packet } of this.#outbox.from(0)) text += packetLine(seq, packet);
    try {
      this.#file = await JournalFile.replace(old.path, text);
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
}

/**
 * @param {string} directory
 * @param {string} incarnation
 */
function journalPath(directory, incarnation) {
  return join(directory, `journal-${incarnation}.jsonl`);
}
