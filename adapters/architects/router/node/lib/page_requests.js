// @ts-check
import { Refused } from "./errors.js";
import { OPERATOR, encode, newRequestId, packetForOperator } from "./packets.js";

/** @typedef {import("./packets.js").Packet} Packet */

const MAX_REPORTED_VERSION_LENGTH = 64;
/** Different versions that one operator is told about, each once. */
const MAX_REPORTED_VERSIONS = 20;

/** What pages ask for by HTTP request. Knows nothing of HTTP but the status that goes with a refusal. */
export class PageRequests {
  #journal;
  #agents;
  #requests;
  #link;
  /** @type {Set<string | null>} */
  #reportedVersions = new Set();

  /**
   * @param {object} parts
   * @param {import("./journal.js").Journal} parts.journal
   * @param {import("./agents.js").Agents} parts.agents
   * @param {import("./waiting_requests.js").WaitingRequests} parts.requests
   * @param {import("./operator_link.js").OperatorLink} parts.link
   */
  constructor({ journal, agents, requests, link }) {
    this.#journal = journal;
    this.#agents = agents;
    this.#requests = requests;
    this.#link = link;
  }

  /**
   * Ask the operator for an agent.
   *
   * @param {Record<string, unknown>} providerData
   * @param {unknown} clientTimestamp
   * @returns {{answer: Promise<Packet>, giveUp: () => void}} `giveUp` when the page has gone
   */
  requestAgent(providerData, clientTimestamp) {
    const requestId = newRequestId();
    const data = { provider_data: providerData, request_id: requestId };
    const packet = packetForOperator("register_agent", requestId, data, clientTimestamp);
    const answer = this.#requests.wait(requestId, packet);
    if (this.#link.isAttached) this.#link.send(packet);
    return { answer, giveUp: () => this.#requests.giveUp(requestId) };
  }

  /**
   * Hand in an onboarding and ask the operator for the task's agent.
   *
   * @param {unknown} token
   * @param {unknown} onboardingData
   * @param {unknown} clientTimestamp
   * @returns {Promise<Packet>} the operator's answer, or by the deadline one that asks to try again
   */
  async submitOnboarding(token, onboardingData, clientTimestamp) {
    const requestId = newRequestId();
    await this.submit(
      "submit_onboarding",
      token,
      { onboarding_data: onboardingData, request_id: requestId },
      clientTimestamp,
    );
    return this.#requests.wait(requestId, null);
  }

  /**
   * Take what a worker made, for good.
   *
   * @param {string} packetType
   * @param {unknown} token
   * @param {unknown} data
   * @param {unknown} clientTimestamp
   * @returns {Promise<void>} fulfilled when it is on disk
   * @throws {Refused} 403 for an unknown agent, 507 or 503 when it cannot be stored
   */
  async submit(packetType, token, data, clientTimestamp) {
    const subject = this.knownAgent(token);
    await this.#journal.append(encode(packetForOperator(packetType, subject, data, clientTimestamp)));
  }

  /**
   * Tell the operator of an error in a page; lost when there is no operator.
   *
   * @param {unknown} token null while the page has no agent
   * @param {unknown} errorData
   * @param {unknown} clientTimestamp
   */
  reportError(token, errorData, clientTimestamp) {
    const subject = token === null ? null : this.knownAgent(token);
    this.#link.send(packetForOperator("log_error", subject, { error_data: errorData }, clientTimestamp));
  }

  /**
   * Tell the operator, once, that there are pages that were built for another version of the protocol.
   *
   * @param {string | null} version null: it did not say
   */
  reportVersion(version) {
    const shown = version?.slice(0, MAX_REPORTED_VERSION_LENGTH) ?? null;
    const isNews = !this.#reportedVersions.has(shown) && this.#reportedVersions.size < MAX_REPORTED_VERSIONS;
    if (!isNews || !this.#link.isAttached) return;
    this.#reportedVersions.add(shown);
    this.#link.send(packetForOperator("router_report", OPERATOR, { what: "version_mismatch", version: shown }));
  }

  /** A new operator has been told nothing yet: put the open requests to it, and report versions again. */
  greetOperator() {
    this.#reportedVersions.clear();
    for (const packet of this.#requests.unanswered) this.#link.send(packet);
  }

  /**
   * @param {unknown} token
   * @returns {string}
   * @throws {Refused} when it is nobody's
   */
  knownAgent(token) {
    if (typeof token !== "string") throw new Refused(400, "USED_AGENT_ID is missing: it must be the agent's id.");
    if (!this.#agents.knows(token)) throw new Refused(403, "This agent is not known here. Please reload the page.");
    return token;
  }
}
