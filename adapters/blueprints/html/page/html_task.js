// @ts-check
/**
 * Shows HTML files of a task as Mephisto's static tasks do: `${field}` stands for a value of the data, the page is a
 * form around the file, and the form is what is submitted.
 *
 * A page hides the button below it with `window._MEPHISTO_CONFIG_.set("HIDE_SUBMIT_BUTTON", true)`.
 */

import * as Mephisto from "/mephisto_client.js";
import { fillIn } from "/html_fields.js";
import { text } from "/mephisto_texts.js";
import { drawTips } from "/mephisto_tips.js";
import { drawReceiptOf } from "/worker_page_receipt.js";

const TASK = "/task.html";
const PREVIEW = "/preview.html";
const ONBOARDING = "/onboarding.html";
const HIDE_BUTTON = "HIDE_SUBMIT_BUTTON";

const state = /** @type {HTMLElement} */ (document.getElementById("mephisto-state"));
const place = /** @type {HTMLElement} */ (document.getElementById("mephisto-page"));

/** @type {Map<string, unknown>} */
const globalConfig = new Map();
/** @type {HTMLButtonElement | null} */
let button = null;

const showButton = () => {
  if (button) button.hidden = globalConfig.get(HIDE_BUTTON) === true;
};

Object.assign(window, {
  _MEPHISTO_CONFIG_: {
    get: (/** @type {string} */ name) => globalConfig.get(name),
    set(/** @type {string} */ name, /** @type {unknown} */ value) {
      globalConfig.set(name, value);
      showButton();
    },
  },
});

/** @param {string} sentence */
function say(sentence) {
  state.textContent = sentence;
  state.hidden = sentence === "";
}

/**
 * Shows a file, filled in, and runs its scripts.
 *
 * @param {string} address
 * @param {Record<string, unknown>} values
 * @param {Mephisto.Task} task
 * @param {{isForm?: boolean}} [options]
 */
async function show(address, values, task, { isForm = true } = {}) {
  const answer = await fetch(address);
  if (!answer.ok) return say(text("page.not_loaded"));
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  fillIn(page, values, new Set(task.config.html_fields ?? []));
  const own = page.querySelector("form");
  const around = document.createElement(isForm && own === null ? "form" : "div");
  const heads = [...page.head.querySelectorAll("link, style, script")].map((node) => document.importNode(node, true));
  around.append(...heads, ...[...page.body.childNodes].map((node) => document.importNode(node, true)));
  const tips = drawTips(task.config);
  place.replaceChildren(...(tips === null ? [] : [tips]), around);
  if (page.title) document.title = page.title;
  say("");
  if (isForm) addButton(around instanceof HTMLFormElement ? around : around.querySelector("form"));
  await runScripts(around);
}

/**
 * Adds a button to a form that has none of its own.
 *
 * @param {HTMLFormElement | null} form
 */
function addButton(form) {
  button = null;
  if (form === null || form.querySelector("button[type=submit], button:not([type]), input[type=submit]")) return;
  button = document.createElement("button");
  button.type = "submit";
  button.id = "html-task-submit-button";
  button.textContent = text("page.submit");
  form.append(button);
  showButton();
}

/**
 * Runs the scripts of a page one after the other: a parsed page does not run them.
 *
 * @param {HTMLElement} page
 */
async function runScripts(page) {
  for (const parsed of page.querySelectorAll("script")) {
    const script = document.createElement("script");
    for (const { name, value } of parsed.attributes) script.setAttribute(name, value);
    script.textContent = parsed.textContent;
    script.async = false;
    const isLoaded =
      parsed.src && new Promise((resolve) => ["load", "error"].forEach((one) => script.addEventListener(one, resolve)));
    parsed.replaceWith(script);
    await isLoaded;
  }
}

/** @type {Mephisto.Task | null} */
let current = null;

/** @param {Record<string, unknown>} data */
const valuesOf = (data, /** @type {Mephisto.Task} */ task) => ({
  ...data,
  mephisto_agent_id: task.agentId,
  provider_worker_id: getWorkerName(),
});

addEventListener("submit", async (event) => {
  if (current === null || !(event.target instanceof HTMLFormElement)) return;
  event.preventDefault();
  const form = new FormData(event.target, event.submitter);
  const buttons = event.target.querySelectorAll("button, input[type=submit]");
  buttons.forEach((one) => one.setAttribute("disabled", ""));
  try {
    await current.submitForm(form);
  } finally {
    buttons.forEach((one) => one.removeAttribute("disabled"));
  }
});

await Mephisto.start({
  onTask(data, task) {
    current = task;
    show(TASK, valuesOf(data, task), task);
  },
  onOnboarding(data, task) {
    current = task;
    show(task.config.has_onboarding ? ONBOARDING : TASK, valuesOf(data, task), task);
  },
  onPreview(task) {
    if (task.config.has_preview) show(PREVIEW, {}, task, { isForm: false });
    else say(text("page.preview"));
  },
  onBlocked(sentence) {
    place.replaceChildren();
    say(sentence);
  },
  onSubmitted(_data, task) {
    const receipt = drawReceiptOf(task);
    place.replaceChildren(...(receipt === null ? [] : [receipt]));
    say(text("page.submitted"));
  },
});
