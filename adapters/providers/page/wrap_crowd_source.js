/**
 * A crowd site's side of a page: who the worker is comes from named parameters of
 * the address, which `MEPHISTO_PROVIDER` tells (`ArrivalPage.settings` writes it).
 * Without a usable id the page is a preview, and a bar tells the person what to do.
 * Loaded before the task's own scripts, which call the four globals below.
 */
"use strict";

const LONGEST_ID = 200;
/** Marks of placeholders that a site has not filled in. */
const PLACEHOLDER = /\{\{|\}\}|\$\{|%\w+%|^\[.*\]$|^<.*>$|^X{3,}$|^ASSIGNMENT_ID/i;
const ARRIVAL_PROBLEMS = {
  missing: "This address lacks your id. Please open the study again from the page that invited you.",
  repeated: "This address has more than one id. Please open the study again from the page that invited you.",
  placeholder: "This address has a placeholder where your id should be. Please tell the person who invited you.",
  unusable: "The id in this address cannot be used. Please open the study again from the page that invited you.",
};

/** @type {any} */
const siteSettings = /** @type {any} */ (window).MEPHISTO_PROVIDER;
/** @type {string | null} */
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
  if (values.length > 1) arrivalProblem ??= ARRIVAL_PROBLEMS.repeated;
  else if (PLACEHOLDER.test(value)) arrivalProblem ??= ARRIVAL_PROBLEMS.placeholder;
  else if (value.length > LONGEST_ID) arrivalProblem ??= ARRIVAL_PROBLEMS.unusable;
  else if (value === "" && isRequired) arrivalProblem ??= ARRIVAL_PROBLEMS.missing;
  if (value === "" || arrivalProblem !== null) return null;
  return siteSettings.ignoresCase ? value.toLowerCase() : value;
}

/** The invitation, which only the server can read, or null. */
const arrivedProof = siteSettings.proof === null ? null : new URLSearchParams(location.search).get(siteSettings.proof);
if (siteSettings.proof !== null && !arrivedProof) arrivalProblem = ARRIVAL_PROBLEMS.missing;

// With an invitation, the server knows who it is for.
const arrivedWorker = arrivedProof === null ? arrivedId(siteSettings.worker, true) : "invited";
const arrivedWork = arrivedId(siteSettings.work, false);
const arrivedStudy = arrivedId(siteSettings.study, false);

/**
 * Shows a sentence at the top of the page, with a link if there is one.
 *
 * @param {string} sentence
 * @param {string | null} [address]
 * @param {string} [label]
 */
function showSiteBar(sentence, address = null, label = "") {
  const bar = document.createElement("p");
  bar.setAttribute("role", "status");
  bar.id = "mephisto-site-bar";
  bar.style.cssText = "margin:0;padding:0.8em 1em;background:#eef3fb;border-bottom:1px solid #9ab;font:16px sans-serif";
  bar.textContent = sentence;
  if (address !== null) {
    const link = document.createElement("a");
    link.href = address;
    link.textContent = label;
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
  const { sentence: words, url, label, isAutomatic, hasCode } = siteSettings.completion;
  const code = hasCode ? await completionCode() : null;
  const sentence = code === null ? words : `${words} ${code}`;
  /** @type {Record<string, string | null>} */
  const ids = { participant: arrivedWorker, work: arrivedWork, study: arrivedStudy, code };
  const address = url?.replace(/\{(\w+)\}/g, (/** @type {string} */ _, /** @type {string} */ name) =>
    encodeURIComponent(ids[name] ?? ""),
  );
  if (address && isAutomatic) window.location.assign(address);
  else showSiteBar(sentence, address ?? null, label);
}
