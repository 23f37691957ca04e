// @ts-check
// The socket of the operator: who holds it, what was sent over it, and what it still has to be sent.
import { performance } from "node:perf_hooks";

import { OPERATOR, encode, outgoing, packetForOperator } from "./packets.js";
import { CLOSE_RESTART } from "./peer.js";

/** @typedef {import("./peer.js").Peer} Peer */

const PING_SECONDS = 20;
/** One frame holds packets up to this size together, or one larger packet. */
const FRAME_BYTES = 256 * 1024;
/** While this much waits in the socket, the outbox is not read further. */
const MAX_UNSENT_BYTES = 8 * 1024 * 1024;
/** Packets outside the outbox that may wait while the outbox is sent to a new operator. */
const MAX_QUEUED_PACKETS = 20_000;

/**
 * Sends the operator what it has to know: the outbox from its first unacknowledged packet, in order, and whatever needs
 * no acknowledgement.
 */
export class OperatorLink {
  /** @type {Peer | null} */
  #peer = null;
  #journal;
  #counters;
  #awaySince = performance.now();
  #onAttach;
  #onAway;

  /** Number of the next packet of the outbox to send. */
  #cursor = 0;
  /** What stood in the outbox at the attach goes out before anything else. */
  #caughtUpAt = 0;
  /** @type {string[]} encoded packets outside the outbox */
  #queue = [];
  #isFlushScheduled = false;
  #isSilent = false;

  /**
   * @param {import("./journal.js").Journal} journal
   * @param {import("./counters.js").Counters} counters
   * @param {{onAttach: () => void, onAway: () => void}} listeners called when an operator comes, and when it is gone
   */
  constructor(journal, counters, { onAttach, onAway }) {
    this.#journal = journal;
    this.#counters = counters;
    this.#onAttach = onAttach;
    this.#onAway = onAway;
    setInterval(() => this.#checkPulse(), PING_SECONDS * 1000).unref();
  }

  get isAttached() {
    return this.#peer !== null;
  }

  /** How long there has been no operator; 0 while there is one. */
  get awaySeconds() {
    return this.isAttached ? 0 : (performance.now() - this.#awaySince) / 1000;
  }

  /** @param {Peer} peer */
  isHeldBy(peer) {
    return this.#peer === peer;
  }

  /**
   * Take a socket that has proved to be the operator's; it replaces the one before.
   *
   * @param {Peer} peer
   * @param {Record<string, any>} greeting the data of its `alive`
   */
  attach(peer, greeting) {
    const previous = this.#peer;
    this.#peer = peer;
    if (previous !== peer) {
      previous?.close(CLOSE_RESTART, "another operator has taken over");
      peer.onPong(() => this.#heard(peer));
    }
    if (greeting.incarnation === this.#journal.incarnation && Number.isSafeInteger(greeting.acked)) {
      this.#journal.acknowledge(greeting.acked);
    }
    this.#isSilent = false;
    this.#journal.reopen();
    this.#queue = [];
    this.#cursor = this.#journal.firstUnacked ?? this.#journal.nextSeq;
    this.#caughtUpAt = this.#journal.nextSeq;
    peer.send(outgoing(encode(packetForOperator("router_state", OPERATOR, this.#journal.state)), null));
    this.#onAttach();
    this.flush();
  }

  /**
   * Note that a socket is closed.
   *
   * @param {Peer} peer
   */
  leave(peer) {
    if (this.#peer !== peer) return;
    this.#peer = null;
    this.#queue = [];
    this.#awaySince = performance.now();
    this.#onAway();
  }

  /**
   * Send a packet that needs no acknowledgement, together with the others of this turn. Without an operator it is
   * dropped and counted.
   *
   * @param {import("./packets.js").Packet} packet
   */
  send(packet) {
    if (!this.isAttached || this.#queue.length >= MAX_QUEUED_PACKETS) {
      this.#counters.drop(this.isAttached ? "operator_too_slow" : "no_operator");
      return;
    }
    this.#queue.push(encode(packet));
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    setImmediate(() => {
      this.#isFlushScheduled = false;
      this.flush();
    });
  }

  /** Send what can be sent: the outbox first, then the rest. */
  flush() {
    const peer = this.#peer;
    if (peer === null) return;
    while (peer.unsentBytes < MAX_UNSENT_BYTES) {
      const packets = this.#journal.packetsFrom(this.#cursor, FRAME_BYTES);
      if (packets.length === 0) break;
      this.#cursor = packets[packets.length - 1].seq + 1;
      this.#sendFrame(
        peer,
        packets.map(({ seq, text }) => outgoing(text, seq)),
      );
    }
    if (this.#cursor < this.#caughtUpAt && this.#journal.firstUnacked !== null) return;
    while (this.#queue.length > 0) this.#sendFrame(peer, this.#takeQueued());
  }

  /** @returns {string[]} */
  #takeQueued() {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && (count === 0 || bytes < FRAME_BYTES)) {
      bytes += this.#queue[count].length;
      count += 1;
    }
    return this.#queue.splice(0, count).map((text) => outgoing(text, null));
  }

  /**
   * @param {Peer} peer
   * @param {string[]} packets
   */
  #sendFrame(peer, packets) {
    peer.send(packets.length === 1 ? packets[0] : `[${packets.join(",")}]`, () => {
      if (this.isHeldBy(peer)) this.flush();
    });
  }

  /** @param {Peer} peer */
  #heard(peer) {
    if (this.isHeldBy(peer)) this.#isSilent = false;
  }

  /** An operator whose machine or network died says nothing: without this it would count as attached for ever. */
  #checkPulse() {
    if (this.#isSilent) this.#peer?.terminate();
    this.#isSilent = this.isAttached;
    this.#peer?.ping();
  }
}
