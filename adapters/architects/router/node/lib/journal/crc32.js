// @ts-check
/** Computes the CRC-32 that zlib has, also where Node does not offer zlib's own (before 20.15). */
import * as zlib from "node:zlib";

const POLYNOMIAL = 0xedb88320;

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  return value;
});

/**
 * Compute it byte by byte.
 *
 * @param {string | Uint8Array} data text counts as UTF-8
 * @returns {number}
 */
export function tableCrc32(data) {
  let crc = 0xffffffff;
  for (const byte of Buffer.from(data)) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** @type {(data: string | Uint8Array) => number} */
export const crc32 = /** @type {any} */ (zlib).crc32 ?? tableCrc32;
