/**
 * A crowd site's side of a page: who the worker is comes from named parameters of
 * the address, which `MEPHISTO_PROVIDER` tells (`arrival_settings` in Python). All texts
 * come from `MEPHISTO_TEXTS`, in the language of the run.
 * Without a usable id the page is a preview, and a bar tells the person what to do.
 * Loaded before the task's own scripts, which call the four globals below.
 */
"use strict";

const LONGEST_ID = 200;
/** Marks of placeholders that a site has not filled in. */
const PLACEHOLDER = /\{\{|\}\}|\$\{|%\w+%|^\[.*\]$|^<.*>$|^X{3,}$|^ASSIGNMENT_ID/i;

/** @type {any} */
const siteSettings = /** @type {any} */ (window).MEPHISTO_PROVIDER;
/** @type {{language: string, direction: string, texts: Record<string, string>}} */
const siteTexts = /** @type {any} */ (window).MEPHISTO_TEXTS;
/**
 * The key of the text about an address that names nobody.
 *
 * @type {string | null}
 */
let arrivalProblem = null;

/**
 * The value of a parameter of the address, or null.
 *
 * @param {string | null} name
 * @param {boolean} isRequired
 */
function arrivedId(name, isRequired) {
  if (name === null) return null;
  const given = new URLSearchParams(window.location.search).getAll(name).map((value) => value.trim());
  const values = [...new Set(given)];
  const value = values[0] ?? "";
  if (values.length > 1) arrivalProblem ??= "arrival.repeated";
  else if (PLACEHOLDER.test(value)) arrivalProblem ??= "arrival.placeholder";
  else if (value.length > LONGEST_ID) arrivalProblem ??= "arrival.unusable";
  else if (value === "" && isRequired) arrivalProblem ??= "arrival.missing";
  if (value === "" || arrivalProblem !== null) return null;
  return siteSettings.ignoresCase ? value.toLowerCase() : value;
}

/** The invitation, which only the server can read, or null. */
const arrivedProof = siteSettings.proof === null ? null : new URLSearchParams(location.search).get(siteSettings.proof);
if (siteSettings.proof !== null && !arrivedProof) arrivalProblem = "arrival.missing";

// With an invitation, the server knows who it is for.
const arrivedWorker = arrivedProof === null ? arrivedId(siteSettings.worker, true) : "invited";
const arrivedWork = arrivedId(siteSettings.work, false);
const arrivedStudy = arrivedId(siteSettings.study, false);

/**
 * The parts of a text with a code, which keeps its own direction of writing.
 *
 * @param {string} key
 * @param {string | null} code
 */
function withCode(key, code) {
  const sentence = siteTexts.texts[key] ?? key;
  if (code === null) return [sentence];
  const [before, after] = sentence.split("{code}");
  const shown = document.createElement("bdi");
  shown.textContent = code;
  // A text of the run's own may lack the place of the code, which the worker needs all the same.
  return after === undefined ? [before, " ", shown] : [before, shown, after];
}

/**
 * Shows a text at the top of the page, with a link if there is one.
 *
 * @param {string} key
 * @param {{code?: string | null, address?: string | null, label?: string | null}} [parts]
 */
function showSiteBar(key, { code = null, address = null, label = null } = {}) {
  const bar = document.createElement("p");
  bar.setAttribute("role", "status");
  bar.id = "mephisto-site-bar";
  bar.style.cssText = "margin:0;padding:0.8em 1em;background:#eef3fb;border-bottom:1px solid #9ab;font:16px sans-serif";
  bar.lang = siteTexts.language;
  bar.dir = siteTexts.direction;
  bar.append(...withCode(key, code));
  if (address !== null && label !== null) {
    const link = document.createElement("a");
    link.href = address;
    link.textContent = siteTexts.texts[label] ?? label;
    bar.append(" ", link);
  }
  document.getElementById(bar.id)?.remove();
  document.body.prepend(bar);
  bar.scrollIntoView();
}

if (arrivalProblem !== null) {
  const problem = arrivalProblem;
  document.addEventListener("DOMContentLoaded", () => showSiteBar(problem));
}

/** The worker's name at the site, or null in a preview. */
function getWorkerName() {
  return arrivalProblem === null ? arrivedWorker : null;
}

/** The number of the person's unit, for a person who may take one after the other. */
const UNIT_PARAMETER = "mephisto_unit";
const arrivedNumber = Number.parseInt(new URLSearchParams(location.search).get(UNIT_PARAMETER) ?? "1", 10);
const arrivedUnit = siteSettings.severalUnits && arrivedNumber > 1 ? arrivedNumber : 1;

/** The piece of work at the site, or null in a preview. */
function getAssignmentId() {
  if (arrivalProblem !== null) return null;
  const work = arrivedWork ?? arrivedWorker;
  return arrivedUnit === 1 ? work : `${work}-${arrivedUnit}`;
}

/** Where the person's next unit is: at the same address, with the next number. */
function nextUnitAddress() {
  const address = new URL(window.location.href);
  address.searchParams.set(UNIT_PARAMETER, String(arrivedUnit + 1));
  return address.href;
}
// The stock page offers a next unit if there is such a function.
if (siteSettings.severalUnits) Object.assign(window, { getNextUnitAddress: nextUnitAddress });

/** A text that this browser keeps, so that an address for one browser cannot be used in another. */
function browserSession() {
  const name = "mephisto-session";
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const fresh = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    const kept = window.localStorage.getItem(name) ?? fresh;
    window.localStorage.setItem(name, kept);
    return kept;
  } catch (problem) {
    console.warn("this browser keeps nothing; please do not reload the page", problem);
    return fresh;
  }
}
const arrivedSession = siteSettings.bindsBrowser ? browserSession() : null;

/** What the server needs to find or make this worker's agent. */
function getAgentRegistration() {
  return {
    provider_proof: arrivedProof,
    provider_session: arrivedSession,
    worker_name: getWorkerName(),
    agent_registration_id: `${getAssignmentId()}-${getWorkerName()}`,
    assignment_id: getAssignmentId(),
    provider_type: siteSettings.provider,
    provider_handle: arrivedWork ?? (siteSettings.workIsWorker ? arrivedWorker : null),
    provider_study: arrivedStudy,
  };
}

/** The code that proves that the work is done, or null if the server does not tell it now. */
async function completionCode() {
  try {
    const response = await fetch("/request_agent", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ provider_data: getAgentRegistration(), client_timestamp: Date.now() / 1000 }),
    });
    return (await response.json()).data.completion_code ?? null;
  } catch (problem) {
    console.warn(problem);
    return null;
  }
}

/** Called once the server has the work: the worker goes back to the site. */
async function handleSubmitToProvider() {
  const { sentence, url, label, code: sharedCode, isAutomatic, hasCode } = siteSettings.completion;
  const code = hasCode ? await completionCode() : sharedCode;
  /** @type {Record<string, string | null>} */
  const ids = { participant: arrivedWorker, work: arrivedWork, study: arrivedStudy, code };
  const address = url?.replace(/\{(\w+)\}/g, (/** @type {string} */ _, /** @type {string} */ name) =>
    encodeURIComponent(ids[name] ?? ""),
  );
  if (address && isAutomatic) window.location.assign(address);
  else showSiteBar(hasCode && code === null ? "visit.code_missing" : sentence, { code, address, label });
}
