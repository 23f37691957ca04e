// @ts-check
/** The HTTP side: turns requests into calls, and results into answers. */
import express from "express";

import { RefusalError } from "../errors.js";
import { raw, rawObject, strictJson } from "../json_text.js";
import { isForm } from "./bodies.js";
import { answerError } from "./refusals.js";
import {
  readAgentStatus,
  readLogError,
  readMetadata,
  readRequestAgent,
  readReturnTask,
  readSubmitAppeal,
  readSubmitMetadata,
  readSubmitOnboarding,
  readSubmitTask,
  readWorkerNames,
  readWorkerPage,
} from "./request_bodies.js";
import { RequestLimits } from "./request_limits.js";
import { checkOperator } from "./run_routes.js";
import { TaskConfigFile } from "./task_config.js";

const JSON_TYPE = "application/json; charset=utf-8";
const CACHE_CONTROL = "public, max-age=0";

/** Size of what a provider's page says of a worker: as long as the operator is away, it is held for each request. */
const MAX_PROVIDER_DATA_BYTES = 64 * 1024;

/** The field of a form with the result; the others, apart from the agent's, repeat it. */
const RESULT_FIELD = "final_string_data";

/** The field of a form with metadata. */
const METADATA_FIELD = "metadata";

/** @typedef {import("express").Request} Request */
/** @typedef {import("express").Response} Response */

/** The handlers; each sends its answer, or throws an error that `answerError` answers. */
export class Routes {
  #settings;
  #secret;
  #router;
  #pages;
  #known;
  #uploads;
  #runRoutes;
  #clock;
  #bodies;
  #config;
  #limits;

  /**
   * @param {object} parts
   * @param {import("../settings.js").RouterSettings} parts.settings limits, and the page's directory
   * @param {import("../settings.js").Secret} parts.secret what the operator proves itself with
   * @param {import("../router.js").Router} parts.router what requests are turned into calls of
   * @param {import("./client_address.js").KnownAddresses} parts.known learns where pages with an agent are
   * @param {import("./bodies.js").BodyReader} parts.bodies reads JSON
   * @param {import("./uploads.js").Uploads} parts.uploads where forms go
   * @param {import("./run_routes.js").RunRoutes} parts.runRoutes what an operator on another machine asks for
   * @param {() => number} parts.clock returns seconds since the epoch
   * @param {() => number} parts.monotonic returns seconds since any fixed moment
   */
  constructor({ settings, secret, router, known, bodies, uploads, runRoutes, clock, monotonic }) {
    this.#settings = settings;
    this.#secret = secret;
    this.#router = router;
    this.#pages = router.pageRequests;
    this.#known = known;
    this.#uploads = uploads;
    this.#runRoutes = runRoutes;
    this.#clock = clock;
    this.#bodies = bodies;
    this.#config = new TaskConfigFile(settings.static);
    this.#limits = new RequestLimits(settings, monotonic);
  }

