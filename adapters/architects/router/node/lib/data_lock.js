// @ts-check
import { spawnSync } from "node:child_process";
import { constants, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";

import { StartError } from "./errors.js";

/** `O_EXLOCK` of the BSDs and macOS, where `open` itself takes the lock; Node has no name for it. */
const O_EXLOCK = 0x20;

/**
 * Make sure that no other router uses this data directory.
 *
 * The lock is the kernel's (`flock`), so it ends with the process however that ends. Node cannot ask for it itself: on
 * Linux the `flock` command takes it on our open file, which it inherits and we keep.
 *
 * @param {string} directory created if missing
 * @throws {StartError} when another process holds the lock, or the directory cannot be used
 */
export function lockDataDirectory(directory) {
  const path = join(directory, "lock");
  const taken = new StartError(
    `${directory} is in use by another router: stop that one, or use another data directory`,
  );
  try {
    mkdirSync(directory, { recursive: true });
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
    const code = /** @type {NodeJS.ErrnoException} */ (error).code;
    if (error === taken || code === "EAGAIN") throw taken;
    throw new StartError(
      `${path} cannot be locked (${code}): check the data directory, and that the flock command is installed`,
    );
  }
}
