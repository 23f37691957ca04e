// @ts-check
// The HTTP side: what pages and the operator ask for by request.
import express from "express";

import { bodyOf, checked, isForm, readingBody } from "./bodies.js";
import { Refused } from "./errors.js";
import { answerError } from "./refusals.js";
import { isObject } from "./packets.js";
import { TaskConfig } from "./task_config.js";

/** @typedef {import("express").Request} Request */
/** @typedef {import("express").Response} Response */
/** @typedef {import("./page_requests.js").PageRequests} PageRequests */
/** @typedef {import("./uploads.js").Uploads} Uploads */

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
  const withBody = readingBody({ maxBodyBytes, maxUploadBytes });

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
    const {
      USED_AGENT_ID: token = null,
      error_data: errorData = null,
      client_timestamp: clientTimestamp,
    } = bodyOf(request);
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
  /** @type {string | undefined} */
  let token;
  /** @type {unknown} */
  let finalData = null;
  // The other fields repeat what the result says.
  const files = await uploads.receive(request, (name, value) => {
    if (name === "USED_AGENT_ID") token = pageRequests.knownAgent(value);
    if (name === "final_string_data") finalData = parseFinalData(value);
  });
  try {
    await pageRequests.submit("submit_unit", token, { final_data: finalData, files }, null);
  } catch (error) {
    await uploads.discard(files);
    throw error;
  }
}

/** @param {string} text */
function parseFinalData(text) {
  let content;
  try {
    content = JSON.parse(text);
  } catch {
    throw new Refused(400, "final_string_data is not JSON.");
  }
  return checked(content);
}
