// @ts-check
// The HTTP side: what pages and the operator ask for by request.
import { isUtf8 } from "node:buffer";

import express from "express";

import { Refused } from "./errors.js";
import { log } from "./log.js";
import { isNestedTooDeeply, isObject } from "./packets.js";
import { TaskConfig } from "./task_config.js";

/** @typedef {import("express").Request} Request */
/** @typedef {import("express").Response} Response */
/** @typedef {import("./page_requests.js").PageRequests} PageRequests */
/** @typedef {import("./uploads.js").Uploads} Uploads */

const NOT_JSON = "entity.parse.failed";

/** What the library that reads bodies calls its errors, and what we answer. */
const BODY_ERRORS = new Map([
  [NOT_JSON, new Refused(400, "The body is not JSON.")],
  ["entity.too.large", new Refused(413, "The body is too large.")],
  ["encoding.unsupported", new Refused(415, "The body's Content-Encoding is not supported.")],
  ["charset.unsupported", new Refused(415, "The body's charset is not supported: send UTF-8.")],
]);

/**
 * @param {object} options
 * @param {import("./settings.js").Settings} options.settings
 * @param {PageRequests} options.pageRequests
 * @param {Uploads} options.uploads
 * @param {(offered: unknown) => boolean} options.isSecret
 * @param {() => Record<string, unknown>} options.figures for whoever watches the process
 * @returns {import("express").Express}
 */
export function createApp({ settings, pageRequests, uploads, isSecret, figures }) {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.use((_request, response, next) => {
    response.setHeader("X-Content-Type-Options", "nosniff");
    next();
  });
  addWorkerRoutes(app, { settings, pageRequests, uploads });
  app.get("/is_alive", (_request, response) => {
    response.json({ status: "Alive!" });
  });
  app.get("/get_timestamp", (_request, response) => {
    response.json({ timestamp: Date.now() });
  });
  addOperatorRoutes(app, { uploads, isSecret, figures });
  addPageRoutes(app, pageRequests, settings.staticDirectory);

  app.use(() => {
    throw new Refused(404, "There is nothing here.");
  });
  app.use(answerError);
  return app;
}

/**
 * @param {import("express").Express} app
 * @param {object} parts
 * @param {import("./settings.js").Settings} parts.settings
 * @param {PageRequests} parts.pageRequests
 * @param {Uploads} parts.uploads
 */
function addWorkerRoutes(app, { settings: { maxBodyBytes, maxUploadBytes }, pageRequests, uploads }) {
  /** @type {import("express").RequestHandler[]} */
  const withBody = [
    refuseOversized(maxBodyBytes, maxUploadBytes),
    express.json({ limit: maxBodyBytes, strict: false, type: (request) => !isForm(request), verify: refuseNonText }),
  ];

  app.post("/request_agent", ...withBody, async (request, response) => {
    const { provider_data: providerData, client_timestamp: clientTimestamp } = bodyOf(request);
    if (!isObject(providerData)) throw new Refused(400, "provider_data is missing: it must be an object.");
    const { answer, giveUp } = pageRequests.requestAgent(providerData, clientTimestamp);
    response.once("close", giveUp);
    response.json(await answer);
  });

  app.post("/submit_onboarding", ...withBody, async (request, response) => {
    const { provider_data: providerData, client_timestamp: clientTimestamp } = bodyOf(request);
    if (!isObject(providerData)) throw new Refused(400, "provider_data is missing: it must be an object.");
    const { USED_AGENT_ID: token, onboarding_data: onboardingData = {} } = providerData;
    response.json(await pageRequests.submitOnboarding(token, onboardingData, clientTimestamp));
  });

  app.post("/submit_task", ...withBody, async (request, response) => {
    if (isForm(request)) {
      await submitForm(request, pageRequests, uploads);
    } else {
      const { USED_AGENT_ID: token, final_data: finalData = null, client_timestamp: clientTimestamp } = bodyOf(request);
      await pageRequests.submit("submit_unit", token, { final_data: finalData }, clientTimestamp);
    }
    response.json({ status: "Submitted!" });
  });

  app.post("/submit_metadata", ...withBody, async (request, response) => {
    const { USED_AGENT_ID: token, metadata, client_timestamp: clientTimestamp } = bodyOf(request);
    if (!isObject(metadata)) throw new Refused(400, "metadata is missing: it must be an object.");
    await pageRequests.submit("submit_metadata", token, { metadata }, clientTimestamp);
    response.json({ status: "Submitted metadata" });
  });

  app.post("/return_task", ...withBody, async (request, response) => {
    const { USED_AGENT_ID: token, client_timestamp: clientTimestamp } = bodyOf(request);
    await pageRequests.submit("return_unit", token, {}, clientTimestamp);
    response.json({ status: "Returned" });
  });

  app.post("/log_error", ...withBody, (request, response) => {
    const { USED_AGENT_ID: token = null, error_data: errorData = null, client_timestamp: clientTimestamp } = bodyOf(request);
    pageRequests.reportError(token, errorData, clientTimestamp);
    response.json({ status: "Error log sent!" });
  });
}

