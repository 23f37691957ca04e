// @ts-check
/**
 * Holds the packets that the operator has not acknowledged, in the order of their numbers.
 *
 * Everything in it is on disk already: the journal adds packets once they are.
 */

/**
 * A packet in the outbox: its number, and its JSON text.
 *
 * @typedef {object} OutboxEntry
 * @property {number} seq
 * @property {string} packet
 */

/** Packets from the first unacknowledged one on. */
export class Outbox {
  /** Size of all packets' JSON texts. */
  sizeBytes = 0;
  /** @type {OutboxEntry[]} */
  #entries = [];

  /** @param {number} [nextSeq] the number of the next packet */
  constructor(nextSeq = 1) {
    this.nextSeq = nextSeq;
    /** Highest number that was ever acknowledged. */
    this.acknowledged = nextSeq - 1;
  }

  /** Number of packets. */
  get length() {
    return this.#entries.length;
  }

  /** Number of the oldest packet, or null if there is none. */
  get firstUnacknowledged() {
    return this.#entries.length > 0 ? this.#entries[0].seq : null;
  }

  /**
   * Add a packet under the next number.
   *
   * @param {string} packet
   */
  add(packet) {
    this.#entries.push({ seq: this.nextSeq, packet });
    this.sizeBytes += Buffer.byteLength(packet);
    this.nextSeq += 1;
  }

  /**
   * Remove all packets up to and including a number.
   *
   * An acknowledgement of numbers that were never given out here means that the journal lost its end after the operator
   * had committed it. Numbering continues behind them: no new packet may be taken for one of those.
   *
   * @param {number} seq
   */
  acknowledge(seq) {
    for (const { packet } of this.#entries.splice(0, this.#indexOf(seq + 1))) {
      this.sizeBytes -= Buffer.byteLength(packet);
    }
    this.acknowledged = Math.max(this.acknowledged, seq);
    this.nextSeq = Math.max(this.nextSeq, seq + 1);
  }

  /**
   * Return the packets from a number on until their size reaches `maxBytes`; at least one if there is one.
   *
   * @param {number} seq
   * @param {number} maxBytes
   * @returns {OutboxEntry[]}
   */
  entriesFrom(seq, maxBytes) {
    const start = this.#indexOf(seq);
    let bytes = 0;
    let end = start;
    while (end < this.#entries.length && (end === start || bytes < maxBytes)) {
      bytes += this.#entries[end].packet.length;
      end += 1;
    }
    return this.#entries.slice(start, end);
  }

  /**
   * @param {number} seq
   * @returns {number} index of the first packet with this number or a higher one
   */
  #indexOf(seq) {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#entries[middle].seq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
