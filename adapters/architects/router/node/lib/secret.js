// @ts-check
import { createHash, timingSafeEqual } from "node:crypto";

/**
 * Make the check of the run's secret. It takes the same time for every wrong guess.
 *
 * @param {string} secret
 * @returns {(offered: unknown) => boolean}
 */
export function secretCheck(secret) {
  const expected = digest(secret);
  return (offered) => typeof offered === "string" && timingSafeEqual(digest(offered), expected);
}

/** @param {string} text */
function digest(text) {
  return createHash("sha256").update(text).digest();
}
