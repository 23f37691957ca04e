// @ts-check
/** The HTML file of a static task with its `${fields}` and an answer filled in. */

import { fillIn } from "/html_fields.js";
import { facts, makeReadOnly, onWork } from "/review_frame.js";

const place = /** @type {HTMLElement} */ (document.getElementById("mephisto-page"));
const nonce = /** @type {HTMLElement} */ (document.getElementById("facts")).nonce;
/** Attributes with an address; those that begin with "/" mean the server of the task. */
const ADDRESSES = ["src", "href", "poster", "data"];

/** @type {Map<string, unknown>} */
const globalConfig = new Map();
Object.assign(window, {
  _MEPHISTO_CONFIG_: {
    get: (/** @type {string} */ name) => globalConfig.get(name),
    set: (/** @type {string} */ name, /** @type {unknown} */ value) => void globalConfig.set(name, value),
  },
});

onWork(async (inputs, outputs) => {
  const page = new DOMParser().parseFromString(facts.html, "text/html");
  // Scripts of the file run; those in the values of the data have no mark, and do not.
  for (const script of page.querySelectorAll("script")) script.setAttribute("data-own", "");
  fillIn(page, inputs ?? {}, new Set(facts.html_fields));
  for (const name of ADDRESSES) {
    for (const node of page.querySelectorAll(`[${name}^="/"]:not([${name}^="//"])`)) {
      node.setAttribute(name, facts.base + node.getAttribute(name)?.slice(1));
    }
  }
  const heads = [...page.head.querySelectorAll("link, style, script")].map((node) => document.importNode(node, true));
  place.replaceChildren(...heads, ...[...page.body.childNodes].map((node) => document.importNode(node, true)));
  await runScripts();
  fillAnswers(outputs ?? {});
  makeReadOnly(place);
});

/** Runs the scripts of the file one after the other: a parsed page does not run them. */
async function runScripts() {
  for (const parsed of place.querySelectorAll("script")) {
    const isOwn = parsed.hasAttribute("data-own");
    const script = document.createElement("script");
    for (const { name, value } of parsed.attributes) script.setAttribute(name, value);
    script.textContent = parsed.textContent;
    if (!isOwn) {
      parsed.remove();
      continue;
    }
    script.nonce = nonce;
    script.async = false;
    const isLoaded =
      parsed.src && new Promise((resolve) => ["load", "error"].forEach((one) => script.addEventListener(one, resolve)));
    parsed.replaceWith(script);
    await isLoaded;
  }
}

/**
 * Fills in the answers by the names of the fields.
 *
 * @param {Record<string, any>} outputs
 */
function fillAnswers(outputs) {
  for (const control of place.querySelectorAll("input, textarea, select")) {
    const name = control.getAttribute("name") ?? "";
    if (!Object.hasOwn(outputs, name)) continue;
    const values = [outputs[name]].flat().map(String);
    if (control instanceof HTMLInputElement && ["radio", "checkbox"].includes(control.type)) {
      control.checked = values.includes(control.value);
    } else if (control instanceof HTMLSelectElement) {
      for (const option of control.options) option.selected = values.includes(option.value);
    } else if (!(control instanceof HTMLInputElement && control.type === "file")) {
      /** @type {HTMLInputElement} */ (control).value = values[0] ?? "";
    }
  }
}
