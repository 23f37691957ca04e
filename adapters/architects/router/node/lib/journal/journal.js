// @ts-check
/**
 * Keeps in one append-only file what the router must not forget.
 *
 * That is what it promised (packets of workers) and what it needs to serve pages after a restart (the agents, their
 * statuses, which of them had a page).
 *
 * Group commit: while one write and sync is under way, everything that arrives waits, and is then written together with
 * the next one. Only then are workers answered and packets sent to the operator: a slow disk delays answers, but never
 * the event loop. A packet gets its number once it is written, so a failed write leaves no gap.
 *
 * A body of megabytes makes a write long. Whoever asks the router for something waits only for a write that the answer
 * depends on.
 */
import { readFile, readdir, unlink } from "node:fs/promises";
import { join } from "node:path";

import { DamagedJournalError, JournalUnwritableError, OutboxFullError, StartError, codeOf } from "../errors.js";
import { ackLine, agentLine, headerLine, packetLine, pageLine, readContents } from "./journal_contents.js";
import { JournalFile } from "./journal_file.js";
import { witnessLine } from "./journal_lines.js";

/** A journal smaller than this is never rewritten. */
const REWRITE_BYTES = 16 * 1024 * 1024;
/** A journal is rewritten when it is this many times as large as the packets it has to keep. */
const REWRITE_FACTOR = 4;

/** @typedef {import("./journal_contents.js").JournalContents} JournalContents */
/** @typedef {() => void} OnCommitted called once packets are durable */
/** @typedef {(error: unknown) => void} OnFailed called with the reason why a batch could not be written */

/** Packets that become durable together, and the promise that is kept then. */
class JournalBatch {
  /** @type {string[]} */
  packets = [];
  isDurable = false;
  /** Number of the first packet, once it is durable. */
  firstSeq = 0;
  /** True if agents became known, changed their status or were forgotten meanwhile. */
  hasAgents = false;
  /** True if it has packets whose senders do not wait for it. */
  hasUpdates = false;
  /** @type {() => void} */
  settle = () => {};
  /** @type {Promise<void>} */
  settled = new Promise((resolve) => {
    this.settle = resolve;
  });
}

/** The durable outbox and the known agents. Nothing is written before `writeBatches` is called. */
export class Journal {
  #file;
  #contents;
  #maxOutboxBytes;
  #rewriteAbove = REWRITE_BYTES;
  #batch = new JournalBatch();
  #waitingBytes = 0;
  /** @type {JournalBatch | null} */
  #inFlight = null;
  /** @type {Map<string, string | null>} */
  #changedAgents = new Map();
  /** @type {Set<string>} */
  #newPages = new Set();
  #writtenAck;
  #witnessedBytes = 0;
  #hasWork = false;
  #isClosed = false;
  /** @type {(() => void) | null} */
  #onDrained = null;
  /** @type {{onCommitted: OnCommitted, onFailed: OnFailed} | null} */
  #listeners = null;
  /** @type {Promise<void> | null} */
  #writing = null;

  /**
   * @param {JournalFile} file the file, whole up to what was read
   * @param {JournalContents} contents what it says
   * @param {number} maxOutboxBytes size of the packets that may wait to be acknowledged
   */
  constructor(file, contents, maxOutboxBytes) {
    this.#file = file;
    this.#contents = contents;
    this.#maxOutboxBytes = maxOutboxBytes;
    this.#writtenAck = contents.outbox.acknowledged;
    /** Names the numbering: packets are told apart by incarnation and number. */
    this.incarnation = contents.incarnation;
    /** What is durable and not acknowledged. */
    this.outbox = contents.outbox;
    /** @type {ReadonlyMap<string, string>} the status of each known agent */
    this.agents = contents.agents;
    /** @type {ReadonlySet<string>} the known agents whose page had a socket */
    this.pages = contents.pages;
  }

