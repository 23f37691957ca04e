// @ts-check
/**
 * Writes the router's log: one JSON object a line on stderr, within limits of rate and size.
 *
 * Nothing secret belongs here, no agent's token, and nothing that a worker wrote.
 */
import { fstatSync, ftruncateSync, readSync, writeSync } from "node:fs";
import { performance } from "node:perf_hooks";

/** Lines that are written in a minute; further ones are only counted. */
const LINES_PER_MINUTE = 300;
/** Size of a log file; beyond it only the end is kept. */
const MAX_BYTES = 8 * 1024 * 1024;
/** How much of a file is kept then. */
const KEPT_BYTES = 2 * 1024 * 1024;

/** Lines in a file, or in whatever else a descriptor stands for. */
export class BoundedLog {
  #fd;
  #monotonic;
  #maxBytes;
  #keptBytes;
  #minuteBegan;
  #lines = 0;
  #suppressed = 0;

  /**
   * @param {number} fd where they go. A file is shortened if it can be read, too.
   * @param {() => number} monotonic returns seconds since any fixed moment
   * @param {number} [maxBytes] size of a file
   * @param {number} [keptBytes] how much of its end is kept when it is shortened
   */
  constructor(fd, monotonic, maxBytes = MAX_BYTES, keptBytes = KEPT_BYTES) {
    this.#fd = fd;
    this.#monotonic = monotonic;
    this.#maxBytes = maxBytes;
    this.#keptBytes = keptBytes;
    this.#minuteBegan = monotonic();
  }

  /**
   * Write a line, unless there were too many in this minute.
   *
   * @param {string} line
   */
  write(line) {
    const now = this.#monotonic();
    if (now - this.#minuteBegan >= 60) {
      if (this.#suppressed > 0) {
        this.#append(`${JSON.stringify({ event: "lines_suppressed", count: this.#suppressed })}\n`);
      }
      this.#minuteBegan = now;
      this.#lines = 0;
      this.#suppressed = 0;
    }
    this.#lines += 1;
    if (this.#lines > LINES_PER_MINUTE) this.#suppressed += 1;
    else this.#append(line);
  }

  /** @param {string} line */
  #append(line) {
    try {
      writeSync(this.#fd, line);
      const status = fstatSync(this.#fd);
      if (!status.isFile() || status.size <= this.#maxBytes) return;
      const end = Buffer.alloc(this.#keptBytes);
      const length = readSync(this.#fd, end, 0, end.length, status.size - end.length);
      ftruncateSync(this.#fd, 0);
      writeSync(this.#fd, end.subarray(end.indexOf("\n") + 1, length));
    } catch {
      // A log that cannot be written must not stop the router.
    }
  }
}

const stderr = new BoundedLog(2, () => performance.now() / 1000);

/**
 * Write one line for the person who runs the process.
 *
 * @param {string} event what happened, a short fixed name
 * @param {Record<string, unknown>} [facts] what else is worth knowing
 */
export function log(event, facts = {}) {
  stderr.write(`${JSON.stringify({ time: new Date().toISOString(), event, ...facts })}\n`);
}
