// @ts-check
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

import { isObject } from "./packets.js";

const FILE = "task_config.json";
const SUPPORTED_VERSIONS = ["2.0.3", "2.0.4"];
/** What pages are told that ask for no version, or for another one. */
const USUAL_VERSION = "2.0.3";

/**
 * The page's configuration, with the version of the protocol that the page asked for.
 *
 * The file is read again when it has changed. Whether it has is asked on every visit, and synchronously: that takes
 * microseconds, where handing it to another thread costs more than all the rest of the answer.
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
   * @returns {{body: Buffer, etag: string, modified: Date, isSupported: boolean} | null} null: there is no file
   */
  answer(version) {
    const stat = statSync(this.#path, { throwIfNoEntry: false });
    if (!stat) return null;
    const stamp = `${Math.floor(stat.mtimeMs)}-${stat.size}`;
    if (stamp !== this.#stamp) this.#read(stamp, stat.mtime);
    const isSupported = version !== null && SUPPORTED_VERSIONS.includes(version);
    const answer = /** @type {{body: Buffer, etag: string}} */ (
      this.#answers.get(isSupported ? version : USUAL_VERSION)
    );
    return { ...answer, modified: this.#modified, isSupported };
  }

  /**
   * @param {string} stamp
   * @param {Date} modified
   */
  #read(stamp, modified) {
    const config = JSON.parse(readFileSync(this.#path, "utf8"));
    if (!isObject(config)) throw new Error(`${FILE} is not a JSON object`);
    for (const version of SUPPORTED_VERSIONS) {
      const body = Buffer.from(JSON.stringify({ ...config, mephisto_task_version: version }));
      this.#answers.set(version, { body, etag: `W/"${stamp}-${version}"` });
    }
    this.#stamp = stamp;
    this.#modified = modified;
  }
}
