// @ts-check
/**
 * Puts the values of a task's data in place of `${field}` in a page, so that a value stays a value: text is never read
 * as HTML, and within a script it is never read as code.
 */

const PLACEHOLDER = /\$\{([^{}]+)\}/g;
/** Attributes whose value is an address. */
const ADDRESSES = new Set(["href", "src", "action", "formaction", "xlink:href", "poster", "data"]);
/** Addresses that would run code. */
const RUNS_CODE = /^(javascript|vbscript|data:text\/html)/i;
/** A value that is the same in a script as it is as text. */
const LITERAL = /^(-?\d+(\.\d+)?|true|false|null)$/;

/**
 * Fills in a page that was parsed and is not shown yet. A placeholder that is no field stays as it is.
 *
 * @param {Document} page
 * @param {Record<string, unknown>} values
 * @param {Set<string>} htmlFields  the fields whose values are HTML
 */
export function fillIn(page, values, htmlFields) {
  const nodes = [];
  const walker = page.createTreeWalker(page, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) nodes.push(walker.currentNode);
  for (const node of nodes) {
    if (node instanceof Text) fillText(node, values, htmlFields);
    else if (node instanceof Element) fillAttributes(node, values);
  }
}

/**
 * @param {Text} node
 * @param {Record<string, unknown>} values
 * @param {Set<string>} htmlFields
 */
function fillText(node, values, htmlFields) {
  if (!node.data.includes("${")) return;
  const parent = node.parentElement;
  if (parent?.tagName === "SCRIPT") {
    node.data = fillScript(node.data, values);
    return;
  }
  const isPlain = parent?.tagName === "STYLE" || parent?.tagName === "TEXTAREA" || parent?.tagName === "TITLE";
  const parts = node.data.split(PLACEHOLDER);
  const filled = parts.map((part, number) => {
    const name = part.trim();
    if (number % 2 === 0) return part;
    if (!Object.hasOwn(values, name)) return `\${${part}}`;
    return htmlFields.has(name) && !isPlain ? parsed(node.ownerDocument, asText(values[name])) : asText(values[name]);
  });
  node.replaceWith(...filled);
}

/**
 * @param {Document} page
 * @param {string} html
 */
function parsed(page, html) {
  const template = page.createElement("template");
  template.innerHTML = html;
  return template.content;
}

/**
 * @param {Element} element
 * @param {Record<string, unknown>} values
 */
function fillAttributes(element, values) {
  for (const { name, value } of [...element.attributes]) {
    if (!value.includes("${")) continue;
    if (name.startsWith("on")) element.setAttribute(name, fillScript(value, values));
    else if (name === "srcdoc") element.removeAttribute(name);
    else {
      const filled = fillString(value, values);
      const runsCode = ADDRESSES.has(name) && RUNS_CODE.test(withoutSpaces(filled));
      element.setAttribute(name, runsCode ? "about:blank" : filled);
    }
  }
}

/**
 * An address as a browser reads it: without the spaces and control characters that it ignores.
 *
 * @param {string} address
 */
const withoutSpaces = (address) => [...address].filter((character) => character > " ").join("");

/**
 * @param {string} text
 * @param {Record<string, unknown>} values
 */
function fillString(text, values) {
  return text.replace(PLACEHOLDER, (whole, part) => {
    const name = part.trim();
    return Object.hasOwn(values, name) ? asText(values[name]) : whole;
  });
}

/**
 * Fills in the text of a script: a value inside quotes stays inside them, and one outside becomes a literal.
 *
 * @param {string} code
 * @param {Record<string, unknown>} values
 */
export function fillScript(code, values) {
  let filled = "";
  let quote = "";
  for (let at = 0; at < code.length; at += 1) {
    const rest = code.slice(at);
    const comment = quote ? null : /^(\/\/[^\n]*|\/\*[^]*?\*\/)/.exec(rest);
    const placeholder = comment ? null : /^\$\{([^{}]+)\}/.exec(rest);
    const name = placeholder?.[1].trim() ?? "";
    if (comment) {
      filled += comment[0];
      at += comment[0].length - 1;
    } else if (placeholder && Object.hasOwn(values, name)) {
      filled += quote ? inQuotes(asText(values[name])) : asLiteral(values[name]);
      at += placeholder[0].length - 1;
    } else if (code[at] === "\\") {
      filled += code.slice(at, at + 2);
      at += 1;
    } else {
      if (code[at] === quote) quote = "";
      else if (!quote && "'\"`".includes(code[at])) quote = code[at];
      else if (code[at] === "\n" && quote !== "`") quote = "";
      filled += code[at];
    }
  }
  return filled;
}

/** @param {unknown} value */
function asText(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** @param {unknown} value */
function asLiteral(value) {
  const text = asText(value);
  return LITERAL.test(text) ? text : JSON.stringify(value ?? null).replace(/[<>&\u2028\u2029]/g, escaped);
}

/** @param {string} text */
const inQuotes = (text) => text.replace(/[^A-Za-z0-9 _.,-]/g, escaped);

/** @param {string} character */
function escaped(character) {
  return [...Array(character.length).keys()]
    .map((number) => `\\u${character.charCodeAt(number).toString(16).padStart(4, "0")}`)
    .join("");
}
