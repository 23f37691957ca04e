// @ts-check
/**
 * Keeps the journal in a file: whole up to a known size, or cut back to it.
 *
 * After a failed write nothing is known about the bytes behind the last good one; they are cut off before the next write.
 */
import { spawnSync } from "node:child_process";
import { constants, mkdirSync, openSync } from "node:fs";
import { open, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";

import { StartError, codeOf } from "../errors.js";

/** `O_EXLOCK` of the BSDs and macOS, where `open` itself takes the lock; Node has no name for it. */
const O_EXLOCK = 0x20;

/** @typedef {import("node:fs/promises").FileHandle} FileHandle */

/** A file that is only ever appended to, or replaced as a whole. */
export class JournalFile {
  #handle;
  #hasTornEnd = true;
  #nameIsDurable = true;

  /**
   * @param {string} path an existing file
   * @param {FileHandle} handle
   * @param {number} sizeBytes how much of it is good; the rest is cut off
   */
  constructor(path, handle, sizeBytes) {
    this.path = path;
    this.sizeBytes = sizeBytes;
    /** How much of it is on the disk, as far as this process knows. */
    this.syncedBytes = 0;
    this.#handle = handle;
  }

  /**
   * Open an existing file.
   *
   * @param {string} path
   * @param {number} sizeBytes how much of it is good
   * @returns {Promise<JournalFile>}
   */
  static async open(path, sizeBytes) {
    return new JournalFile(path, await open(path, "r+"), sizeBytes);
  }

  /**
   * Create a file, or replace one, such that a crash leaves the old state or the new one, whole.
   *
   * @param {string} path
   * @param {string} text
   */
  static async create(path, text) {
    const { handle } = await writeDraft(path, text);
    await handle.close();
    await syncDirectory(dirname(path));
  }

  /**
   * Write text at the end. If that fails none of it counts; what reached the disk is cut off before the next write.
   *
   * @param {string} text whole lines
   * @param {{durably: boolean}} options return only when they are on the disk
   */
  async append(text, { durably }) {
    if (!this.#nameIsDurable) await this.#makeNameDurable();
    if (this.#hasTornEnd) await this.#handle.truncate(this.sizeBytes);
    this.#hasTornEnd = true;
    const written = await writeAll(this.#handle, Buffer.from(text), this.sizeBytes);
    if (durably) await this.#handle.datasync();
    this.#hasTornEnd = false;
    this.sizeBytes += written;
    if (durably) this.syncedBytes = this.sizeBytes;
  }

  /**
   * Replace the whole content, all or nothing. If that fails the file is as before, or its new name has yet to become
   * durable; nothing is appended until it is.
   *
   * @param {string} text
   */
  async replace(text) {
    const { handle, sizeBytes } = await writeDraft(this.path, text);
    const previous = this.#handle;
    this.#handle = handle;
    this.sizeBytes = this.syncedBytes = sizeBytes;
    this.#hasTornEnd = false;
    this.#nameIsDurable = false;
    await previous.close();
    await this.#makeNameDurable();
  }

  /** Bring everything to the disk and close. */
  async close() {
    await this.#handle.datasync();
    await this.#handle.close();
  }

  async #makeNameDurable() {
    await syncDirectory(dirname(this.path));
    this.#nameIsDurable = true;
  }
}

/**
 * Make the names in a directory durable.
 *
 * @param {string} directory
 */
export async function syncDirectory(directory) {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Lock a directory for as long as this process lives; it is created if missing.
 *
 * The lock is the kernel's (`flock`), so it ends with the process, however that ends. Node cannot take it itself: on
 * Linux the `flock` command takes it on our open file, which it inherits and we keep.
 *
 * @param {string} directory
 * @throws {StartError} another process holds the lock, or the directory cannot be used
 */
export function lockDataDirectory(directory) {
  const path = join(directory, "lock");
  const taken = new StartError(
    `${directory} is in use by another router: stop that one, or use another data directory.`,
  );
  try {
    mkdirSync(directory, { mode: 0o700, recursive: true });
    if (process.platform !== "linux") {
      openSync(path, constants.O_CREAT | constants.O_RDWR | constants.O_NONBLOCK | O_EXLOCK, 0o600);
      return;
    }
    const fd = openSync(path, constants.O_CREAT | constants.O_RDWR, 0o600);
    const { status, error } = spawnSync("flock", ["-n", "3"], {
      stdio: ["ignore", "ignore", "ignore", fd],
      env: { PATH: process.env.PATH },
    });
    if (error) throw error;
    if (status !== 0) throw taken;
  } catch (error) {
    if (error === taken || codeOf(error) === "EAGAIN") throw taken;
    throw new StartError(
      `${path} cannot be locked (${codeOf(error)}): check the data directory, and that the flock command is installed.`,
    );
  }
}

/**
 * Put a durable file with this text at `path`. Its name is not durable yet.
 *
 * @param {string} path
 * @param {string} text
 * @returns {Promise<{handle: FileHandle, sizeBytes: number}>}
 */
async function writeDraft(path, text) {
  const draft = `${path}.new`;
  const handle = await open(draft, "w+", 0o600);
  try {
    const sizeBytes = await writeAll(handle, Buffer.from(text), 0);
    await handle.sync();
    await rename(draft, path);
    return { handle, sizeBytes };
  } catch (error) {
    await handle.close();
    await unlink(draft).catch(() => {});
    throw error;
  }
}

/**
 * Write all bytes, in as many pieces as the system wants.
 *
 * @param {FileHandle} handle
 * @param {Buffer} bytes
 * @param {number} position
 * @returns {Promise<number>} how many bytes that was
 */
async function writeAll(handle, bytes, position) {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
  return done;
}
