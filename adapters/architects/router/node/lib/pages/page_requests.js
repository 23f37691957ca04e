// @ts-check
/** Handles what pages ask for by HTTP request. Knows nothing of HTTP itself. */
import { UnknownAgentError } from "../errors.js";
import { raw, rawObject } from "../json_text.js";
import { FIRST_STATUS } from "./agents.js";

/** Longest part of a client's version that is reported to the operator. */
const MAX_VERSION_LENGTH = 64;

/** Different versions that are reported to one operator, each once. */
const MAX_REPORTED_VERSIONS = 20;

/** Statuses of agents whose work ended without a submission; what is submitted afterwards is late. */
const ENDED_STATUSES = new Set(["disconnect", "timeout", "returned", "expired"]);

/** @typedef {import("../json_text.js").Raw} Raw */
/** @typedef {import("../packets.js").Timestamp} Timestamp */

/** Requests of pages, as packets for the operator. */
export class PageRequests {
  #journal;
  #agents;
  #requests;
  #link;
  #packets;
  #counters;
  #newId;
  /** @type {Set<string | null>} */
  #reportedVersions = new Set();

  /**
   * @param {object} parts
   * @param {import("../journal/journal.js").Journal} parts.journal where what workers made goes
   * @param {import("./agents.js").AgentSessions} parts.agents the known agents
   * @param {import("../operator/waiting_requests.js").WaitingRequests} parts.requests pages that wait for an agent
   * @param {import("../operator/operator_link.js").OperatorLink} parts.link the operator's socket
   * @param {import("../packets.js").PacketFactory} parts.packets makes packets
   * @param {import("../counters.js").Counters} parts.counters counts what is discarded
   * @param {() => string} parts.newId makes request ids
   */
  constructor({ journal, agents, requests, link, packets, counters, newId }) {
    this.#journal = journal;
    this.#agents = agents;
    this.#requests = requests;
    this.#link = link;
    this.#packets = packets;
    this.#counters = counters;
    this.#newId = newId;
  }

  /**
   * Ask the operator for an agent.
   *
   * @param {Raw} providerData
   * @param {Timestamp} clientTimestamp
   * @param {AbortSignal} signal gives the request up
   * @returns {Promise<Raw>} the packet that answers the page, at the deadline one that asks to try again
   */
  async requestAgent(providerData, clientTimestamp, signal) {
    return this.#ask("register_agent", { provider_data: providerData }, clientTimestamp, signal);
  }

  /**
   * Ask the operator for what a worker's own page shows.
   *
   * @param {import("../http/request_bodies.js").WorkerPageBody} body
   * @param {AbortSignal} signal gives the request up
   * @returns {Promise<Raw>} the packet that answers the page, at the deadline one that asks to try again
   */
  async requestWorkerPage({ worker_page, withdraw_consent, receipt, client_timestamp }, signal) {
    /** @type {Record<string, Raw>} */
    const asked = { worker_page: raw(worker_page) };
    if (withdraw_consent !== null) asked.withdraw_consent = raw(withdraw_consent);
    if (receipt !== null) asked.receipt = raw(receipt);
    return this.#ask("request_worker_page", asked, client_timestamp, signal);
  }

  /** Return the answer to a page that asks too often: it may try again later. */
  refuseBusy() {
    this.#counters.drop("rate_limited");
    return this.#packets.busy(this.#newId());
  }

  /**
   * Record an onboarding's result, and wait for the agent it leads to.
   *
   * @param {string} token
   * @param {Raw} onboardingData
   * @param {Timestamp} clientTimestamp
   * @param {AbortSignal} signal ends only the wait
   * @returns {Promise<Raw>} the packet that answers the page, at the deadline one that asks to try again
   * @throws {UnknownAgentError} nothing was recorded, nor with the errors of `Journal.record`
   */
  async submitOnboarding(token, onboardingData, clientTimestamp, signal) {
    const requestId = this.#newId();
    const data = rawObject({ onboarding_data: onboardingData, request_id: raw(requestId) });
    await this.submit("submit_onboarding", token, data, clientTimestamp);
    return this.#waitAnswer(requestId, null, signal);
  }

