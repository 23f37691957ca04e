// @ts-check
/**
 * Checks and slices JSON as text, without decoding what a task put into it.
 *
 * Whatever a task puts into a body or a packet is opaque to the router. It is checked to be strict JSON and forwarded as
 * the text it was (`Raw`), so that numbers keep their digits.
 */
import { isUtf8 } from "node:buffer";

import { MalformedJsonError } from "./errors.js";

/** Deeper data is refused: whatever reads it behind the router has a limited stack. */
const MAX_NESTING = 200;

/** Codes of characters. A bit makes a bracket the brace of the same side, and nothing else a brace. */
const [QUOTE, BACKSLASH, OPENING, CLOSING, AS_BRACE] = [0x22, 0x5c, 0x7b, 0x7d, 0x20];

// One escape of a JSON string: a pair of surrogates, half of a pair (captured), or any other.
const ESCAPE = /\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|[^])/g;

/**
 * A JSON text, on one line.
 *
 * @typedef {string} Raw
 */

/**
 * Encode a value for use inside a packet.
 *
 * @param {unknown} value
 * @returns {Raw}
 */
export function raw(value) {
  return JSON.stringify(value);
}

/**
 * Compose an object of members that are encoded already.
 *
 * @param {Record<string, Raw | undefined>} members those that are undefined are left out
 * @returns {Raw}
 */
export function rawObject(members) {
  const parts = [];
  for (const [name, text] of Object.entries(members)) {
    if (text !== undefined) parts.push(`${JSON.stringify(name)}:${text}`);
  }
  return `{${parts.join(",")}}`;
}

/**
 * Return a text as strict JSON on a single line. A byte order mark before it is dropped.
 *
 * Half of a surrogate pair, which JavaScript writes for a string cut in the middle of a character, becomes U+FFFD:
 * nothing behind the router could read it.
 *
 * @param {Buffer | string} content
 * @param {number} [maxNesting] levels that are accepted
 * @returns {Raw}
 * @throws {MalformedJsonError} it is not JSON, not UTF-8, nested too deeply for a later reader, or holds a number that
 *   no reader can hold
 */
export function strictJson(content, maxNesting = MAX_NESTING) {
  if (typeof content !== "string" && !isUtf8(content)) throw new MalformedJsonError("the text is not UTF-8");
  const text = content.toString().replace(/^\ufeff/, "");
  // First: to build a million arrays inside each other takes much longer, and a hundred megabytes.
  if (isNestedDeeper(text, maxNesting)) throw new MalformedJsonError("the data is nested too deeply");
  checkNumbers(parse(text));
  return wholeCharacters(text.replace(/[\r\n]+/g, " ").trim());
}

/**
 * Return whether a packet has data, and it is a JSON object.
 *
 * @param {Raw | undefined} data
 * @returns {data is Raw}
 */
export function isObject(data) {
  return data !== undefined && data.startsWith("{");
}

/**
 * Slice strict JSON into the members of the object that it is.
 *
 * @param {Raw} text
 * @returns {Map<string, Raw>}
 * @throws {MalformedJsonError} it is not an object
 */
export function membersOf(text) {
  if (!isObject(text)) throw new MalformedJsonError("an object is expected");
  const members = new Map();
  let at = afterSpace(text, 1);
  while (text[at] === '"') {
    const colon = afterSpace(text, afterString(text, at));
    const start = afterSpace(text, colon + 1);
    const end = afterValue(text, start);
    members.set(JSON.parse(text.slice(at, afterString(text, at))), text.slice(start, end).trimEnd());
    at = afterSpace(text, end + 1);
  }
  return members;
}

/**
 * Slice strict JSON into the items of the array that it is.
 *
 * @param {Raw} text
 * @returns {Raw[]}
 */
export function itemsOf(text) {
  const items = [];
  let at = afterSpace(text, 1);
  while (text[at] !== "]" && at < text.length) {
    const end = afterValue(text, at);
    items.push(text.slice(at, end).trimEnd());
    at = text[end] === "," ? afterSpace(text, end + 1) : end;
  }
  return items;
}

/**
 * Reads one member of an object; see `read`.
 *
 * @template T
 * @typedef {(text: Raw | undefined) => T} MemberReader
 */

