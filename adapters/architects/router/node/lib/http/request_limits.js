// @ts-check
/**
 * Limits how often an address or a worker may ask for an agent, and how often an address may report an error.
 *
 * Clients on this machine are exempt: simulated crowds and benchmarks come from there.
 */
import { RateLimiter } from "../rate_limiter.js";
import { clientAddress } from "./client_address.js";

/** Errors that pages at one address may report at once, and in each second after that. */
const MAX_REPORTS = 20;
const REPORTS_PER_SECOND = 0.5;

/** @typedef {import("node:http").IncomingMessage} IncomingMessage */

/** The rates of requests. */
export class RequestLimits {
  #trustedProxies;
  #addresses;
  #workers;
  #reports;

  /**
   * @param {import("../settings.js").RouterSettings} settings the rates
   * @param {() => number} monotonic returns seconds since any fixed moment
   */
  constructor(settings, monotonic) {
    this.#trustedProxies = settings.trustedProxies;
    this.#addresses = new RateLimiter(settings.maxRequestsPerAddress, settings.requestsPerSecondPerAddress, monotonic);
    this.#workers = new RateLimiter(settings.maxRequestsPerWorker, settings.requestsPerSecondPerWorker, monotonic);
    this.#reports = new RateLimiter(MAX_REPORTS, REPORTS_PER_SECOND, monotonic);
  }

  /**
   * Count a request for an agent.
   *
   * @param {IncomingMessage} request
   * @param {string} workerName
   * @returns {boolean} whether it may be put to the operator
   */
  allowRequest(request, workerName) {
    const address = clientAddress(request, this.#trustedProxies);
    return address.isLocal || (this.#addresses.allows(address.key) && this.#workers.allows(workerName));
  }

  /**
   * Count an error report of a page.
   *
   * @param {IncomingMessage} request
   * @returns {boolean} whether it may be passed on
   */
  allowReport(request) {
    const address = clientAddress(request, this.#trustedProxies);
    return address.isLocal || this.#reports.allows(address.key);
  }
}