  /**
   * Record what a worker made; resolves when it is durable, and the operator has committed it or is too slow.
   *
   * @param {string} packetType
   * @param {string} token
   * @param {Raw} data
   * @param {Timestamp} clientTimestamp
   * @returns {Promise<void>}
   * @throws {UnknownAgentError} nothing was recorded, nor with the errors of `Journal.record`
   */
  async submit(packetType, token, data, clientTimestamp) {
    this.checkKnown(token);
    const packet = this.#packets.fromWorker(packetType, token, data, clientTimestamp);
    const seq = await this.#journal.record(packet);
    await this.#link.waitCommitted(seq, packet.length);
  }

  /**
   * Return the status of an agent, as the operator gave it.
   *
   * @param {string} token
   * @returns {string}
   * @throws {UnknownAgentError} no agent has this token
   */
  statusOf(token) {
    this.checkKnown(token);
    return this.#agents.get(token)?.status ?? FIRST_STATUS;
  }

  /**
   * Return whether an agent's work ended without a submission, so that one that comes now is late.
   *
   * @param {string} token
   * @returns {boolean}
   */
  hasEnded(token) {
    return ENDED_STATUSES.has(this.#agents.get(token)?.status ?? FIRST_STATUS);
  }

  /**
   * Send the operator an error that happened in a page; lost if no operator is attached.
   *
   * @param {string | null} token null while the page has no agent
   * @param {Raw} errorData what the page says of the error
   * @param {Timestamp} clientTimestamp when, by the page's clock
   * @throws {UnknownAgentError} no agent has this token
   */
  logError(token, errorData, clientTimestamp) {
    if (token !== null) this.checkKnown(token);
    const data = rawObject({ error_data: errorData });
    this.#link.report(this.#packets.fromWorker("log_error", token, data, clientTimestamp));
  }

  /**
   * Tell the operator, once, that there are pages built for a version that is not supported.
   *
   * @param {string | null} version null if the page did not say
   */
  reportVersion(version) {
    const shown = version?.slice(0, MAX_VERSION_LENGTH) ?? null;
    const isNews = !this.#reportedVersions.has(shown) && this.#reportedVersions.size < MAX_REPORTED_VERSIONS;
    if (!isNews || !this.#link.isAttached) return;
    this.#reportedVersions.add(shown);
    const report = raw({ what: "version_mismatch", version: shown });
    this.#link.report(this.#packets.fromRouter("router_report", report));
  }

  /** Put the open requests to a new operator, and report versions to it again. */
  onOperatorAttached() {
    this.#requests.resume();
    this.#reportedVersions.clear();
    for (const packet of this.#requests.unanswered) this.#link.send(packet);
  }

  /**
   * Refuse a token that no agent has.
   *
   * @param {string} token
   * @throws {UnknownAgentError}
   */
  checkKnown(token) {
    if (this.#agents.get(token) !== null) return;
    this.#counters.drop("unknown_agent");
    throw new UnknownAgentError();
  }

  /**
   * @param {string} packetType
   * @param {Record<string, Raw>} fields
   * @param {Timestamp} clientTimestamp
   * @param {AbortSignal} signal
   */
  async #ask(packetType, fields, clientTimestamp, signal) {
    const requestId = this.#newId();
    const data = rawObject({ ...fields, request_id: raw(requestId) });
    const packet = this.#packets.fromWorker(packetType, requestId, data, clientTimestamp);
    // The updates that this page has sent reach the operator first: it finds its own words in the answer.
    // A submission promises nothing until it is answered, so nobody waits here while megabytes are written.
    await this.#journal.waitUpdatesWritten();
    if (this.#link.isAttached) this.#link.send(packet);
    return this.#waitAnswer(requestId, packet, signal);
  }

  /**
   * @param {string} requestId
   * @param {Raw | null} packet
   * @param {AbortSignal} signal
   */
  async #waitAnswer(requestId, packet, signal) {
    const answer = await this.#requests.wait(requestId, packet, signal);
    // A worker who was given an agent must be known here after a crash, too.
    await this.#journal.waitAgentsWritten();
    return answer;
  }
}
