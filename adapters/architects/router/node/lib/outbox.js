// @ts-check

/**
 * The packets that the operator has not acknowledged, in the order of their numbers.
 *
 * Everything in here is on disk already; the journal puts it in.
 */
export class Outbox {
  /** @type {{seq: number, text: string, bytes: number}[]} */
  #packets = [];
  #bytes = 0;

  /** Number that the next packet gets. */
  nextSeq = 1;

  get length() {
    return this.#packets.length;
  }

  /** Size of all packets' JSON texts. */
  get bytes() {
    return this.#bytes;
  }

  /** Number of the oldest packet; null when there is none. */
  get firstUnacked() {
    return this.#packets.length > 0 ? this.#packets[0].seq : null;
  }

  /**
   * Add a packet under the next number.
   *
   * @param {string} text the packet's JSON
   */
  push(text) {
    const bytes = Buffer.byteLength(text);
    this.#packets.push({ seq: this.nextSeq, text, bytes });
    this.#bytes += bytes;
    this.nextSeq += 1;
  }

  /**
   * Forget all packets up to and with `seq`.
   *
   * @param {number} seq
   */
  acknowledge(seq) {
    let count = 0;
    while (count < this.#packets.length && this.#packets[count].seq <= seq) {
      this.#bytes -= this.#packets[count].bytes;
      count += 1;
    }
    this.#packets.splice(0, count);
  }

  /**
   * The packets from `seq` on, until their size passes `maxBytes`; at least one if there is one.
   *
   * @param {number} seq
   * @param {number} [maxBytes]
   * @returns {{seq: number, text: string}[]}
   */
  from(seq, maxBytes = Infinity) {
    let start = this.#packets.length;
    // Numbers only rise, so a packet sits no further from the first one than their numbers are apart.
    if (start > 0) start = Math.max(0, Math.min(start, seq - this.#packets[0].seq));
    while (start > 0 && this.#packets[start - 1].seq >= seq) start -= 1;
    let bytes = 0;
    let end = start;
    while (end < this.#packets.length && (end === start || bytes < maxBytes)) {
      bytes += this.#packets[end].bytes;
      end += 1;
    }
    return this.#packets.slice(start, end);
  }
}
