// @ts-check
/** The operator's socket: who holds it, what was sent over it, and what it has yet to be sent. */
import { DeadlineQueue } from "../deadline_queue.js";
import { raw } from "../json_text.js";
import { SERVICE_RESTART } from "../sockets/connection.js";

/** A frame holds packets up to this size together, or one larger packet. */
const PIECE_BYTES = 256 * 1024;

/** How long the answer to a packet that is larger waits at most for the operator's commit. */
const LARGE_PACKET_SECONDS = 2;

/** While this much waits in the socket, the outbox is not read further. */
const MAX_UNSENT_BYTES = 8 * 1024 * 1024;

/** Packets outside the outbox may wait up to this size; then the link is given up, because the operator does not read. */
const MAX_QUEUE_BYTES = 64 * 1024 * 1024;

/** Reports, which may be lost, are discarded when this much waits already. */
const MAX_REPORT_QUEUE_BYTES = 4 * 1024 * 1024;

/** How often a silent operator is asked for a sign of life until it counts as away. */
const PINGS_PER_LIMIT = 3;

/** @typedef {import("../sockets/connection.js").Connection} Connection */
/** @typedef {import("../packets.js").OperatorGreeting} OperatorGreeting */
/** @typedef {import("../json_text.js").Raw} Raw */

/**
 * Sends the operator what it has to know.
 *
 * That is the outbox from its first unacknowledged packet, in order, and packets that need no acknowledgement.
 */
export class OperatorLink {
  #journal;
  #packets;
  #counters;
  #silenceSeconds;
  #commits;
  #monotonic;
  /** @type {Connection | null} */
  #connection = null;
  #awaySince;
  /** @type {(() => void) | null} */
  #onChanged = null;
  /** Number of the next packet of the outbox to send. */
  #cursor = 0;
  /** The outbox as it was when the operator came is sent before anything else. */
  #caughtUpAt = 0;
  /** @type {Raw[]} */
  #queue = [];
  #queueBytes = 0;
  #isFlushScheduled = false;
  #heardAt;
  #isPaused = false;

  /**
   * @param {object} parts
   * @param {import("../journal/journal.js").Journal} parts.journal holds the outbox
   * @param {import("../packets.js").PacketFactory} parts.packets makes packets
   * @param {import("../counters.js").Counters} parts.counters counts packets that nobody could be sent
   * @param {number} parts.silenceSeconds silence after which the operator is away
   * @param {import("./commit_waits.js").CommitWaits} parts.commits answers that wait for the operator's commit
   * @param {() => number} parts.monotonic returns seconds since any fixed moment
   */
  constructor({ journal, packets, counters, silenceSeconds, commits, monotonic }) {
    this.#journal = journal;
    this.#packets = packets;
    this.#counters = counters;
    this.#silenceSeconds = silenceSeconds;
    this.#commits = commits;
    this.#monotonic = monotonic;
    this.#awaySince = this.#heardAt = monotonic();
  }

  /** True while there is an operator. */
  get isAttached() {
    return this.#connection !== null;
  }

  /** Time since there was an operator; 0 while there is one. */
  get awaySeconds() {
    return this.isAttached ? 0 : this.#monotonic() - this.#awaySince;
  }

  /** True if the operator has left in order, and none has come since. */
  get isPaused() {
    return this.#isPaused && !this.isAttached;
  }

  /**
   * Return whether a connection is the operator's.
   *
   * @param {Connection} connection
   * @returns {boolean}
   */
  isHeldBy(connection) {
    return this.#connection === connection;
  }

