// @ts-check
/**
 * Encodes and decodes the lines of the journal: `<crc32 of the JSON text, 8 hex digits> <JSON>`.
 *
 * A power cut leaves any part of what was not synced: lines that are torn, and lines behind them that are whole. Nobody
 * was told that their content was safe, so reading ends before the first damaged line. Damage to what was synced is not
 * the work of a power cut, and is an error: later lines witness how much of the file was.
 */
import { DamagedJournalError } from "../errors.js";
import { crc32 } from "./crc32.js";

const NEWLINE = 0x0a;
const SPACE = 0x20;
const CRC_DIGITS = 8;
const WITNESS = /^\{"durable":(\d+)\}$/;

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
 * Return the whole lines of a journal up to the first damaged one, in order.
 *
 * @param {Buffer} content
 * @returns {Generator<JournalLine>}
 * @throws {DamagedJournalError} a line is damaged that was on the disk before, as a later one witnesses
 */
export function* decodeLines(content) {
  /** @type {number | null} */
  let damaged = null;
  let end = 0;
  let start = 0;
  for (let number = 1; start < content.length; number += 1) {
    const newline = content.indexOf(NEWLINE, start);
    const json = newline < 0 ? null : decodeLine(content.subarray(start, newline));
    start = newline < 0 ? content.length : newline + 1;
    if (damaged === null && json !== null) {
      end = start;
      yield { number, json, end };
    } else if (damaged === null) {
      damaged = number;
    } else if (json !== null && Number(WITNESS.exec(json)?.[1] ?? 0) > end) {
      throw new DamagedJournalError(`line ${damaged} is damaged, and was on the disk before`);
    }
  }
}

/**
 * Return the line that witnesses how much of the file is on the disk.
 *
 * @param {number} sizeBytes
 */
export function witnessLine(sizeBytes) {
  return encodeLine(JSON.stringify({ durable: sizeBytes }));
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