  /**
   * Build the application; the busiest routes come first.
   *
   * @returns {import("express").Express}
   */
  app() {
    const app = express();
    app.disable("x-powered-by");
    app.disable("etag");
    app.use((_request, response, next) => {
      // A file that is no script is never taken for one.
      response.setHeader("X-Content-Type-Options", "nosniff");
      next();
    });
    app.post("/submit_task", (request, response) => this.submitTask(request, response));
    app.post("/request_agent", (request, response) => this.requestAgent(request, response));
    app.get("/task_config.json", (request, response) => this.taskConfig(request, response));
    app.post("/submit_onboarding", (request, response) => this.submitOnboarding(request, response));
    app.post("/submit_metadata", (request, response) => this.submitMetadata(request, response));
    app.post("/return_task", (request, response) => this.returnTask(request, response));
    app.post("/log_error", (request, response) => this.logError(request, response));
    app.post("/agent_status", (request, response) => this.agentStatus(request, response));
    app.post("/submit_appeal", (request, response) => this.submitAppeal(request, response));
    app.post("/worker_page", (request, response) => this.workerPage(request, response));
    app.post("/provider_webhook", (request, response) => this.providerWebhook(request, response));
    app.get("/is_alive", (request, response) => this.isAlive(request, response));
    app.get("/get_timestamp", (request, response) => this.getTimestamp(request, response));
    app.get("/counters", (request, response) => this.counters(request, response));
    app.get("/download_file/:name", (request, response) => this.downloadFile(request, response));
    app.delete("/download_file/:name", (request, response) => this.deleteFile(request, response));
    app.use(this.#runRoutes.routes());
    app.use(express.static(this.#settings.static, { redirect: false }));
    app.use(() => {
      throw new RefusalError(404, "Not Found.");
    });
    app.use(answerError);
    return app;
  }

  /**
   * POST /request_agent: ask for an agent, and wait for the operator up to the deadline.
   *
   * @param {Request} request
   * @param {Response} response
   */
  async requestAgent(request, response) {
    const body = await this.#bodies.readJson(request, readRequestAgent);
    const { provider_data: providerData, client_timestamp: clientTimestamp } = body;
    if (Buffer.byteLength(providerData) > MAX_PROVIDER_DATA_BYTES) {
      throw new RefusalError(413, `provider_data is too large: it may have ${MAX_PROVIDER_DATA_BYTES} bytes.`);
    }
    if (!this.#limits.allowRequest(request, readWorkerNames(providerData).worker_name)) {
      sendJson(response, this.#pages.refuseBusy());
      return;
    }
    sendJson(response, await this.#pages.requestAgent(providerData, clientTimestamp, goneSignal(response)));
  }

  /**
   * POST /submit_onboarding: record the result, then answer like /request_agent.
   *
   * @param {Request} request
   * @param {Response} response
   */
  async submitOnboarding(request, response) {
    const {
      provider_data: { USED_AGENT_ID: token, onboarding_data: onboardingData },
      client_timestamp: clientTimestamp,
    } = await this.#bodies.readJson(request, readSubmitOnboarding);
    const signal = goneSignal(response);
    sendJson(response, await this.#pages.submitOnboarding(token, onboardingData, clientTimestamp, signal));
  }

  /**
   * POST /submit_task: answer once the submission is durable, and say if it came late.
   *
   * @param {Request} request
   * @param {Response} response
   */
  async submitTask(request, response) {
    const token = isForm(request) ? await this.#submitForm(request) : await this.#submitJson(request);
    this.#known.note(request);
    response.json({ status: this.#pages.hasEnded(token) ? "late" : "Submitted!" });
  }

  /**
   * POST /submit_metadata: answer once the tips, the feedback or the opinion are durable.
   *
   * @param {Request} request
   * @param {Response} response
   */
  async submitMetadata(request, response) {
    if (isForm(request)) {
      await this.#submitMetadataForm(request);
    } else {
      const body = await this.#bodies.readJson(request, readSubmitMetadata);
      const data = rawObject({ metadata: body.metadata });
      await this.#pages.submit("submit_metadata", body.USED_AGENT_ID, data, body.client_timestamp);
    }
    response.json({ status: "Submitted metadata" });
  }

  /**
   * POST /return_task: answer once it is durable that the worker gives the unit back undone.
   *
   * @param {Request} request
   * @param {Response} response
   */
  async returnTask(request, response) {
    const body = await this.#bodies.readJson(request, readReturnTask);
    await this.#pages.submit("return_unit", body.USED_AGENT_ID, "{}", body.client_timestamp);
    response.json({ status: "Returned" });
  }

  /**
   * POST /log_error: pass an error in the page on to the operator's log.
   *
   * @param {Request} request
   * @param {Response} response
   */
  async logError(request, response) {
    const body = await this.#bodies.readJson(request, readLogError);
    if (this.#limits.allowReport(request)) {
      this.#pages.logError(body.USED_AGENT_ID, body.error_data, body.client_timestamp);
    }
    response.json({ status: "Error log sent!" });
  }

  /**
   * POST /agent_status: return an agent's status as the operator gave it, for pages without a socket.
   *
   * @param {Request} request
   * @param {Response} response
   */
  async agentStatus(request, response) {
    const { USED_AGENT_ID: token } = await this.#bodies.readJson(request, readAgentStatus);
    response.json({ status: this.#pages.statusOf(token) });
    this.#known.note(request);
  }

  /**
   * POST /submit_appeal: answer once a worker's objection to a rejection is durable.
   *
   * @param {Request} request
   * @param {Response} response
   */
  async submitAppeal(request, response) {
    const body = await this.#bodies.readJson(request, readSubmitAppeal);
    const data = rawObject({ text: raw(body.text) });
    await this.#pages.submit("submit_appeal", body.USED_AGENT_ID, data, body.client_timestamp);
    response.json({ status: "Submitted appeal" });
  }

  /**
   * POST /worker_page: return what a worker's own page shows, and wait for the operator up to the deadline. With
   * `withdraw_consent` the operator withdraws the worker's consent to that run first; with `receipt` its answer has a
   * receipt for the work of that agent.
   *
   * @param {Request} request
   * @param {Response} response
   */
  async workerPage(request, response) {
    const body = await this.#bodies.readJson(request, readWorkerPage);
    if (!this.#limits.allowRequest(request, body.worker_page)) {
      sendJson(response, this.#pages.refuseBusy());
      return;
    }
    sendJson(response, await this.#pages.requestWorkerPage(body, goneSignal(response)));
  }

  /**
   * POST /provider_webhook: answer once it is durable that something happened at the provider's site.
   *
   * @param {Request} request
   * @param {Response} response
   */
  async providerWebhook(request, response) {
    await this.#router.webhooks.record(request.headers, await this.#bodies.readBody(request));
    response.json({ status: "Recorded" });
  }

  /**
   * GET /is_alive: say that the router serves.
   *
   * @param {Request} _request
   * @param {Response} response
   */
  isAlive(_request, response) {
    response.json({ status: "Alive!" });
  }

  /**
   * GET /get_timestamp: return milliseconds since the epoch.
   *
   * @param {Request} _request
   * @param {Response} response
   */
  getTimestamp(_request, response) {
    response.json({ timestamp: Math.floor(this.#clock() * 1000) });
  }

  /**
   * GET /counters: return the router's figures, to the operator only.
   *
   * @param {Request} request
   * @param {Response} response
   */
  counters(request, response) {
    checkOperator(this.#secret, request);
    response.json(this.#router.figures());
  }

  /**
   * GET /download_file/<name>: return an uploaded file, to the operator only.
   *
   * @param {Request} request
   * @param {Response} response
   */
  async downloadFile(request, response) {
    checkOperator(this.#secret, request);
    const path = this.#uploads.path(String(request.params.name));
    if (path === null) throw new RefusalError(404, "There is no such file.");
    response.type("application/octet-stream");
    response.sendFile(path, { cacheControl: false, dotfiles: "allow" }, (error) => {
      if (error) response.destroy();
    });
  }

  /**
   * DELETE /download_file/<name>: delete an uploaded file that the operator has stored.
   *
   * @param {Request} request
   * @param {Response} response
   */
  async deleteFile(request, response) {
    checkOperator(this.#secret, request);
    await this.#uploads.delete(String(request.params.name));
    response.json({ status: "Deleted" });
  }

  /**
   * GET /task_config.json: return the page's configuration, with the client's own version in it.
   *
   * @param {Request} request
   * @param {Response} response
   */
  taskConfig(request, response) {
    const asked = request.query.mephisto_task_version;
    const version = typeof asked === "string" ? asked : null;
    const answer = this.#config.answer(version);
    if (answer === null) throw new RefusalError(404, "There is no task_config.json.");
    if (!answer.isSupported) this.#pages.reportVersion(version);
    response.set({ "Cache-Control": CACHE_CONTROL, "Last-Modified": answer.lastModified, ETag: answer.etag });
    response.set("Content-Type", JSON_TYPE).send(answer.body);
  }

  /**
   * @param {Request} request
   * @returns {Promise<string>} the token of the agent
   */
  async #submitJson(request) {
    const body = await this.#bodies.readJson(request, readSubmitTask);
    const data = rawObject({ final_data: body.final_data });
    await this.#pages.submit("submit_unit", body.USED_AGENT_ID, data, body.client_timestamp);
    return body.USED_AGENT_ID;
  }

  /**
   * @param {Request} request
   * @returns {Promise<string>} the token of the agent
   */
  async #submitForm(request) {
    const form = await this.#uploads.receive(request, (token) => this.#pages.checkKnown(token));
    try {
      const result = form.text(RESULT_FIELD);
      const finalData = result === null ? "null" : strictJson(result);
      const data = rawObject({ final_data: finalData, files: raw(await form.keep()) });
      await this.#pages.submit("submit_unit", form.agent, data, undefined);
    } catch (error) {
      await form.discard();
      throw error;
    }
    return form.agent;
  }

  /** @param {Request} request */
  async #submitMetadataForm(request) {
    const form = await this.#uploads.receive(request, (token) => this.#pages.checkKnown(token));
    try {
      const metadata = readMetadata(strictJson(form.text(METADATA_FIELD) ?? ""));
      const data = rawObject({ metadata, files: raw(await form.keep()) });
      await this.#pages.submit("submit_metadata", form.agent, data, undefined);
    } catch (error) {
      await form.discard();
      throw error;
    }
  }
}

/**
 * @param {Response} response
 * @param {string} json
 */
function sendJson(response, json) {
  response.set("Content-Type", JSON_TYPE).send(Buffer.from(json));
}

/**
 * Return a signal that is given when the client closes the connection.
 *
 * @param {Response} response
 * @returns {AbortSignal}
 */
function goneSignal(response) {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  return gone.signal;
}
