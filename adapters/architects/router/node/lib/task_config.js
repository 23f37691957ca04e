// @ts-check
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";

import { isObject } from "./packets.js";

const FILE = "task_config.json";
const SUPPORTED_VERSIONS = ["2.0.3", "2.0.4"];
/** What pages are told that ask for no version, or for another one. */
const USUAL_VERSION = "2.0.3";

/**
 * The page's configuration, with the version of the protocol that the page asked for.
 *
 * The file is read again when it has changed.
 */
export class TaskConfig {
  #path;
  #stamp = "";
  #modified = new Date(0);
  /** @type {Map<string, {body: Buffer, etag: string}>} by version */
  #answers = new Map();

  /** @param {string} staticDirectory */
  constructor(staticDirectory) {
    this.#path = join(staticDirectory, FILE);
  }

  /**
   * @param {string | null} version what the page says it was built for
   * @returns {Promise<{body: Buffer, etag: string, modified: Date, isSupported: boolean} | null>} null: there is no file
   */
  async answer(version) {
    try {
      const { mtimeMs, mtime, size } = await stat(this.#path);
      const stamp = `${Math.floor(mtimeMs)}-${size}`;
      if (stamp !== this.#stamp) await this.#read(stamp, mtime);
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code === "ENOENT") return null;
      throw error;
    }
    const isSupported = version !== null && SUPPORTED_VERSIONS.includes(version);
    const answer = /** @type {{body: Buffer, etag: string}} */ (this.#answers.get(isSupported ? version : USUAL_VERSION));
    return { ...answer, modified: this.#modified, isSupported };
  }

  /**
   * @param {string} stamp
   * @param {Date} modified
   */
  async #read(stamp, modified) {
    const config = JSON.parse(await readFile(this.#path, "utf8"));
    if (!isObject(config)) throw new Error(`${FILE} is not a JSON object`);
    for (const version of SUPPORTED_VERSIONS) {
      const body = Buffer.from(JSON.stringify({ ...config, mephisto_task_version: version }));
      this.#answers.set(version, { body, etag: `W/"${stamp}-${version}"` });
    }
    this.#stamp = stamp;
    this.#modified = modified;
  }
}
