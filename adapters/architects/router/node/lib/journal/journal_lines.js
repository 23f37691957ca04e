// @ts-check
/**
 * Encodes and decodes the lines of the journal: `<crc32 of the JSON text, 8 hex digits> <JSON>`.
 *
 * A crash in the middle of a write leaves at most a torn or damaged last line, and nobody was told that its content was
 * safe: reading ends before it. Damage further up is not the work of a crash, and the lines behind it may have been
 * promised to somebody: that is an error.
 */
import { DamagedJournalError } from "../errors.js";
import { crc32 } from "./crc32.js";

const NEWLINE = 0x0a;
const SPACE = 0x20;
const CRC_DIGITS = 8;

/**
 * One whole line.
 *
 * @typedef {object} JournalLine
 * @property {number} number counted from 1
 * @property {string} json
 * @property {number} end offset of the byte behind it
 */

/**
 * Return a JSON text as a line of the journal, with its line end.
 *
 * @param {string} json
 * @returns {string}
 */
export function encodeLine(json) {
  return `${crc32(json).toString(16).padStart(CRC_DIGITS, "0")} ${json}\n`;
}

/**
 * Return the whole lines of a journal, in order.
 *
 * @param {Buffer} content
 * @returns {Generator<JournalLine>}
 * @throws {DamagedJournalError} a line is damaged and others follow it
 */
export function* decodeLines(content) {
  let start = 0;
  for (let number = 1; start < content.length; number += 1) {
    const newline = content.indexOf(NEWLINE, start);
    const json = newline < 0 ? null : decodeLine(content.subarray(start, newline));
    if (json === null) {
      const isLast = newline < 0 || newline + 1 === content.length;
      if (!isLast) throw new DamagedJournalError(`line ${number} is damaged and others follow it`);
      return;
    }
    start = newline + 1;
    yield { number, json, end: start };
  }
}

/**
 * @param {Buffer} line without its line end
 * @returns {string | null} null if it is damaged
 */
function decodeLine(line) {
  const json = line.subarray(CRC_DIGITS + 1);
  const digits = line.toString("latin1", 0, CRC_DIGITS);
  const isWhole = /^[0-9a-f]{8}$/.test(digits) && line[CRC_DIGITS] === SPACE && crc32(json) === parseInt(digits, 16);
  return isWhole ? json.toString("utf8") : null;
}