  /**
   * Open the journal of a data directory, or begin one; a torn end is cut off.
   *
   * @param {string} directory
   * @param {{maxOutboxBytes: number, newIncarnation: () => string}} options
   * @returns {Promise<Journal>}
   * @throws {StartError} the journal is damaged, there are several, or files cannot be used
   */
  static async open(directory, { maxOutboxBytes, newIncarnation }) {
    let path = "";
    try {
      const names = await readdir(directory);
      for (const name of names) if (name.endsWith(".jsonl.new")) await unlink(join(directory, name));
      const found = names.filter((name) => /^journal-.+\.jsonl$/.test(name));
      if (found.length > 1) {
        throw new StartError(
          `${directory} holds more than one journal (${found.join(", ")}): keep the one of this run.`,
        );
      }
      const incarnation = newIncarnation();
      path = join(directory, found[0] ?? `journal-${incarnation}.jsonl`);
      if (found.length === 0) await JournalFile.create(path, headerLine(incarnation, 1));
      const contents = readContents(await readFile(path));
      return new Journal(await JournalFile.open(path, contents.sizeBytes), contents, maxOutboxBytes);
    } catch (error) {
      if (error instanceof StartError) throw error;
      if (error instanceof DamagedJournalError) {
        throw new StartError(
          `The journal ${path} cannot be used: ${error.message}. Restore it from a copy, or start with an empty data` +
            " directory.",
        );
      }
      throw new StartError(`The data directory ${directory} cannot be used: ${codeOf(error)}.`);
    }
  }

  /**
   * Accept a packet of a worker.
   *
   * @param {string} packet its JSON, on one line
   * @returns {Promise<number>} its number, once it is durable
   * @throws {OutboxFullError} it was not accepted, because too much waits for the operator
   * @throws {JournalUnwritableError} it was not accepted, because writing failed
   */
  async record(packet) {
    const batch = this.#accept(packet);
    const index = batch.packets.length - 1;
    await batch.settled;
    if (!batch.isDurable) throw new JournalUnwritableError();
    return batch.firstSeq + index;
  }

  /**
   * Accept a packet of a worker without waiting for the disk.
   *
   * @param {string} packet
   * @throws {OutboxFullError} it was not accepted
   */
  recordNowait(packet) {
    this.#accept(packet).hasUpdates = true;
  }

  /**
   * Remember an agent's status.
   *
   * @param {string} token
   * @param {string | null} status null forgets the agent
   */
  noteAgent(token, status) {
    if (status === null) {
      this.#contents.forgetAgent(token);
      this.#newPages.delete(token);
    } else {
      this.#contents.agents.set(token, status);
    }
    this.#changedAgents.set(token, status);
    this.#batch.hasAgents = true;
    this.#wake();
  }

  /**
   * Remember that an agent's page was there, so that its absence is noticed after a restart.
   *
   * @param {string} token
   */
  notePage(token) {
    if (this.pages.has(token)) return;
    this.#contents.pages.add(token);
    this.#newPages.add(token);
    this.#wake();
  }

  /** Wait until all packets accepted by `recordNowait` so far were written, or could not be. */
  async waitUpdatesWritten() {
    await this.#waitSettled((batch) => batch.hasUpdates);
  }

  /** Wait until all agents noted so far were written, or could not be. */
  async waitAgentsWritten() {
    await this.#waitSettled((batch) => batch.hasAgents);
  }

  /**
   * Remove everything up to a number from the outbox: the operator has committed it.
   *
   * @param {number} seq
   */
  acknowledge(seq) {
    this.outbox.acknowledge(seq);
    this.#wake();
  }

  /**
   * Accept nothing more.
   *
   * @param {() => void} onDrained called once all that was accepted has been written, or could not be
   */
  drain(onDrained) {
    this.#isClosed = true;
    this.#onDrained = onDrained;
    this.#wake();
  }

  /** Accept packets again: another operator has come, and will drain when it is done. */
  reopen() {
    this.#isClosed = false;
    this.#onDrained = null;
  }

  /** Data of `router_state`: the state of the outbox. */
  get state() {
    return {
      incarnation: this.incarnation,
      first_unacked: this.outbox.firstUnacknowledged,
      next_seq: this.outbox.nextSeq,
      closed: this.#isClosed,
    };
  }

