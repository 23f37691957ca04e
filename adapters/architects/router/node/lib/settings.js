// @ts-check
/**
 * Reads the router's settings from the environment, and checks them once at the start.
 *
 * Everything comes from the environment because command lines can be read by every user of the machine.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync, statSync } from "node:fs";

import { StartError, codeOf } from "./errors.js";

const PREFIX = "MEPHISTO_ROUTER_";
const MIB = 1024 * 1024;
const MAX_PORT = 65_535;

/**
 * All settings; each variable is the field's name in capitals, behind `PREFIX` except for host and port.
 *
 * @typedef {object} RouterSettings
 * @property {string} static directory of the page: index.html, bundle.js, wrap_crowd_source.js, task_config.json;
 *   without it the operator sends the page
 * @property {string} data directory of the journal and the uploads
 * @property {number | null} fd number of an inherited listening socket; without it `host` and `port` are bound
 * @property {string} version release of the package that the router is part of
 * @property {string} host
 * @property {number} port 0 takes any free port
 * @property {number} requestDeadlineSeconds how long a page waits for the operator before it is asked to try again
 * @property {number} operatorGraceSeconds how long pages are kept alive while no operator is attached
 * @property {number} operatorSilenceSeconds silence after which an attached operator counts as away
 * @property {number} heartbeatLimitSeconds silence (or absence) after which an agent is reported as disconnected
 * @property {number} orphanSeconds time without an operator after which the process ends itself
 * @property {number} commitWaitSeconds how long the answer to a submission waits for the operator's commit; then the
 *   journal's word has to do
 * @property {number} idleSeconds how long a client may pause: before the head of a request, within its body, before a
 *   socket's first packet
 * @property {number} maxBodyBytes size of a JSON body, and of all text fields of a form together
 * @property {number} maxUploadBytes size of a form including its files
 * @property {number} maxPacketBytes size of one WebSocket message from a page
 * @property {number} maxOutboxBytes size of all packets that wait for the operator's acknowledgement
 * @property {number} maxSockets sockets that may be open at once
 * @property {number} maxKeptPerAgent live updates kept for one agent while its socket is down
 * @property {number} trustedProxies web servers of ours in front, each of which adds to `X-Forwarded-For` for whom it asks
 * @property {number} maxRequestsPerAddress requests for an agent that may come from one address at once ...
 * @property {number} requestsPerSecondPerAddress ... and in each second after that
 * @property {number} maxRequestsPerWorker requests for an agent that may come for one worker at once ...
 * @property {number} requestsPerSecondPerWorker ... and in each second after that
 */

/** The run's secret: it can be compared, but not displayed. */
export class Secret {
  #digest;

  /** @param {string} value */
  constructor(value) {
    this.#digest = digest(value);
  }