/**
 * Read strict JSON as an object of a shape.
 *
 * @template {Record<string, MemberReader<any>>} Shape
 * @param {Raw} text
 * @param {Shape} shape a reader for each member that counts; the others are ignored
 * @returns {{[Name in keyof Shape]: ReturnType<Shape[Name]>}}
 * @throws {MalformedJsonError} it has another shape; the message names the member
 */
export function read(text, shape) {
  const members = membersOf(text);
  /** @type {Record<string, unknown>} */
  const values = {};
  for (const [name, readMember] of Object.entries(shape)) {
    try {
      values[name] = readMember(members.get(name));
    } catch (error) {
      if (!(error instanceof MalformedJsonError)) throw error;
      throw new MalformedJsonError(`${name}: ${error.message}`);
    }
  }
  return /** @type {any} */ (values);
}

/** @type {MemberReader<string>} */
export function readText(text) {
  if (text === undefined || !text.startsWith('"')) throw new MalformedJsonError("a text is expected");
  return JSON.parse(text);
}

/** @type {MemberReader<number>} */
export function readInteger(text) {
  const value = text === undefined ? undefined : JSON.parse(text);
  if (!Number.isSafeInteger(value)) throw new MalformedJsonError("a whole number is expected");
  return value;
}

/** @type {MemberReader<Raw>} */
export function readObject(text) {
  if (!isObject(text)) throw new MalformedJsonError("an object is expected");
  return text;
}

/**
 * Make a reader of something that may be null or left out.
 *
 * @template T
 * @param {MemberReader<T>} readValue
 * @returns {MemberReader<T | null>}
 */
export function optional(readValue) {
  return (text) => (text === undefined || text === "null" ? null : readValue(text));
}

/**
 * Make a reader of a text that is taken as it is.
 *
 * @param {Raw} fallback the text if it was left out
 * @returns {MemberReader<Raw>}
 */
export function anything(fallback) {
  return (text = fallback) => text;
}

/** @type {MemberReader<number | null | undefined>} */
export function readTimestamp(text) {
  const value = text === undefined ? undefined : JSON.parse(text);
  if (value !== undefined && value !== null && typeof value !== "number") {
    throw new MalformedJsonError("a number is expected");
  }
  return value;
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new MalformedJsonError("the text is not JSON");
  }
}

/**
 * Return whether a text, if it is JSON, has more arrays and objects inside each other than `levels`.
 *
 * @param {string} text
 * @param {number} levels
 */
function isNestedDeeper(text, levels) {
  if (levels === Infinity) return false;
  let depth = 0;
  let isInString = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) isInString = !isInString;
    else if (isInString) at += code === BACKSLASH ? 1 : 0;
    else if ((code | AS_BRACE) === OPENING) {
      depth += 1;
      if (depth > levels) return true;
    } else if ((code | AS_BRACE) === CLOSING) depth -= 1;
  }
  return false;
}

/** @param {unknown} value */
function checkNumbers(value) {
  if (typeof value === "number" && !Number.isFinite(value)) throw new MalformedJsonError("a number is out of range");
  if (typeof value !== "object" || value === null) return;
  // Without lists of the values: they take thirty times as long.
  if (Array.isArray(value)) for (const part of value) checkNumbers(part);
  else for (const name in value) checkNumbers(/** @type {Record<string, unknown>} */ (value)[name]);
}

/** @param {string} text */
function wholeCharacters(text) {
  if (!/\\u[dD]/.test(text)) return text;
  return text.replace(ESCAPE, (escape, half) => (half ? "\\ufffd" : escape));
}

/**
 * @param {string} text
 * @param {number} at
 */
function afterSpace(text, at) {
  while (text[at] === " " || text[at] === "\t") at += 1;
  return at;
}

/**
 * @param {string} text
 * @param {number} start offset of the opening quote
 */
function afterString(text, start) {
  for (let quote = text.indexOf('"', start + 1); ; quote = text.indexOf('"', quote + 1)) {
    let slashes = 0;
    while (text[quote - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
  }
}

/**
 * @param {string} text
 * @param {number} start
 * @returns {number} offset of the comma or bracket behind the value
 */
function afterValue(text, start) {
  let depth = 0;
  for (let at = start; at < text.length;) {
    const character = text[at];
    if (character === '"') {
      at = afterString(text, at);
      continue;
    }
    if (depth === 0 && (character === "," || character === "}" || character === "]")) return at;
    if (character === "{" || character === "[") depth += 1;
    else if (character === "}" || character === "]") depth -= 1;
    at += 1;
  }
  return text.length;
}
