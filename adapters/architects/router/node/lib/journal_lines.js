// @ts-check
// One line of the journal: `<crc32 of the JSON text, 8 hex digits> <JSON>\n`.
import { crc32 } from "./crc32.js";
import { StartError } from "./errors.js";

const NEWLINE = 0x0a;
const CRC_DIGITS = 8;

/**
 * @param {string} json
 * @returns {string} the line, with its newline
 */
export function encodeLine(json) {
  return `${crc32(json).toString(16).padStart(CRC_DIGITS, "0")} ${json}\n`;
}

/**
 * Read the lines of a journal, from the first to the last good one.
 *
 * What a crash leaves behind is a torn or damaged last line: reading ends before it. Damage further up is not the work
 * of a crash, and whatever follows it may have been promised to someone, so that is an error.
 *
 * @param {Buffer} content
 * @param {string} file its name, for the error
 * @returns {Generator<{record: unknown, line: number, end: number}>} `end` is the offset behind the line
 * @throws {StartError} on damage before the last line
 */
export function* decodeLines(content, file) {
  let start = 0;
  for (let line = 1; start < content.length; line += 1) {
    const newline = content.indexOf(NEWLINE, start);
    const record = newline < 0 ? undefined : decodeLine(content.subarray(start, newline));
    if (record === undefined) {
      if (newline >= 0 && newline + 1 < content.length) {
        throw new StartError(
          `${file}, line ${line} is damaged and more lines follow: restore the file from a copy, or start with an empty data directory`,
        );
      }
      return;
    }
    yield { record, line, end: newline + 1 };
    start = newline + 1;
  }
}

/**
 * @param {Buffer} line without its newline
 * @returns {unknown} undefined when the line is damaged
 */
function decodeLine(line) {
  const json = line.subarray(CRC_DIGITS + 1);
  const digits = line.toString("latin1", 0, CRC_DIGITS);
  if (!/^[0-9a-f]{8}$/i.test(digits) || line[CRC_DIGITS] !== 0x20 || crc32(json) !== parseInt(digits, 16)) {
    return undefined;
  }
  try {
    return JSON.parse(json.toString("utf8"));
  } catch {
    return undefined;
  }
}