  /**
   * Compare a text with the secret, in a time that does not depend on where they differ.
   *
   * @param {unknown} offered
   * @returns {boolean}
   */
  matches(offered) {
    return typeof offered === "string" && timingSafeEqual(digest(offered), this.#digest);
  }
}

/**
 * Build the settings from environment variables.
 *
 * @param {NodeJS.ProcessEnv} env
 * @returns {Readonly<RouterSettings>}
 * @throws {StartError} a variable is missing or has an impossible value, or the page's directory does not exist
 */
export function readSettings(env) {
  return Object.freeze({
    static: pageDirectory(env),
    data: required(env, "DATA", "the directory of the journal and the uploads"),
    fd: env[`${PREFIX}FD`] === undefined ? null : integer(env, `${PREFIX}FD`, 0, 0),
    version: env[`${PREFIX}VERSION`] ?? "",
    host: env.HOST || "127.0.0.1",
    port: integer(env, "PORT", 0, 0, MAX_PORT),
    requestDeadlineSeconds: positive(env, "REQUEST_DEADLINE_SECONDS", 25),
    operatorGraceSeconds: positive(env, "OPERATOR_GRACE_SECONDS", 600),
    operatorSilenceSeconds: positive(env, "OPERATOR_SILENCE_SECONDS", 30),
    heartbeatLimitSeconds: positive(env, "HEARTBEAT_LIMIT_SECONDS", 15),
    orphanSeconds: positive(env, "ORPHAN_SECONDS", 3600),
    commitWaitSeconds: positive(env, "COMMIT_WAIT_SECONDS", 0, { orZero: true }),
    idleSeconds: positive(env, "IDLE_SECONDS", 75),
    maxBodyBytes: amount(env, "MAX_BODY_BYTES", 10 * MIB),
    maxUploadBytes: amount(env, "MAX_UPLOAD_BYTES", 1024 * MIB),
    maxPacketBytes: amount(env, "MAX_PACKET_BYTES", MIB),
    maxOutboxBytes: amount(env, "MAX_OUTBOX_BYTES", 256 * MIB),
    maxSockets: amount(env, "MAX_SOCKETS", 10_000),
    maxKeptPerAgent: amount(env, "MAX_KEPT_PER_AGENT", 1000),
    trustedProxies: integer(env, `${PREFIX}TRUSTED_PROXIES`, 0, 0),
    maxRequestsPerAddress: amount(env, "MAX_REQUESTS_PER_ADDRESS", 120),
    requestsPerSecondPerAddress: positive(env, "REQUESTS_PER_SECOND_PER_ADDRESS", 4),
    maxRequestsPerWorker: amount(env, "MAX_REQUESTS_PER_WORKER", 20),
    requestsPerSecondPerWorker: positive(env, "REQUESTS_PER_SECOND_PER_WORKER", 0.5),
  });
}

/**
 * Read the run's secret from `MEPHISTO_ROUTER_SECRET`, or from the file named by `..._SECRET_FILE`.
 *
 * @param {NodeJS.ProcessEnv} env
 * @returns {Secret}
 * @throws {StartError} neither is set, the file cannot be read, or the secret is empty
 */
export function readSecret(env) {
  const path = env[`${PREFIX}SECRET_FILE`];
  let value = env[`${PREFIX}SECRET`];
  if (!value && path) {
    try {
      value = readFileSync(path, "utf8").trim();
    } catch (error) {
      throw new StartError(`${PREFIX}SECRET_FILE names ${path}, which cannot be read (${codeOf(error)}).`);
    }
  }
  if (!value) throw new StartError(`The run's secret is missing: set ${PREFIX}SECRET or ${PREFIX}SECRET_FILE.`);
  return new Secret(value);
}

/** @param {string} text */
function digest(text) {
  return createHash("sha256").update(text).digest();
}

/** @param {NodeJS.ProcessEnv} env */
function pageDirectory(env) {
  const directory = env[`${PREFIX}STATIC`] ?? "";
  if (directory !== "" && !statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    throw new StartError(`${PREFIX}STATIC names ${directory}, which is not a directory.`);
  }
  return directory;
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {string} name
 * @param {string} meaning
 */
function required(env, name, meaning) {
  const value = env[PREFIX + name];
  if (!value) throw new StartError(`${PREFIX}${name} is missing: set it to ${meaning}.`);
  return value;
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {string} name
 * @param {number} fallback
 * @param {object} [options]
 * @param {boolean} [options.orZero]
 */
function positive(env, name, fallback, { orZero = false } = {}) {
  const value = number(env, PREFIX + name, fallback);
  if (!((value > 0 || (orZero && value === 0)) && Number.isFinite(value))) {
    throw new StartError(`${PREFIX}${name} is ${show(env, PREFIX + name)}; it must be a positive number.`);
  }
  return value;
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {string} name
 * @param {number} fallback
 */
function amount(env, name, fallback) {
  return integer(env, PREFIX + name, fallback, 1);
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {string} variable
 * @param {number} fallback
 * @param {number} minimum
 * @param {number} [maximum]
 */
function integer(env, variable, fallback, minimum, maximum = Number.MAX_SAFE_INTEGER) {
  const value = number(env, variable, fallback);
  if (!Number.isSafeInteger(value) || value < minimum || value > maximum) {
    throw new StartError(
      `${variable} is ${show(env, variable)}; it must be a whole number from ${minimum} to ${maximum}.`,
    );
  }
  return value;
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {string} variable
 * @param {number} fallback
 */
function number(env, variable, fallback) {
  const text = env[variable];
  if (text === undefined) return fallback;
  return text.trim() === "" ? NaN : Number(text);
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {string} variable
 */
function show(env, variable) {
  return JSON.stringify(env[variable]);
}
