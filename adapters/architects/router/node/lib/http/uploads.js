// @ts-check
/**
 * Stores files that workers upload: streamed to the disk, never held in memory.
 *
 * A file is written under a random name of ours ending in `.part`. It gets its final name once it is whole and durable,
 * so that the remains of a crash or of a broken upload are never served.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, statSync, unlinkSync } from "node:fs";
import { open, rename, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";

import { RefusalError, StartError, codeOf } from "../errors.js";
import { syncDirectory } from "../journal/journal_file.js";
import { log } from "../log.js";
import { Resource } from "./body_pool.js";
import { FormReader } from "./form_reader.js";

/** Bytes of files that are collected before they are written. */
const WRITE_BYTES = 256 * 1024;
/** Bytes of a form that are parsed before others have their turn: small parts take a hundred times as long as a file. */
const PARSE_BYTES = 8 * 1024;
/** The same of a stranger's form. */
const STRANGERS_PARSE_BYTES = 2 * 1024;
/** Bytes of a file that take about as long as one part, however small. */
const PART_BYTES = 4 * 1024;
/** The field of a form that names the agent. Forms that name it first need not share the disk with strangers. */
const AGENT_FIELD = "USED_AGENT_ID";

const UNFINISHED = ".part";
const FILE_NAME = /^[0-9a-f]{32}$/;

/** @typedef {import("node:http").IncomingMessage} IncomingMessage */
/** @typedef {import("./bodies.js").BodyReader} BodyReader */
/** @typedef {import("./form_reader.js").FormPart} FormPart */

/**
 * One file of a form, as the operator receives it.
 *
 * @typedef {object} StoredFile
 * @property {string} fieldname
 * @property {string} originalname
 * @property {string} mimetype
 * @property {string} filename our own random name, under which the file is downloaded
 * @property {number} size
 * @property {string} sha256
 */

/** Writes one file of a form. */
class FileWriter {
  #part;
  #path;
  #digest = createHash("sha256");
  #size = 0;
  /** @type {import("node:fs/promises").FileHandle | null} */
  #handle = null;

  /**
   * @param {FormPart} part
   * @param {string} path
   */
  constructor(part, path) {
    this.#part = part;
    this.#path = path;
  }

