// @ts-check
/** Parses a multipart form as it arrives, piece by piece, without touching a file. */
import busboy from "busboy";

import { RefusalError } from "../errors.js";

/** Number of fields and files that a form may have. */
const MAX_PARTS = 1000;
const MAX_NAME_BYTES = 1000;

/** A field or a file of a form. */
export class FormPart {
  /** @type {Buffer[]} bytes that have arrived: of a field all, of a file those that nobody has taken yet */
  data = [];

  /**
   * @param {string} field
   * @param {{originalName: string, mimetype: string} | null} file null if it is a field
   */
  constructor(field, file) {
    this.field = field;
    this.isFile = file !== null;
    /** The name that the file had on the worker's computer, without its folder. */
    this.originalName = file?.originalName ?? "";
    this.mimetype = file?.mimetype ?? "";
  }
}

/** Turns the bytes of a form into its parts. Each method throws a `RefusalError` if the form is malformed or too large. */
export class FormReader {
  /** @type {FormPart[]} */
  parts = [];
  /** Bytes of files that have arrived and that nobody has taken yet; whoever takes them resets it. */
  untakenBytes = 0;
  #parser;
  #maxFieldBytes;
  #fieldBytes = 0;
  /** @type {RefusalError | null} */
  #refusal = null;
  /** @type {() => void} */
  #onFailed = () => {};
  #failed = new Promise((_, reject) => {
    this.#onFailed = () => reject(this.#refusal);
  });

  /**
   * @param {string} contentType the request's Content-Type, which names the boundary
   * @param {number} maxFieldBytes size of all fields that are no files together
   */
  constructor(contentType, maxFieldBytes) {
    this.#maxFieldBytes = maxFieldBytes;
    this.#failed.catch(() => {});
    try {
      this.#parser = busboy({
        headers: { "content-type": contentType },
        defParamCharset: "utf8",
        limits: { fieldNameSize: MAX_NAME_BYTES, fieldSize: maxFieldBytes, parts: MAX_PARTS },
      });
    } catch {
      throw new RefusalError(400, "The form's Content-Type names no boundary.");
    }
    this.#parser.on("field", (name, value, info) => this.#addField(name, value, info));
    this.#parser.on("file", (name, content, info) => this.#addFile(name, content, info));
    this.#parser.on("partsLimit", () => this.#fail(413, `The form has too many parts: it may have ${MAX_PARTS}.`));
    this.#parser.on("error", () => this.#fail(400, "The form is malformed or ends too early."));
  }

  /** Size of what is in memory: fields, and bytes of files that nobody has taken yet. */
  get heldBytes() {
    return this.#fieldBytes + this.untakenBytes;
  }

  /**
   * Parse the next bytes.
   *
   * @param {Buffer} data
   * @returns {Promise<void>}
   */
  async feed(data) {
    await this.#unlessFailed(new Promise((resolve) => this.#parser.write(data, () => resolve())));
  }

  /**
   * Check that the form is complete: there are no more bytes.
   *
   * @returns {Promise<void>}
   */
  async finish() {
    await this.#unlessFailed(
      new Promise((resolve) => {
        this.#parser.once("close", () => resolve());
        this.#parser.end();
      }),
    );
  }

  /**
   * Return the content of a field that has arrived.
   *
   * @param {string} field
   * @returns {string | null} null if there is no such field
   */
  text(field) {
    const part = this.parts.filter((each) => each.field === field && !each.isFile).pop();
    return part ? Buffer.concat(part.data).toString() : null;
  }

  /** Stop parsing. */
  close() {
    this.#parser.destroy();
  }

  /**
   * @param {string} name
   * @param {string} value
   * @param {busboy.FieldInfo} info
   */
  #addField(name, value, { nameTruncated, valueTruncated }) {
    const data = Buffer.from(value);
    this.#fieldBytes += data.length;
    if (nameTruncated || valueTruncated || this.#fieldBytes > this.#maxFieldBytes) {
      this.#fail(413, "The form's fields are too large.");
    }
    const part = new FormPart(name, null);
    part.data.push(data);
    this.parts.push(part);
  }

  /**
   * @param {string} name
   * @param {import("node:stream").Readable} content
   * @param {busboy.FileInfo} info
   */
  #addFile(name, content, { filename, mimeType }) {
    const part = new FormPart(name, { originalName: filename ?? "", mimetype: mimeType });
    this.parts.push(part);
    content.on("data", (/** @type {Buffer} */ data) => {
      part.data.push(data);
      this.untakenBytes += data.length;
    });
    // The parser reports the same error; without a listener here it would end the process.
    content.on("error", () => {});
  }

  /**
   * @param {number} status
   * @param {string} sentence
   */
  #fail(status, sentence) {
    this.#refusal ??= new RefusalError(status, sentence);
    this.#onFailed();
  }

  /** @param {Promise<void>} work */
  async #unlessFailed(work) {
    await Promise.race([work, this.#failed]);
    if (this.#refusal !== null) throw this.#refusal;
  }
}
