// @ts-check
/** The requests of an operator on another machine: to whom the router belongs, and what page it serves. */
import { createHash, randomBytes } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import express from "express";

import { RefusalError, codeOf } from "../errors.js";
import { membersOf, read, readObject, readText, strictJson } from "../json_text.js";

/** @typedef {import("express").Request} Request */
/** @typedef {import("express").Response} Response */
/** @typedef {import("../json_text.js").Raw} Raw */

/**
 * POST /run_page.
 *
 * @typedef {object} ClaimBody
 * @property {string} run
 * @property {Map<string, string>} files the hash of each file, by its path in the page
 */

/**
 * POST /release_run.
 *
 * @typedef {object} ReleaseBody
 * @property {string} run
 */

/**
 * @param {Raw} text
 * @returns {ClaimBody}
 * @throws {import("../errors.js").MalformedJsonError}
 */
export function readClaim(text) {
  const { run, files } = read(text, { run: readText, files: readObject });
  return { run, files: new Map([...membersOf(files)].map(([path, digest]) => [path, readText(digest)])) };
}

/**
 * @param {Raw} text
 * @returns {ReleaseBody}
 * @throws {import("../errors.js").MalformedJsonError}
 */
export function readRelease(text) {
  return read(text, { run: readText });
}

/**
 * Refuse a request that does not prove to be the operator's.
 *
 * @param {import("../settings.js").Secret} secret
 * @param {Request} request
 * @throws {RefusalError} it does not
 */
export function checkOperator(secret, request) {
  const [, offered] = /^Bearer (.+)$/i.exec(request.get("Authorization") ?? "") ?? [];
  if (!secret.matches(offered)) throw new RefusalError(401, "Only the operator may ask for this.");
}

/** The handlers. */
export class RunRoutes {
  #secret;
  #router;
  #page;
  #known;
  #bodies;
  #files;

  /**
   * @param {object} parts
   * @param {import("../settings.js").Secret} parts.secret what the operator proves itself with
   * @param {import("../router.js").Router} parts.router what is released
   * @param {import("./run_page.js").RunPage} parts.page what is changed
   * @param {import("./client_address.js").KnownAddresses} parts.known learns where the operator is
   * @param {import("./bodies.js").BodyReader} parts.bodies reads JSON
   * @param {import("./bodies.js").BodyReader} parts.files reads files
   */
  constructor({ secret, router, page, known, bodies, files }) {
    this.#secret = secret;
    this.#router = router;
    this.#page = page;
    this.#known = known;
    this.#bodies = bodies;
    this.#files = files;
  }

  /** Return the routes. */
  routes() {
    const routes = express.Router();
    routes.post("/run_page", (request, response) => this.claim(request, response));
    routes.put("/run_page/:digest", (request, response) => this.putFile(request, response));
    routes.post("/release_run", (request, response) => this.release(request, response));
    return routes;
  }

  /**
   * POST /run_page: let the router belong to a run, and say which files of its page have yet to be sent.
   *
   * @param {Request} request
   * @param {Response} response
   */
  async claim(request, response) {
    this.#checkOperator(request);
    const { run, files } = readClaim(strictJson(await this.#bodies.readBody(request)));
    response.json({ missing: change(() => this.#page.claim(run, files)) });
  }

  /**
   * PUT /run_page/<hash>: keep a file of the page.
   *
   * @param {Request} request
   * @param {Response} response
   */
  async putFile(request, response) {
    this.#checkOperator(request);
    const digest = String(request.params.digest);
    const path = this.#page.file(digest);
    const draft = `${path}.${randomBytes(8).toString("hex")}`;
    const found = createHash("sha256");
    try {
      const file = await open(draft, "wx", 0o600);
      try {
        await this.#files.readPieces(request, async (piece) => {
          found.update(piece);
          await file.writeFile(piece);
        });
        await file.sync();
      } finally {
        await file.close();
      }
      if (found.digest("hex") !== digest) {
        throw new RefusalError(400, "The file is not the one that it is said to be.");
      }
      await rename(draft, path);
    } catch (error) {
      throw refusalOf(error);
    } finally {
      await rm(draft, { force: true });
    }
    response.json({ status: "Stored" });
  }

  /**
   * POST /release_run: let the router belong to nobody; it serves a page that says so.
   *
   * @param {Request} request
   * @param {Response} response
   */
  async release(request, response) {
    this.#checkOperator(request);
    const { run } = readRelease(strictJson(await this.#bodies.readBody(request)));
    const { outbox_length: waiting } = this.#router.figures();
    if (waiting > 0 && this.#page.run === run) {
      throw new RefusalError(423, `The run has yet to take ${waiting} packets of workers from this router.`);
    }
    change(() => this.#page.release(run));
    this.#router.forgetRun();
    response.json({ status: "Released" });
  }

  /** @param {Request} request */
  #checkOperator(request) {
    checkOperator(this.#secret, request);
    this.#known.note(request);
  }
}

/**
 * @template T
 * @param {() => T} work
 * @returns {T}
 */
function change(work) {
  try {
    return work();
  } catch (error) {
    throw refusalOf(error);
  }
}

/** @param {unknown} error */
function refusalOf(error) {
  const isOfSystem = error instanceof Error && "syscall" in error;
  return isOfSystem ? new RefusalError(503, `The router cannot store the page: ${codeOf(error)}.`) : error;
}
