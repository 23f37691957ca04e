// @ts-check
/**
 * Puts the parts of the operator's large packets together.
 *
 * What a page gets when it is loaded again can be larger than any frame. So the operator sends such a packet in parts that
 * follow each other, up to a size that both sides know.
 */
import { MalformedJsonError } from "../errors.js";

/** Characters of the largest packet that is accepted in parts. */
const MAX_PACKET_LENGTH = 32 * 2 ** 20;

/** The parts of one packet that have arrived. */
export class PartAssembler {
  /** @type {string[]} */
  #texts = [];
  #length = 0;

  /**
   * Add the next part.
   *
   * @param {import("../packets.js").PacketPart} part
   * @returns {string | null} the whole text if it was the last part
   * @throws {MalformedJsonError} it does not follow the one before, or the packet is too large. What there was of the
   *   packet is discarded.
   */
  add({ index, count, text }) {
    if (index === 0) this.clear();
    const follows = index === this.#texts.length && index < count;
    this.#texts.push(text);
    this.#length += text.length;
    if (!follows || this.#length > MAX_PACKET_LENGTH) {
      this.clear();
      throw new MalformedJsonError(follows ? "the packet is too large" : "a part is missing");
    }
    if (this.#texts.length < count) return null;
    const whole = this.#texts.join("");
    this.clear();
    return whole;
  }

  /** Discard the parts: those that are missing will not come any more. */
  clear() {
    this.#texts = [];
    this.#length = 0;
  }
}
