// @ts-check
// The journal's file: append-only text that is either whole up to a known offset, or cut back to it.
import { open, readFile, rename, unlink } from "node:fs/promises";

/**
 * A file of lines that grows at its end.
 *
 * After a failed write nothing is known about the bytes behind the last good offset; they are cut off before the next
 * write.
 */
export class JournalFile {
  /** @type {import("node:fs/promises").FileHandle} */
  #handle;
  #torn = false;

  /**
   * @param {string} path
   * @param {import("node:fs/promises").FileHandle} handle
   * @param {number} size
   */
  constructor(path, handle, size) {
    this.path = path;
    this.#handle = handle;
    /** Offset behind the last good line. */
    this.size = size;
  }

  /**
   * Open an existing file.
   *
   * @param {string} path
   * @returns {Promise<{file: JournalFile, text: Buffer}>}
   */
  static async open(path) {
    const text = await readFile(path);
    return { file: new JournalFile(path, await open(path, "r+"), text.length), text };
  }

  /**
   * Put a file with this text in the place of `path`: there is always either the old file or the new one, whole.
   * Which of them a crash leaves is settled when the caller has synced the directory.
   *
   * @param {string} path
   * @param {string} text
   * @returns {Promise<JournalFile>}
   */
  static async replace(path, text) {
    const draft = `${path}.new`;
    const handle = await open(draft, "w+");
    try {
      const size = await writeAll(handle, Buffer.from(text), 0);
      await handle.sync();
      await rename(draft, path);
      return new JournalFile(path, handle, size);
    } catch (error) {
      await handle.close();
      await unlink(draft).catch(() => {});
      throw error;
    }
  }

  /**
   * Write lines at the end.
   *
   * @param {string} lines
   * @param {boolean} durable return only when they are on disk
   */
  async append(lines, durable) {
    if (this.#torn) {
      await this.cut(this.size);
      this.#torn = false;
    }
    try {
      const written = await writeAll(this.#handle, Buffer.from(lines), this.size);
      if (durable) await this.#handle.datasync();
      this.size += written;
    } catch (error) {
      this.#torn = true;
      throw error;
    }
  }

  /**
   * Drop everything behind an offset.
   *
   * @param {number} size
   */
  async cut(size) {
    await this.#handle.truncate(size);
    await this.#handle.datasync();
    this.size = size;
  }

  /** Sync and close. */
  async close() {
    await this.#handle.datasync();
    await this.#handle.close();
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
 * @param {import("node:fs/promises").FileHandle} handle
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