  /**
   * From now on write what waits, batch by batch.
   *
   * @param {OnCommitted} onCommitted
   * @param {OnFailed} onFailed
   */
  writeBatches(onCommitted, onFailed) {
    this.#listeners = { onCommitted, onFailed };
    if (this.#hasWork) this.#wake();
  }

  /** Write what still waits, and close the file. */
  async close() {
    if (this.#hasWork) this.#wake();
    while (this.#writing) await this.#writing;
    await this.#file.close();
  }

  /**
   * Wait for the last batch that matters; those before it are settled earlier.
   *
   * @param {(batch: JournalBatch) => boolean} matters
   */
  async #waitSettled(matters) {
    for (const batch of [this.#batch, this.#inFlight]) {
      if (batch === null || !matters(batch)) continue;
      await batch.settled;
      return;
    }
  }

  /**
   * @param {string} packet
   * @returns {JournalBatch}
   */
  #accept(packet) {
    const bytes = Buffer.byteLength(packet);
    if (this.#isClosed || this.outbox.sizeBytes + this.#waitingBytes + bytes > this.#maxOutboxBytes) {
      throw new OutboxFullError();
    }
    this.#waitingBytes += bytes;
    this.#batch.packets.push(packet);
    this.#wake();
    return this.#batch;
  }

  #wake() {
    this.#hasWork = true;
    if (this.#listeners === null) return;
    // A turn later: what arrives in the same turn of the event loop shares a write.
    this.#writing ??= new Promise((resolve) => {
      setImmediate(() => this.#writeAll().then(resolve));
    });
  }

  async #writeAll() {
    while (this.#hasWork) {
      this.#hasWork = false;
      await this.#writeBatch();
    }
    this.#writing = null;
  }

  async #writeBatch() {
    const batch = this.#batch;
    this.#batch = new JournalBatch();
    this.#inFlight = batch;
    const agents = this.#changedAgents;
    this.#changedAgents = new Map();
    const pages = this.#newPages;
    this.#newPages = new Set();
    try {
      await this.#append(agents, pages, batch.packets);
      batch.isDurable = true;
      batch.firstSeq = this.outbox.nextSeq;
      for (const packet of batch.packets) this.outbox.add(packet);
    } catch (error) {
      this.#changedAgents = new Map([...agents, ...this.#changedAgents]);
      this.#batch.hasAgents ||= batch.hasAgents;
      for (const token of pages) if (this.pages.has(token)) this.#newPages.add(token);
      this.#listeners?.onFailed(error);
    }
    for (const packet of batch.packets) this.#waitingBytes -= Buffer.byteLength(packet);
    this.#inFlight = null;
    if (batch.isDurable && batch.packets.length > 0) this.#listeners?.onCommitted();
    batch.settle();
    if (this.#onDrained !== null && this.#batch.packets.length === 0) {
      this.#onDrained();
      this.#onDrained = null;
    }
    await this.#rewriteIfWorthwhile();
  }

  /**
   * @param {Map<string, string | null>} agents
   * @param {Set<string>} pages
   * @param {string[]} packets
   */
  async #append(agents, pages, packets) {
    let firstSeq = 0;
    // An operator may come meanwhile that has seen these numbers already: then the packets are written with others.
    while (firstSeq !== this.outbox.nextSeq) {
      const { acknowledged, nextSeq } = this.outbox;
      firstSeq = nextSeq;
      const { syncedBytes } = this.#file;
      const lines = syncedBytes === this.#witnessedBytes ? [] : [witnessLine(syncedBytes)];
      for (const [token, status] of agents) lines.push(agentLine(token, status));
      for (const token of pages) lines.push(pageLine(token));
      if (acknowledged > this.#writtenAck) lines.push(ackLine(acknowledged));
      packets.forEach((packet, index) => lines.push(packetLine(nextSeq + index, packet)));
      await this.#file.append(lines.join(""), { durably: packets.length > 0 });
      this.#writtenAck = acknowledged;
      this.#witnessedBytes = syncedBytes;
    }
  }

  /** Replace a large file by one with only what still counts. */
  async #rewriteIfWorthwhile() {
    const isMostlyPast = REWRITE_FACTOR * this.outbox.sizeBytes < this.#file.sizeBytes;
    if (!isMostlyPast || this.#file.sizeBytes <= this.#rewriteAbove) return;
    const kept = this.outbox.entriesFrom(0, Infinity);
    const lines = [headerLine(this.incarnation, kept[0]?.seq ?? this.outbox.nextSeq)];
    for (const [token, status] of this.agents) lines.push(agentLine(token, status));
    for (const token of this.pages) lines.push(pageLine(token));
    for (const { seq, packet } of kept) lines.push(packetLine(seq, packet));
    // A file that cannot be shortened now is still good, and grows until the next attempt.
    await this.#file.replace(lines.join("")).catch(() => {});
    this.#rewriteAbove = Math.max(REWRITE_BYTES, REWRITE_FACTOR * this.#file.sizeBytes);
  }
}
