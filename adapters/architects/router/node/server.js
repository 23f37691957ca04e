// @ts-check
// The worker-facing server of a run: pages, their requests and their sockets in front, the operator behind. It knows
// nothing of tasks, and loses nothing of what a worker handed in. What it can be told is in lib/settings.js.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { join } from "node:path";

import { lockDataDirectory } from "./lib/data_lock.js";
import { Deadlines } from "./lib/deadlines.js";
import { StartError } from "./lib/errors.js";
import { Journal } from "./lib/journal.js";
import { log } from "./lib/log.js";
import { assembleRouter } from "./lib/router.js";
import { createApp } from "./lib/routes.js";
import { secretCheck } from "./lib/secret.js";
import { readSettings } from "./lib/settings.js";
import { acceptSockets } from "./lib/sockets.js";
import { Uploads } from "./lib/uploads.js";

const CONNECTIONS = {
  // An upload of the largest allowed size has to fit in.
  requestTimeout: 3_600_000,
  // A page whose machine or network died closes nothing: without the kernel's probes its socket would stay for ever.
  keepAlive: true,
  keepAliveInitialDelay: 75_000,
};
/** How often connections that take too long are looked for, at least. */
const CHECK_SECONDS = 30;
/** Time for answers to go out when the process ends. */
const FAREWELL_SECONDS = 0.5;

/** @typedef {import("./lib/settings.js").Settings} Settings */

/**
 * Run the router until it is told to stop, or no operator has been there for too long.
 *
 * @param {Settings} settings
 */
async function run(settings) {
  lockDataDirectory(settings.dataDirectory);
  const journal = await Journal.open(settings.dataDirectory, {
    maxOutboxBytes: settings.maxOutboxBytes,
    newIncarnation: randomUUID,
  });
  const uploads = new Uploads(join(settings.dataDirectory, "uploads"), {
    maxFieldBytes: settings.maxBodyBytes,
    maxUploadBytes: settings.maxUploadBytes,
  });
  await uploads.prepare();

  const stop = once(async (/** @type {string} */ reason) => {
    log("stopping", { reason });
    server.close();
    server.closeIdleConnections();
    router.close();
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, FAREWELL_SECONDS * 1000))]);
    await journal.close();
    process.exit(0);
  });
  /** @type {Deadlines<string>} */
  const orphaned = new Deadlines(settings.orphanSeconds, () => stop("no operator"));
  const isSecret = secretCheck(settings.secret);
  const router = assembleRouter({
    settings,
    journal,
    isSecret,
    onOperator: () => orphaned.delete("run"),
    onNoOperator: () => orphaned.set("run"),
  });
  const server = createServer(
    { ...CONNECTIONS, ...patience(settings) },
    createApp({ settings, uploads, isSecret, ...router }),
  );
  // A connection also stands still while its request waits for an answer.
  server.timeout = (settings.requestDeadlineSeconds + settings.idleSeconds) * 1000;
  acceptSockets(server, router.switchboard, settings);
  const closed = new Promise((resolve) => server.on("close", resolve));

  await listen(server, settings);
  orphaned.set("run");
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
  process.stdout.write(`${JSON.stringify({ listening: address(server) })}\n`);
}

/**
 * How long a client may take for the head of a request, and until the next one.
 *
 * @param {Settings} settings
 */
function patience({ idleSeconds }) {
  const milliseconds = Math.ceil(idleSeconds * 1000);
  return {
    headersTimeout: milliseconds,
    keepAliveTimeout: milliseconds,
    connectionsCheckingInterval: Math.min(CHECK_SECONDS * 1000, Math.ceil(milliseconds / 2)),
  };
}

/**
 * @param {import("node:http").Server} server
 * @param {Settings} settings
 * @returns {Promise<void>}
 * @throws {StartError} when the address or the inherited socket cannot be used
 */
function listen(server, { fd, host, port }) {
  return new Promise((resolve, reject) => {
    server.on("error", (/** @type {NodeJS.ErrnoException} */ error) => {
      const place = fd === null ? `HOST ${host}, PORT ${port}` : `the socket of MEPHISTO_ROUTER_FD (${fd})`;
      reject(new StartError(`cannot listen on ${place} (${error.code})`));
      if (server.listening) log("accept_failed", { code: error.code });
    });
    server.listen(fd === null ? { host, port } : { fd }, resolve);
  });
}

/** @param {import("node:http").Server} server */
function address(server) {
  const bound = server.address();
  if (bound === null || typeof bound === "string") return bound;
  return `http://${bound.family === "IPv6" ? `[${bound.address}]` : bound.address}:${bound.port}`;
}

/**
 * @template Argument
 * @param {(argument: Argument) => void} action
 * @returns {(argument: Argument) => void} does it the first time only
 */
function once(action) {
  let isDone = false;
  return (argument) => {
    if (!isDone) action(argument);
    isDone = true;
  };
}

process.on("uncaughtException", (error) => {
  log("failed", { error: error.stack });
  process.exit(1);
});

try {
  const settings = readSettings(process.env);
  // Whatever this process starts or reports has no need to know it.
  delete process.env.MEPHISTO_ROUTER_SECRET;
  await run(settings);
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  log("cannot_start", { error: error.message });
  process.exit(2);
}