/**
 * @param {import("express").Express} app
 * @param {object} parts
 * @param {Uploads} parts.uploads
 * @param {(offered: unknown) => boolean} parts.isSecret
 * @param {() => Record<string, unknown>} parts.figures
 */
function addOperatorRoutes(app, { uploads, isSecret, figures }) {
  /** @type {import("express").RequestHandler} */
  const operatorOnly = (request, _response, next) => {
    const [, offered] = /^Bearer (.+)$/i.exec(request.get("Authorization") ?? "") ?? [];
    if (!isSecret(offered)) throw new Refused(401, "Only the operator may ask for this.");
    next();
  };

  app.get("/counters", operatorOnly, (_request, response) => {
    response.json(figures());
  });

  app.get("/download_file/:filename", operatorOnly, (request, response, next) => {
    const path = uploads.path(String(request.params.filename));
    if (path === null) throw new Refused(404, "There is no such file.");
    response.type("application/octet-stream");
    response.sendFile(path, { cacheControl: false, dotfiles: "allow" }, (error) => {
      if (error && !response.headersSent) next(new Refused(404, "There is no such file."));
    });
  });
}

/**
 * @param {import("express").Express} app
 * @param {PageRequests} pageRequests
 * @param {string} staticDirectory
 */
function addPageRoutes(app, pageRequests, staticDirectory) {
  const taskConfig = new TaskConfig(staticDirectory);
  app.get("/task_config.json", (request, response, next) => {
    const asked = request.query.mephisto_task_version;
    const version = typeof asked === "string" ? asked : null;
    const answer = taskConfig.answer(version);
    if (answer === null) {
      next();
      return;
    }
    if (!answer.isSupported) pageRequests.reportVersion(version);
    response.set({
      "Cache-Control": "public, max-age=0",
      "Last-Modified": answer.modified.toUTCString(),
      ETag: answer.etag,
      "Content-Type": "application/json; charset=utf-8",
    });
    response.send(answer.body);
  });
  app.use(express.static(staticDirectory, { redirect: false }));
}

/**
 * @param {Request} request
 * @param {PageRequests} pageRequests
 * @param {Uploads} uploads
 */
async function submitForm(request, pageRequests, uploads) {
  const { fields, files } = await uploads.receive(request, (name, value) => {
    if (name === "USED_AGENT_ID") pageRequests.knownAgent(value);
  });
  try {
    const finalData = parseFinalData(fields.get("final_string_data"));
    await pageRequests.submit("submit_unit", fields.get("USED_AGENT_ID"), { final_data: finalData, files }, null);
  } catch (error) {
    await uploads.discard(files);
    throw error;
  }
}

/** @param {string | undefined} text */
function parseFinalData(text) {
  if (text === undefined) return null;
  let content;
  try {
    content = JSON.parse(text);
  } catch {
    throw new Refused(400, "final_string_data is not JSON.");
  }
  return checked(content);
}

/**
 * @param {Request} request
 * @returns {Record<string, any>}
 */
function bodyOf(request) {
  if (!isObject(request.body)) throw new Refused(400, "The body must be a JSON object.");
  return checked(request.body);
}

/**
 * @template T
 * @param {T} content what a worker sent
 * @returns {T}
 * @throws {Refused} when it cannot be passed on
 */
function checked(content) {
  if (isNestedTooDeeply(content)) throw new Refused(400, "The data is nested too deeply.");
  return content;
}

/**
 * @param {import("node:http").IncomingMessage} _request
 * @param {import("node:http").ServerResponse} _response
 * @param {Buffer} body
 */
function refuseNonText(_request, _response, body) {
  if (body.length === 0 || !isUtf8(body)) throw Object.assign(new Error("not a text"), { type: NOT_JSON });
}

/** @param {{headers: import("node:http").IncomingHttpHeaders}} request */
function isForm(request) {
  return /^multipart\/form-data\b/i.test(request.headers["content-type"] ?? "");
}

/**
 * Refuse a body by its announced size, before any of it is read: nothing waits for what may never come.
 *
 * @param {number} maxBytes
 * @param {number} maxFormBytes
 * @returns {import("express").RequestHandler}
 */
function refuseOversized(maxBytes, maxFormBytes) {
  return (request, _response, next) => {
    const announced = Number(request.headers["content-length"] ?? 0);
    if (announced > (isForm(request) ? maxFormBytes : maxBytes)) throw new Refused(413, "The body is too large.");
    next();
  };
}

/** @type {import("express").ErrorRequestHandler} */
function answerError(error, request, response, _next) {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const refusal = refusalFor(error);
  if (refusal.status === 500) log("request_failed", { method: request.method, route: request.path, error: String(error) });
  response.status(refusal.status).json({ error: refusal.message });
}

/**
 * @param {any} error
 * @returns {Refused}
 */
function refusalFor(error) {
  if (error instanceof Refused) return error;
  const ofBody = BODY_ERRORS.get(error?.type);
  if (ofBody) return ofBody;
  if (error?.status >= 400 && error?.status < 500) return new Refused(error.status, "The request cannot be understood.");
  return new Refused(500, "The task server failed at this request. Please try again.");
}
