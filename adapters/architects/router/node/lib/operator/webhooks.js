// @ts-check
/**
 * Verifies requests of a provider's site, and records that something has happened there.
 *
 * The operator hands over the key. A request proves by its signature that it comes from the site, and by the signed time
 * that it is not an old one sent again; what it says beyond its id is discarded, because the operator asks the site
 * itself.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

import { RefusalError } from "../errors.js";
import { raw } from "../json_text.js";
import { MEPHISTO } from "../packets.js";

/** A request that was signed longer ago may be a recorded one that somebody sends again. */
const MAX_AGE_SECONDS = 300;

/** Clocks differ: so far in the future a request may have been signed. */
const MAX_AHEAD_SECONDS = 60;

const MAX_BODY_BYTES = 64 * 1024;

/** Ids of events that are remembered, so that one that comes again is not recorded again. */
const MAX_REMEMBERED = 1000;

const TIMESTAMP = /^\d{1,12}(?:\.\d{1,6})?$/;
const EVENT_ID = /^[!-~]{1,200}$/;

/** The webhooks of one run's site. */
export class Webhooks {
  #journal;
  #packets;
  #counters;
  /** @type {import("../packets.js").WebhookTerms | null} */
  #terms = null;
  /** @type {Set<string>} ids of events, the latest last */
  #remembered = new Set();

  /**
   * @param {object} parts
   * @param {import("../journal/journal.js").Journal} parts.journal keeps what has happened until the operator has it
   * @param {import("../packets.js").PacketFactory} parts.packets makes packets
   * @param {import("../counters.js").Counters} parts.counters counts what is refused
   */
  constructor({ journal, packets, counters }) {
    this.#journal = journal;
    this.#packets = packets;
    this.#counters = counters;
  }

  /**
   * Accept requests that are signed under some terms, in place of earlier ones.
   *
   * @param {import("../packets.js").WebhookTerms} terms
   */
  expect(terms) {
    this.#terms = terms;
  }

  /** Accept nothing more. */
  forget() {
    this.#terms = null;
  }

  /**
   * Record an event of the site; resolves when it is durable. One that comes again is not recorded again.
   *
   * @param {import("node:http").IncomingHttpHeaders} headers the request's headers, names in lower case
   * @param {Buffer} body the bytes that arrived
   * @throws {RefusalError} the request is not believed; nothing was recorded, nor with the errors of `Journal.record`
   */
  async record(headers, body) {
    const event = this.#verify(headers, body);
    if (this.#remembered.has(event)) return;
    await this.#journal.record(this.#packets.fromWorker("provider_event", MEPHISTO, raw({ event_id: event })));
    this.#remembered.add(event);
    if (this.#remembered.size > MAX_REMEMBERED) {
      const [oldest] = this.#remembered;
      this.#remembered.delete(oldest);
    }
  }

  /**
   * Return the id of the event that a request reports.
   *
   * @param {import("node:http").IncomingHttpHeaders} headers
   * @param {Buffer} body
   * @returns {string}
   */
  #verify(headers, body) {
    const terms = this.#terms;
    if (terms === null) throw this.#refusal(404, "There are no webhooks here.");
    if (body.length > MAX_BODY_BYTES) {
      throw this.#refusal(413, `The body is too large: it may have ${MAX_BODY_BYTES} bytes.`);
    }
    const timestamp = String(headers[terms.timestamp_header] ?? "");
    if (!TIMESTAMP.test(timestamp)) throw this.#refusal(403, "The request has no signed time.");
    const expected = Buffer.from(createHmac("sha256", terms.secret).update(timestamp).update(body).digest("base64"));
    const offered = Buffer.from(String(headers[terms.signature_header] ?? ""));
    if (offered.length !== expected.length || !timingSafeEqual(offered, expected)) {
      throw this.#refusal(403, "The signature is wrong.");
    }
    const age = this.#packets.now() - Number(timestamp);
    if (age > MAX_AGE_SECONDS || age < -MAX_AHEAD_SECONDS) {
      throw this.#refusal(403, "The request was not signed just now.");
    }
    const event = String(headers[terms.event_header] ?? "");
    if (!EVENT_ID.test(event)) throw this.#refusal(400, "The request has no id of its event.");
    return event;
  }

  /**
   * @param {number} status
   * @param {string} sentence
   */
  #refusal(status, sentence) {
    this.#counters.drop("refused_webhook");
    return new RefusalError(status, sentence);
  }
}