  /**
   * Make a connection the operator's, in place of the one before it.
   *
   * @param {Connection} connection it has proved that it is the operator's
   * @param {OperatorGreeting} greeting the data of its `alive`
   */
  attach(connection, greeting) {
    if (this.#connection !== connection) this.#connection?.close(SERVICE_RESTART);
    this.#connection = connection;
    this.#isPaused = false;
    this.hear();
    this.#onChanged?.();
    if (greeting.incarnation === this.#journal.incarnation && greeting.acked !== null) {
      this.acknowledge(greeting.acked);
    }
    this.#journal.reopen();
    this.#clearQueue();
    const { outbox } = this.#journal;
    this.#cursor = outbox.firstUnacknowledged ?? outbox.nextSeq;
    this.#caughtUpAt = outbox.nextSeq;
    connection.send(this.#packets.fromRouter("router_state", raw(this.#journal.state)));
    this.flush();
  }

  /**
   * Note that a connection is closed, the operator's or a page's.
   *
   * @param {Connection} connection
   */
  detach(connection) {
    if (this.#connection !== connection) return;
    this.#connection = null;
    this.#awaySince = this.#monotonic();
    this.#commits.giveUpAll();
    this.#clearQueue();
    this.#onChanged?.();
  }

  /**
   * Remove everything up to a number from the outbox: the operator has committed it.
   *
   * @param {number} seq
   */
  acknowledge(seq) {
    this.#journal.acknowledge(seq);
    this.#commits.settle(seq);
  }

  /**
   * Wait until the operator has committed a packet; without an operator, or after a while, no longer.
   *
   * @param {number} seq its number
   * @param {number} length its size. A large one is waited for in any case: whoever sends megabytes again and again sends
   *   the next ones when those before are through, and others get their turn meanwhile.
   */
  async waitCommitted(seq, length) {
    if (!this.isAttached || this.#journal.outbox.acknowledged >= seq) return;
    await this.#commits.wait(seq, length > PIECE_BYTES ? LARGE_PACKET_SECONDS : 0);
  }

  /** Note that the operator is about to leave in order. */
  pause() {
    this.#isPaused = true;
  }

  /** Note a sign of life of the operator. */
  hear() {
    this.#heardAt = this.#monotonic();
  }

  /**
   * From now on drop the connection of an operator that gives no sign of life.
   *
   * An operator that hangs, or whose machine or network died, closes nothing: without this it would count as attached, and
   * nobody would be told.
   */
  watchPulse() {
    setInterval(
      () => {
        if (this.#monotonic() - this.#heardAt >= this.#silenceSeconds) this.#connection?.terminate();
        else this.#connection?.ping();
      },
      (this.#silenceSeconds / PINGS_PER_LIMIT) * 1000,
    ).unref();
  }

  /**
   * Wait until there has been no operator for some time.
   *
   * @param {number} seconds
   * @returns {Promise<void>}
   */
  waitAbandoned(seconds) {
    /** @type {DeadlineQueue<string>} */
    const away = new DeadlineQueue(seconds, this.#monotonic);
    this.#onChanged = () => {
      if (this.isAttached) away.delete("operator");
      else away.set("operator");
    };
    this.#onChanged();
    return new Promise((resolve) => {
      away.watch(() => resolve());
    });
  }

  /**
   * Send a packet that needs no acknowledgement; without an operator it is discarded and counted.
   *
   * If the operator does not read, the link is given up: the next one begins with the present state, so nothing is lost,
   * as it would be if a packet were missing from this one.
   *
   * @param {Raw} packet
   */
  send(packet) {
    if (this.#connection === null) {
      this.#counters.drop("no_operator");
      return;
    }
    if (this.#queueBytes > MAX_QUEUE_BYTES) this.#connection.terminate();
    this.#queue.push(packet);
    this.#queueBytes += packet.length;
    if (this.#isFlushScheduled) return;
    // A turn later: what is sent in the same turn of the event loop shares a frame.
    this.#isFlushScheduled = true;
    setImmediate(() => {
      this.#isFlushScheduled = false;
      this.flush();
    });
  }

  /**
   * Send something that may be lost; it is discarded and counted if the operator reads too slowly.
   *
   * @param {Raw} packet
   */
  report(packet) {
    const waiting = (this.#connection?.unsentBytes ?? 0) + this.#queueBytes;
    if (waiting > MAX_REPORT_QUEUE_BYTES) this.#counters.drop("operator_too_slow");
    else this.send(packet);
  }

  /** Send what can be sent: the outbox first, then the rest. */
  flush() {
    const connection = this.#connection;
    if (connection === null) return;
    const { outbox } = this.#journal;
    while (connection.unsentBytes < MAX_UNSENT_BYTES) {
      const entries = outbox.entriesFrom(this.#cursor, PIECE_BYTES);
      if (entries.length === 0) break;
      this.#cursor = entries[entries.length - 1].seq + 1;
      this.#sendFrame(
        connection,
        entries.map(({ packet, seq }) => this.#packets.numbered(packet, seq)),
      );
    }
    if (this.#cursor < this.#caughtUpAt && outbox.firstUnacknowledged !== null) return;
    while (this.#queue.length > 0 && connection.unsentBytes < MAX_UNSENT_BYTES) {
      this.#sendFrame(connection, this.#takeQueued());
    }
  }

  /** @returns {Raw[]} */
  #takeQueued() {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && (count === 0 || bytes < PIECE_BYTES)) {
      bytes += this.#queue[count].length;
      count += 1;
    }
    this.#queueBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  /**
   * @param {Connection} connection
   * @param {Raw[]} packets
   */
  #sendFrame(connection, packets) {
    connection.send(packets.length === 1 ? packets[0] : `[${packets.join(",")}]`, () => this.flush());
  }

  #clearQueue() {
    this.#queue = [];
    this.#queueBytes = 0;
  }
}
