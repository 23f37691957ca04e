// @ts-check
/**
 * Runs the router as a process: `node server.js`.
 *
 * The worker-facing server of a run, in Express and ws: pages, their requests and their sockets in front, the operator
 * behind. It knows nothing of tasks: it turns HTTP requests into packets, keeps agents' sockets, and keeps every packet of
 * a worker on disk until the operator has acknowledged it. All its settings are in lib/settings.js.
 *
 * The router in Python (../python) has the same files, classes and methods; a test compares them. Whoever changes one
 * changes the other.
 *
 * Exit status: 0 after SIGTERM or SIGINT, or when there was no operator for too long; 2 if it could not start.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { join } from "node:path";
import { performance } from "node:perf_hooks";

import { StartError, codeOf } from "./lib/errors.js";
import { BodyReader } from "./lib/http/bodies.js";
import { BodyPool, poolLimits } from "./lib/http/body_pool.js";
import { KnownAddresses } from "./lib/http/client_address.js";
import { Routes } from "./lib/http/routes.js";
import { RunPage } from "./lib/http/run_page.js";
import { RunRoutes } from "./lib/http/run_routes.js";
import { Uploads } from "./lib/http/uploads.js";
import { Journal } from "./lib/journal/journal.js";
import { lockDataDirectory } from "./lib/journal/journal_file.js";
import { log } from "./lib/log.js";
import { Router } from "./lib/router.js";
import { readSecret, readSettings } from "./lib/settings.js";
import { SocketEndpoint } from "./lib/sockets/socket_endpoint.js";

const CONNECTIONS = {
  // The largest upload has to fit in.
  requestTimeout: 3_600_000,
  // A page whose machine or network died closes nothing: without the kernel's probes its socket would stay for ever.
  keepAlive: true,
  keepAliveInitialDelay: 75_000,
};
/** How often connections that take too long are looked for, at least. */
const CHECK_SECONDS = 30;
/** How long requests that are being answered may still take once the router stops. */
const SHUTDOWN_SECONDS = 0.5;

/** @typedef {import("./lib/settings.js").RouterSettings} RouterSettings */
/** @typedef {import("./lib/settings.js").Secret} Secret */

const clock = () => Date.now() / 1000;
const monotonic = () => performance.now() / 1000;

/**
 * Run the router until it is told to stop, or no operator has been there for too long.
 *
 * @param {RouterSettings} given
 * @param {Secret} secret
 */
async function serve(given, secret) {
  lockDataDirectory(given.data);
  const page = new RunPage(given.static === "" ? join(given.data, "page") : null);
  const settings = { ...given, static: given.static || page.directory };
  const { idleSeconds, maxOutboxBytes, maxPacketBytes, maxSockets } = settings;
  const newIncarnation = () => randomUUID().replaceAll("-", "");
  const journal = await Journal.open(settings.data, { maxOutboxBytes, newIncarnation });
  const router = new Router({ settings, secret, page, journal, clock, monotonic, newId: randomUUID });
  const known = new KnownAddresses(settings.trustedProxies);
  const app = routes(settings, secret, page, router, known).app();
  const server = createServer({ ...CONNECTIONS, ...timeouts(settings) }, app);
  // A connection also stands still while its request waits for an answer.
  server.timeout = (settings.requestDeadlineSeconds + idleSeconds) * 1000;
  const { counters, hub } = router;
  const greetingSeconds = idleSeconds;
  new SocketEndpoint({ hub, known, counters, maxSockets, maxPacketBytes, greetingSeconds, monotonic }).serve(server);
  const closed = new Promise((resolve) => server.on("close", resolve));

  let isStopping = false;
  const stop = async (/** @type {string} */ reason) => {
    if (isStopping) return;
    isStopping = true;
    log("stopping", { reason });
    server.close();
    server.closeIdleConnections();
    router.close();
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, SHUTDOWN_SECONDS * 1000))]);
    await router.closeJournal();
    process.exit(0);
  };

  await listen(server, settings);
  router.run();
  router.waitAbandoned(settings.orphanSeconds).then(() => stop("no operator"));
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
  process.stdout.write(`${JSON.stringify({ listening: address(server) })}\n`);
}

/**
 * @param {RouterSettings} settings
 * @param {Secret} secret
 * @param {RunPage} page
 * @param {Router} router
 * @param {KnownAddresses} known
 */
function routes(settings, secret, page, router, known) {
  const { idleSeconds, maxBodyBytes, maxUploadBytes, trustedProxies } = settings;
  const onFull = router.counters.drop.bind(router.counters);
  const pool = new BodyPool({ limits: poolLimits(settings), known, onFull, monotonic });
  const reader = (/** @type {number} */ maxBytes) =>
    new BodyReader({ limits: { maxBytes, idleSeconds, trustedProxies }, pool, monotonic });
  const bodies = reader(maxBodyBytes);
  const files = reader(maxUploadBytes);
  const uploads = new Uploads(join(settings.data, "uploads"), {
    bodies: files,
    maxFieldBytes: maxBodyBytes,
    newName: () => randomBytes(16).toString("hex"),
  });
  const runRoutes = new RunRoutes({ secret, router, page, known, bodies, files });
  return new Routes({ settings, secret, router, known, bodies, uploads, runRoutes, clock, monotonic });
}

/**
 * Return how long a client may take for the head of a request, and until the next one.
 *
 * @param {RouterSettings} settings
 */
function timeouts({ idleSeconds }) {
  const milliseconds = Math.ceil(idleSeconds * 1000);
  return {
    headersTimeout: milliseconds,
    keepAliveTimeout: milliseconds,
    connectionsCheckingInterval: Math.min(CHECK_SECONDS * 1000, Math.ceil(milliseconds / 2)),
  };
}

/**
 * @param {import("node:http").Server} server
 * @param {RouterSettings} settings
 * @returns {Promise<void>}
 * @throws {StartError} the address or the inherited socket cannot be used
 */
function listen(server, { fd, host, port }) {
  return new Promise((resolve, reject) => {
    server.on("error", (error) => {
      const where = fd === null ? `${host}:${port}` : `descriptor ${fd}`;
      reject(new StartError(`The router cannot listen on ${where}: ${codeOf(error)}.`));
      if (server.listening) log("accept_failed", { reason: codeOf(error) });
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

process.on("uncaughtException", (error) => {
  log("failed", { error: error.stack });
  process.exit(1);
});

try {
  const settings = readSettings(process.env);
  const secret = readSecret(process.env);
  // Whatever this process starts or reports has no need to know it.
  delete process.env.MEPHISTO_ROUTER_SECRET;
  await serve(settings, secret);
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  log("cannot_start", { error: error.message });
  process.exit(2);
}
