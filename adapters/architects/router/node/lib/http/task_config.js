// @ts-check
/**
 * Serves the page's configuration, with the version of the client library that the page asked for.
 *
 * The file is read again when it has changed. Whether it has is checked on every visit, and synchronously: that takes
 * microseconds, and another thread would cost more than the rest of the answer.
 */
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

import { RefusalError } from "../errors.js";
import { membersOf, raw, rawObject, strictJson } from "../json_text.js";

/** Versions of the client library that are supported; the first is told to pages that name none of them. */
const SUPPORTED_VERSIONS = ["2.0.3", "2.0.4"];

/**
 * The configuration as one version of the client gets it.
 *
 * @typedef {object} ConfigAnswer
 * @property {Buffer} body
 * @property {string} etag
 * @property {string} lastModified
 * @property {boolean} isSupported whether the version that the page asked for is supported
 */

/** `task_config.json`, kept in memory while the file does not change. */
export class TaskConfigFile {
  #path;
  #stamp = "";
  /** @type {ConfigAnswer[]} by version, in the order of `SUPPORTED_VERSIONS` */
  #answers = [];
  #textsStamp = "";
  /** @type {Record<string, unknown>} */
  #texts = {};

  /** @param {string} directory where it is */
  constructor(directory) {
    this.#path = join(directory, "task_config.json");
  }

  /**
   * Return a text of the catalogue in the run's language; the default if the page has its own.
   *
   * @param {string} key
   * @param {string} byDefault
   * @returns {string}
   */
  text(key, byDefault) {
    try {
      const stat = statSync(this.#path);
      const stamp = `${stat.mtimeMs}-${stat.size}`;
      if (stamp !== this.#textsStamp) this.#texts = JSON.parse(readFileSync(this.#path, "utf8")).texts ?? {};
      this.#textsStamp = stamp;
    } catch {
      return byDefault; // no file, or one that is answered with an error
    }
    const text = this.#texts[key];
    return typeof text === "string" ? text : byDefault;
  }

  /**
   * Return the answer to a page.
   *
   * @param {string | null} version what the page says it was built for
   * @returns {ConfigAnswer | null} null if there is no file
   * @throws {RefusalError} the file is not a JSON object
   */
  answer(version) {
    const stat = statSync(this.#path, { throwIfNoEntry: false });
    if (!stat) return null;
    const stamp = `${stat.mtimeMs}-${stat.size}`;
    if (stamp !== this.#stamp) this.#read(stat.mtime);
    this.#stamp = stamp;
    return this.#answers[SUPPORTED_VERSIONS.indexOf(version ?? "")] ?? { ...this.#answers[0], isSupported: false };
  }

  /** @param {Date} modified */
  #read(modified) {
    const members = this.#members();
    this.#answers = SUPPORTED_VERSIONS.map((version) => {
      const config = members.set("mephisto_task_version", raw(version));
      const body = Buffer.from(rawObject(Object.fromEntries(config)));
      const etag = `"${createHash("sha256").update(body).digest("hex").slice(0, 32)}"`;
      return { body, etag, lastModified: modified.toUTCString(), isSupported: true };
    });
  }

  #members() {
    try {
      return membersOf(strictJson(readFileSync(this.#path)));
    } catch {
      throw new RefusalError(500, "The task's configuration cannot be read.");
    }
  }
}