  /** Append the bytes that have arrived. */
  async write() {
    const data = Buffer.concat(this.#part.data);
    this.#part.data = [];
    this.#digest.update(data);
    this.#size += data.length;
    this.#handle ??= await open(this.#path + UNFINISHED, "wx", 0o600);
    await this.#handle.writeFile(data);
  }

  /**
   * Make the file durable under its final name.
   *
   * @param {string} filename
   * @returns {Promise<StoredFile>}
   */
  async keep(filename) {
    await this.write();
    await this.#handle?.sync();
    await this.#close();
    await rename(this.#path + UNFINISHED, this.#path);
    return {
      fieldname: this.#part.field,
      originalname: this.#part.originalName,
      mimetype: this.#part.mimetype,
      filename,
      size: this.#size,
      sha256: this.#digest.digest("hex"),
    };
  }

  /** Remove the file under either name. */
  async discard() {
    await this.#close();
    await unlink(this.#path + UNFINISHED).catch(() => {});
    await unlink(this.#path).catch(() => {});
  }

  async #close() {
    await this.#handle?.close();
    this.#handle = null;
  }
}

/** A form that has arrived: its fields in memory, its files on the disk but not kept yet. */
export class UploadedForm {
  #reader;
  #directory;
  #newName;
  #checkAgent;
  #hasKnownAgent = false;
  #receivedBytes = 0;
  /** @type {Map<FormPart, {filename: string, writer: FileWriter}>} */
  #writers = new Map();

  /**
   * @param {FormReader} reader
   * @param {string} directory
   * @param {() => string} newName
   * @param {(token: string) => void} checkAgent
   */
  constructor(reader, directory, newName, checkAgent) {
    this.#reader = reader;
    this.#directory = directory;
    this.#newName = newName;
    this.#checkAgent = checkAgent;
  }

  /**
   * Return the content of a field.
   *
   * @param {string} field
   * @returns {string | null} null if there is no such field
   */
  text(field) {
    return this.#reader.text(field);
  }

  /**
   * Make the files durable.
   *
   * @returns {Promise<StoredFile[]>}
   * @throws {RefusalError} they could not be written
   */
  async keep() {
    return stored(async () => {
      const kept = [];
      for (const part of this.#reader.parts) {
        // A file field that was left empty has neither a name nor bytes: it is no file.
        if (!part.isFile || !(part.originalName || part.data.length > 0 || this.#writers.has(part))) continue;
        const { filename, writer } = this.#writer(part);
        kept.push(await writer.keep(filename));
      }
      if (kept.length > 0) await syncDirectory(this.#directory);
      return kept;
    });
  }

  /** Remove the files. */
  async discard() {
    this.#reader.close();
    for (const { writer } of this.#writers.values()) await writer.discard();
  }

  /**
   * Read the form from a request.
   *
   * @param {IncomingMessage} request
   * @param {BodyReader} bodies
   * @throws {RefusalError} it is malformed, incomplete or too large, there is no room for it, or it could not be written
   * @throws {UnknownAgentError} no agent has the token that it names
   */
  async receive(request, bodies) {
    await bodies.readPieces(request, (piece, body) => this.#take(piece, body));
    await this.#reader.finish();
    this.#checkAgent(this.agent);
  }

  /** The token of the agent that the form names; empty if it names none. */
  get agent() {
    return this.text(AGENT_FIELD) ?? "";
  }

  /**
   * @param {Buffer} piece
   * @param {import("./body_pool.js").PooledBody} body
   */
  async #take(piece, body) {
    body.hold(Resource.FORM, 1);
    this.#receivedBytes += piece.length;
    // A form may name its agent at once, and then need not be throttled.
    const peekedBytes = body.isTrusted ? 0 : STRANGERS_PARSE_BYTES;
    await this.#parse(piece.subarray(0, peekedBytes), body);
    await body.throttle(piece.length);
    await this.#parse(piece.subarray(peekedBytes), body);
    body.hold(Resource.DISK, this.#hasKnownAgent ? 0 : this.#receivedBytes);
    if (this.#reader.untakenBytes >= WRITE_BYTES) await stored(() => this.#write());
    body.hold(Resource.MEMORY, this.#reader.heldBytes);
  }

  /**
   * Parse bytes, a few before others have their turn, and check the sender.
   *
   * @param {Buffer} data
   * @param {import("./body_pool.js").PooledBody} body
   */
  async #parse(data, body) {
    const step = body.isTrusted ? PARSE_BYTES : STRANGERS_PARSE_BYTES;
    for (let start = 0; start < data.length; start += step) {
      const parts = this.#reader.parts.length;
      await this.#reader.feed(data.subarray(start, start + step));
      await setImmediate();
      await body.throttle(PART_BYTES * (this.#reader.parts.length - parts));
    }
    this.#checkSender(body);
  }

  /**
   * Check the agent of the form as soon as it is named.
   *
   * @param {import("./body_pool.js").PooledBody} body
   */
  #checkSender(body) {
    if (this.#hasKnownAgent || this.text(AGENT_FIELD) === null) return;
    this.#checkAgent(this.agent);
    this.#hasKnownAgent = true;
    body.trust();
  }

  async #write() {
    this.#reader.untakenBytes = 0;
    for (const part of this.#reader.parts) {
      if (part.isFile && part.data.length > 0) await this.#writer(part).writer.write();
    }
  }

  /** @param {FormPart} part */
  #writer(part) {
    let entry = this.#writers.get(part);
    if (!entry) {
      const filename = this.#newName();
      entry = { filename, writer: new FileWriter(part, join(this.#directory, filename)) };
      this.#writers.set(part, entry);
    }
    return entry;
  }
}

/** The directory of uploaded files. */
export class Uploads {
  #directory;
  #bodies;
  #maxFieldBytes;
  #newName;

  /**
   * @param {string} directory where they are; created if missing, and freed from what an earlier process did not finish
   * @param {object} options
   * @param {BodyReader} options.bodies reads forms with their files
   * @param {number} options.maxFieldBytes size of a form without its files
   * @param {() => string} options.newName makes names that nobody can guess, of 32 hex digits
   * @throws {StartError} the directory cannot be used
   */
  constructor(directory, { bodies, maxFieldBytes, newName }) {
    try {
      mkdirSync(directory, { mode: 0o700, recursive: true });
      for (const name of readdirSync(directory)) if (name.endsWith(UNFINISHED)) unlinkSync(join(directory, name));
    } catch (error) {
      throw new StartError(`The data directory ${directory} cannot be used: ${codeOf(error)}.`);
    }
    this.#directory = directory;
    this.#bodies = bodies;
    this.#maxFieldBytes = maxFieldBytes;
    this.#newName = newName;
  }

  /**
   * Receive a form. After an error nothing of it stays on the disk.
   *
   * @param {IncomingMessage} request
   * @param {(token: string) => void} checkAgent called with the token that the form names as soon as that has arrived;
   *   throws for a stranger's
   * @returns {Promise<UploadedForm>}
   * @throws {RefusalError} the form is malformed, incomplete or too large, there is no room for it, or it could not be
   *   written
   * @throws {UnknownAgentError} no agent has the token that it names
   */
  async receive(request, checkAgent) {
    const reader = new FormReader(request.headers["content-type"] ?? "", this.#maxFieldBytes);
    const form = new UploadedForm(reader, this.#directory, this.#newName, checkAgent);
    try {
      await form.receive(request, this.#bodies);
      return form;
    } catch (error) {
      await form.discard();
      throw error;
    }
  }

  /**
   * Return the path of an uploaded file.
   *
   * @param {string} filename
   * @returns {string | null} null if there is none of that name
   */
  path(filename) {
    if (!FILE_NAME.test(filename)) return null;
    const path = join(this.#directory, filename);
    return statSync(path, { throwIfNoEntry: false })?.isFile() ? path : null;
  }

  /**
   * Delete an uploaded file, which the operator has stored; a no-op if there is none of that name.
   *
   * @param {string} filename
   * @throws {RefusalError} it could not be deleted
   */
  async delete(filename) {
    const path = this.path(filename);
    if (path !== null) await stored(() => rm(path, { force: true }));
  }
}

/**
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function stored(work) {
  try {
    return await work();
  } catch (error) {
    log("upload_failed", { reason: codeOf(error) });
    throw new RefusalError(503, "The task server cannot store files at the moment. Please try again in a minute.");
  }
}
