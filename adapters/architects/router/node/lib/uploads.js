// @ts-check
// Forms with files: streamed to disk, never held in memory.
import { createHash, randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, unlink } from "node:fs/promises";
import { join } from "node:path";

import busboy from "busboy";

import { Refused } from "./errors.js";
import { syncDirectory } from "./journal_file.js";
import { log } from "./log.js";

const MAX_PARTS = 1000;
const MAX_NAME_BYTES = 1000;
const FILE_NAME = /^[0-9a-f]{32}$/;
const UNFINISHED = ".part";

/**
 * @typedef {object} UploadedFile
 * @property {string} fieldname
 * @property {string} originalname
 * @property {string} mimetype
 * @property {string} filename our own random name, under which it is downloaded
 * @property {number} size
 * @property {string} sha256
 */

/** The files that workers handed in, in one directory, under names of our own. */
export class Uploads {
  #directory;
  #maxFieldBytes;
  #maxUploadBytes;

  /**
   * @param {string} directory
   * @param {{maxFieldBytes: number, maxUploadBytes: number}} limits for one text field, and for a whole form
   */
  constructor(directory, { maxFieldBytes, maxUploadBytes }) {
    this.#directory = directory;
    this.#maxFieldBytes = maxFieldBytes;
    this.#maxUploadBytes = maxUploadBytes;
  }

  /** Create the directory, and remove what an earlier process was interrupted at. */
  async prepare() {
    await mkdir(this.#directory, { recursive: true });
    for (const name of await readdir(this.#directory)) {
      if (name.endsWith(UNFINISHED)) await unlink(join(this.#directory, name));
    }
  }

  /**
   * Where a file is.
   *
   * @param {string} filename
   * @returns {string | null} null when that cannot be the name of one
   */
  path(filename) {
    return FILE_NAME.test(filename) ? join(this.#directory, filename) : null;
  }

  /**
   * Receive a multipart form. Its files are on disk when this returns; if it throws, none is left there.
   *
   * @param {import("node:http").IncomingMessage} request
   * @param {(name: string, value: string) => void} takeField called with each text field as it comes; may throw `Refused`
   * @returns {Promise<UploadedFile[]>}
   * @throws {Refused} 400 for a broken form, 413 for one that is too large, 503 when it cannot be stored
   */
  async receive(request, takeField) {
    /** @type {Promise<UploadedFile | null>[]} */
    const stores = [];
    try {
      await this.#parse(request, {
        field: takeField,
        file: (name, content, info) => stores.push(this.#store(name, content, info)),
        stores,
      });
      const files = (await Promise.all(stores)).filter((file) => file !== null);
      if (files.length > 0) await this.#finish(files);
      return files;
    } catch (error) {
      await this.#discardAll(stores);
      if (error instanceof Refused) throw error;
      log("upload_failed", { code: /** @type {NodeJS.ErrnoException} */ (error).code });
      throw new Refused(503, "The task server cannot store the files at the moment. Please try again in a minute.");
    }
  }

  /**
   * Remove files that were received and then not accepted.
   *
   * @param {UploadedFile[]} files
   */
  async discard(files) {
    for (const { filename } of files) await unlink(join(this.#directory, filename)).catch(() => {});
  }

  /**
   * @param {import("node:http").IncomingMessage} request
   * @param {object} sinks
   * @param {(name: string, value: string) => void} sinks.field
   * @param {(name: string, content: import("node:stream").Readable, info: busboy.FileInfo) => void} sinks.file
   * @param {Promise<UploadedFile | null>[]} sinks.stores a failure of one ends the form
   * @returns {Promise<void>} fulfilled when the whole form was read
   */
  #parse(request, { field, file, stores }) {
    return new Promise((resolve, reject) => {
      const parser = this.#parser(request);
      // The parser goes on with what it has in hand after it was stopped.
      let isRefused = false;
      const refuse = (/** @type {unknown} */ error) => {
        if (isRefused) return;
        isRefused = true;
        request.unpipe(parser);
        parser.destroy();
        request.resume();
        reject(error);
      };
      parser.on("field", (name, value, { nameTruncated, valueTruncated }) => {
        try {
          if (nameTruncated || valueTruncated) throw new Refused(413, "A field of the form is too large.");
          field(name, value);
        } catch (error) {
          refuse(error);
        }
      });
      parser.on("file", (name, content, info) => {
        // Whoever reads the file sees the error; without a listener of its own it would end the process.
        content.on("error", () => {});
        if (isRefused) {
          content.resume();
          return;
        }
        file(name, content, info);
        stores[stores.length - 1].catch(refuse);
      });
      parser.on("partsLimit", () => refuse(new Refused(413, "The form has too many fields.")));
      parser.on("error", () => refuse(new Refused(400, "The form is not complete or not well-formed.")));
      parser.on("close", () => resolve());
      let bytes = 0;
      request.on("data", (chunk) => {
        bytes += chunk.length;
        if (bytes > this.#maxUploadBytes) refuse(new Refused(413, "The files are too large."));
      });
      request.on("close", () => {
        if (!request.complete) refuse(new Refused(400, "The form did not arrive whole."));
      });
      request.pipe(parser);
    });
  }

  /** @param {import("node:http").IncomingMessage} request */
  #parser(request) {
    try {
      return busboy({
        headers: request.headers,
        defParamCharset: "utf8",
        limits: {
          fieldNameSize: MAX_NAME_BYTES,
          fieldSize: this.#maxFieldBytes,
          parts: MAX_PARTS,
        },
      });
    } catch {
      throw new Refused(400, "The form has no usable Content-Type.");
    }
  }

  /**
   * @param {string} fieldname
   * @param {import("node:stream").Readable} content
   * @param {busboy.FileInfo} info
   * @returns {Promise<UploadedFile | null>} null for a file field in which nothing was chosen
   */
  async #store(fieldname, content, { filename: originalname = "", mimeType: mimetype }) {
    const filename = randomBytes(16).toString("hex");
    const path = join(this.#directory, filename + UNFINISHED);
    const hash = createHash("sha256");
    let size = 0;
    let isWorthKeeping = false;
    const handle = await open(path, "wx", 0o600);
    try {
      for await (const chunk of content) {
        size += chunk.length;
        hash.update(chunk);
        await handle.writeFile(chunk);
      }
      await handle.sync();
      isWorthKeeping = size > 0 || originalname !== "";
    } finally {
      await handle.close();
      if (!isWorthKeeping) await unlink(path);
    }
    return isWorthKeeping ? { fieldname, originalname, mimetype, filename, size, sha256: hash.digest("hex") } : null;
  }

  /** @param {UploadedFile[]} files */
  async #finish(files) {
    for (const { filename } of files) {
      const path = join(this.#directory, filename);
      await rename(path + UNFINISHED, path);
    }
    await syncDirectory(this.#directory);
  }

  /** @param {Promise<UploadedFile | null>[]} stores */
  async #discardAll(stores) {
    for (const store of await Promise.allSettled(stores)) {
      if (store.status === "rejected" || store.value === null) continue;
      const path = join(this.#directory, store.value.filename);
      await unlink(path + UNFINISHED).catch(() => unlink(path).catch(() => {}));
    }
  }
}
