// @ts-check
import { readFileSync, statSync } from "node:fs";

import { StartError } from "./errors.js";

const MIB = 1024 * 1024;
const HIGHEST_PORT = 65_535;

/**
 * What the process was asked to be. Everything comes from the environment, so that nothing shows on a process list.
 *
 * @typedef {object} Settings
 * @property {string} secret proves who the operator is
 * @property {number | null} fd an inherited socket that already listens; null: bind `host` and `port`
 * @property {string} host
 * @property {number} port 0: any free port
 * @property {string} staticDirectory the page: index.html, bundle.js, task_config.json ...
 * @property {string} dataDirectory journal and uploads
 * @property {number} requestDeadlineSeconds how long a page waits for the operator's answer
 * @property {number} operatorGraceSeconds how long pages are told that an absent operator is well
 * @property {number} heartbeatLimitSeconds silence after which an agent counts as gone
 * @property {number} orphanSeconds time without an operator after which the process ends itself
 * @property {number} idleSeconds how long a client may let us wait: for the head of a request, for more of a body, for a
 *   socket's first word
 * @property {number} maxBodyBytes one JSON request body, or one text field of a form
 * @property {number} maxUploadBytes one form with its files
 * @property {number} maxPacketBytes one WebSocket message from a page
 * @property {number} maxOutboxBytes all packets that wait for the operator's acknowledgement
 * @property {number} maxSockets WebSockets open at once
 * @property {number} maxKeptPerAgent live updates kept for an agent whose socket is down
 */

/**
 * Read and check the settings.
 *
 * @param {NodeJS.ProcessEnv} env
 * @returns {Settings}
 * @throws {StartError} naming the variable that is missing or wrong
 */
export function readSettings(env) {
  return Object.freeze({
    secret: readSecret(env),
    fd: env.MEPHISTO_ROUTER_FD === undefined ? null : integer(env, "MEPHISTO_ROUTER_FD", 0, 0),
    host: env.HOST || "127.0.0.1",
    port: integer(env, "PORT", 0, 0, HIGHEST_PORT),
    staticDirectory: staticDirectory(env),
    dataDirectory: required(env, "MEPHISTO_ROUTER_DATA", "the directory for the journal and the uploads"),
    requestDeadlineSeconds: seconds(env, "MEPHISTO_ROUTER_REQUEST_DEADLINE_SECONDS", 25),
    operatorGraceSeconds: seconds(env, "MEPHISTO_ROUTER_OPERATOR_GRACE_SECONDS", 600),
    heartbeatLimitSeconds: seconds(env, "MEPHISTO_ROUTER_HEARTBEAT_LIMIT_SECONDS", 15),
    orphanSeconds: seconds(env, "MEPHISTO_ROUTER_ORPHAN_SECONDS", 3600),
    idleSeconds: seconds(env, "MEPHISTO_ROUTER_IDLE_SECONDS", 75),
    maxBodyBytes: integer(env, "MEPHISTO_ROUTER_MAX_BODY_BYTES", 10 * MIB, 1),
    maxUploadBytes: integer(env, "MEPHISTO_ROUTER_MAX_UPLOAD_BYTES", 1024 * MIB, 1),
    maxPacketBytes: integer(env, "MEPHISTO_ROUTER_MAX_PACKET_BYTES", MIB, 1),
    maxOutboxBytes: integer(env, "MEPHISTO_ROUTER_MAX_OUTBOX_BYTES", 256 * MIB, 1),
    maxSockets: integer(env, "MEPHISTO_ROUTER_MAX_SOCKETS", 10_000, 1),
    maxKeptPerAgent: integer(env, "MEPHISTO_ROUTER_MAX_KEPT_PER_AGENT", 1000, 1),
  });
}

/** @param {NodeJS.ProcessEnv} env */
function readSecret(env) {
  const file = env.MEPHISTO_ROUTER_SECRET_FILE;
  let secret = env.MEPHISTO_ROUTER_SECRET;
  if (!secret && file) {
    try {
      secret = readFileSync(file, "utf8").trim();
    } catch (error) {
      throw new StartError(`MEPHISTO_ROUTER_SECRET_FILE names ${file}, which cannot be read (${codeOf(error)})`);
    }
  }
  if (!secret) {
    throw new StartError("the run's secret is missing: set MEPHISTO_ROUTER_SECRET or MEPHISTO_ROUTER_SECRET_FILE");
  }
  return secret;
}

/** @param {NodeJS.ProcessEnv} env */
function staticDirectory(env) {
  const directory = required(env, "MEPHISTO_ROUTER_STATIC", "the directory with the task's page");
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    throw new StartError(`MEPHISTO_ROUTER_STATIC names ${directory}, which is not a directory`);
  }
  return directory;
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {string} name
 * @param {string} meaning
 */
function required(env, name, meaning) {
  const value = env[name];
  if (!value) throw new StartError(`${name} is missing: set it to ${meaning}`);
  return value;
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {string} name
 * @param {number} fallback
 */
function seconds(env, name, fallback) {
  const value = number(env, name, fallback);
  if (!(value > 0 && Number.isFinite(value))) {
    throw new StartError(`${name} is ${JSON.stringify(env[name])}, but it must be a positive number of seconds`);
  }
  return value;
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {string} name
 * @param {number} fallback
 * @param {number} least
 * @param {number} [most]
 */
function integer(env, name, fallback, least, most = Number.MAX_SAFE_INTEGER) {
  const value = number(env, name, fallback);
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new StartError(
      `${name} is ${JSON.stringify(env[name])}, but it must be a whole number from ${least} to ${most}`,
    );
  }
  return value;
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {string} name
 * @param {number} fallback
 */
function number(env, name, fallback) {
  const text = env[name];
  if (text === undefined) return fallback;
  return text.trim() === "" ? NaN : Number(text);
}

/** @param {unknown} error */
function codeOf(error) {
  return /** @type {NodeJS.ErrnoException} */ (error).code ?? "unknown error";
}
