// @ts-check
/**
 * A worker's own page: their work in a task, the verdicts on it, and their pay. The token behind the `#` of its address
 * says whose page it is; a browser never sends that part of an address, so no server writes it into a log.
 *
 * The routers serve it while a run is live, and `mephisto-es serve` afterwards. Its texts are in the language of the
 * latest run; while that cannot be loaded, in that of the run which the server is for.
 */

import { text, textOf, useTexts } from "./mephisto_texts.js";
import { drawReceipt } from "./worker_page_receipt.js";

/**
 * @typedef {object} Payment
 * @property {string} purpose
 * @property {number} amount_cents
 * @property {string} status
 * @property {string | null} reason
 *
 * @typedef {object} Work
 * @property {string} task
 * @property {number} unit
 * @property {string} agent
 * @property {string} status
 * @property {number} started_at
 * @property {number | null} submitted_at
 * @property {boolean} is_late
 * @property {number} pay_cents
 * @property {string | null} note
 * @property {Payment[]} payments
 * @property {boolean} may_appeal
 * @property {{status: string, objection: string | null, answer: string | null} | null} appeal
 *
 * @typedef {object} Consent
 * @property {number} task_run
 * @property {string} task
 * @property {boolean} is_withdrawn
 * @property {boolean} is_at_work
 *
 * @typedef {object} WorkerPage
 * @property {Work[]} work
 * @property {boolean} has_more
 * @property {number} owed_cents
 * @property {number} paid_cents
 * @property {Consent[]} consents
 * @property {{language?: string, direction?: string, texts?: Record<string, string>}} texts
 * @property {boolean} offers_receipts
 */

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const [title, state, sums, list, consents, reload] = ["title", "state", "sums", "work", "consents", "reload"].map(byId);

const MAX_APPEAL_LENGTH = 4000;

/** The token in the page's address. */
const token = () => location.hash.slice(1) || "-";

const money = (/** @type {number} */ cents) => (cents / 100).toFixed(2);
const time = (/** @type {number} */ seconds) =>
  new Date(seconds * 1000).toLocaleString(document.documentElement.lang || undefined, {
    dateStyle: "medium",
    timeStyle: "short",
  });

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [properties]
 * @param {(Node | null)[]} children  null is left out
 * @returns {HTMLElementTagNameMap[Tag]}
 */
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

const sentence = (/** @type {string} */ textContent) => element("p", { textContent });

/**
 * Asks the server something about this page.
 *
 * @param {string} path
 * @param {object} body
 * @returns {Promise<any>}
 */
async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response.json();
}

/** @param {Payment} payment */
function drawPayment({ purpose, amount_cents: cents, status, reason }) {
  const what = textOf("purpose", purpose) ?? purpose;
  const became = textOf("payment", status === "approved" ? "owed" : status) ?? status;
  const line = sentence(`${what} ${money(cents)}: ${became}`);
  return element("div", {}, line, reason === null ? null : element("blockquote", { dir: "auto", textContent: reason }));
}

/** @type {Record<string, string>} Statuses of an agent whose text is not named after them. */
const AT_WORK = {
  accepted: "own.at_work",
  "in task": "own.at_work",
  waiting: "own.waiting",
  "partner disconnect": "own.partner_left",
};

/**
 * What became of a piece of work.
 *
 * @param {string} status
 */
const outcome = (status) =>
  status in AT_WORK ? text(AT_WORK[status]) : (textOf("outcome", status) ?? textOf("ended", status) ?? status);

/**
 * @param {Work} work
 * @param {boolean} hasReceipt
 */
function drawWork(work, hasReceipt) {
  const from = time(work.started_at);
  const times =
    work.submitted_at === null
      ? text("own.started", { from })
      : text("own.submitted", { from, to: time(work.submitted_at) });
  const isPaid = work.payments.length > 0;
  return element(
    "article",
    {},
    element("h2", { dir: "auto", textContent: `${work.task || text("own.task")} · ${work.unit}` }),
    sentence(outcome(work.status)),
    work.is_late && work.status !== "approved" ? sentence(text("client.late")) : null,
    element("p", { className: "times", textContent: times }),
    work.note === null ? null : sentence(text("own.note")),
    work.note === null ? null : element("blockquote", { dir: "auto", textContent: work.note }),
    isPaid || work.pay_cents === 0 ? null : sentence(text("own.offered", { amount: money(work.pay_cents) })),
    ...work.payments.map(drawPayment),
    work.appeal === null ? null : drawAppeal(work.appeal),
    work.may_appeal ? drawAppealForm(work) : null,
    hasReceipt && work.submitted_at !== null ? drawReceipt(token(), work.agent) : null,
  );
}

/** @param {string | null} words */
const quote = (words) => (words === null ? null : element("blockquote", { dir: "auto", textContent: words }));

/** @param {NonNullable<Work["appeal"]>} appeal */
function drawAppeal({ status, objection, answer }) {
  const what = sentence(textOf("appeal", status) ?? status);
  return element("div", {}, sentence(text("own.your_objection")), quote(objection), what, quote(answer));
}

/** @param {Work} work */
function drawAppealForm(work) {
  const id = `objection-${work.unit}-${work.started_at}`;
  const area = element("textarea", { id, required: true, maxLength: MAX_APPEAL_LENGTH });
  const label = element("label", { htmlFor: id, textContent: text("own.objection") });
  const button = element("button", { type: "submit", textContent: text("own.send_objection") });
  const progress = element("p", { className: "problem", role: "status" });
  const form = element("form", {}, sentence(text("own.may_appeal")), label, area, button, progress);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    progress.textContent = text("own.sending_objection");
    try {
      await post("/submit_appeal", { USED_AGENT_ID: work.agent, text: area.value, worker_page: token() });
      form.replaceChildren(sentence(text("own.your_objection")), element("blockquote", { textContent: area.value }));
      await load();
    } catch (problem) {
      console.warn(problem);
      progress.textContent = text("own.objection_not_sent");
      button.disabled = false;
    }
  });
  return form;
}

/**
 * Shows a consent, and lets the worker withdraw it, after asking once more.
 *
 * @param {Consent} consent
 */
function drawConsent(consent) {
  const { task } = consent;
  if (consent.is_withdrawn) return element("article", {}, sentence(text("withdrawal.done", { task })));
  const given = sentence(text("withdrawal.given", { task }));
  if (consent.is_at_work) return element("article", {}, given, sentence(text("withdrawal.at_work")));
  const ask = element("button", { type: "button", textContent: text("withdrawal.ask") });
  const yes = element("button", { type: "button", textContent: text("withdrawal.yes") });
  const no = element("button", { type: "button", textContent: text("withdrawal.no") });
  const sure = element("div", { hidden: true }, sentence(text("withdrawal.sure")), yes, no);
  const progress = element("p", { className: "problem", role: "status" });
  const show = (/** @type {boolean} */ isAsking) => {
    sure.hidden = !isAsking;
    ask.hidden = isAsking;
    (isAsking ? no : ask).focus();
  };
  ask.addEventListener("click", () => show(true));
  no.addEventListener("click", () => show(false));
  yes.addEventListener("click", async () => {
    yes.disabled = no.disabled = true;
    progress.textContent = text("withdrawal.sending");
    if (await withdraw(consent.task_run)) return;
    yes.disabled = no.disabled = false;
    progress.textContent = text("withdrawal.failed");
  });
  return element("article", {}, given, sentence(text("withdrawal.explain")), ask, sure, progress);
}

/**
 * Withdraws the consent to a run, and shows the page after that; returns false if it is not withdrawn.
 *
 * @param {number} run
 */
async function withdraw(run) {
  try {
    const { data } = await post("/worker_page", { worker_page: token(), withdraw_consent: run });
    /** @type {WorkerPage | null | undefined} */
    const page = data.page;
    if (!page?.consents.some((consent) => consent.task_run === run && consent.is_withdrawn)) return false;
    draw(page);
    return true;
  } catch (problem) {
    console.warn(problem);
    return false;
  }
}

/** @param {WorkerPage} page */
function draw(page) {
  if (page.texts.texts) useTexts(page.texts);
  drawFrame();
  list.replaceChildren(...page.work.map((work) => drawWork(work, page.offers_receipts)));
  const hasConsents = page.consents.length > 0;
  const heading = element("h2", { textContent: text("consent.title") });
  consents.replaceChildren(...(hasConsents ? [heading, ...page.consents.map(drawConsent)] : []));
  sums.textContent = text("own.sums", { owed: money(page.owed_cents), paid: money(page.paid_cents) });
  sums.hidden = page.work.length === 0;
  const isShort = page.has_more ? text("own.more") : "";
  state.textContent = page.work.length === 0 ? text("own.none") : isShort;
}

/** Shows what is on the page whatever the worker has done. */
function drawFrame() {
  document.title = title.textContent = text("own.title");
  reload.textContent = text("own.reload");
}

/** Takes the texts of the run that the server is for, if it is for one. */
async function loadTexts() {
  try {
    const response = await fetch("/task_config.json");
    if (response.ok) useTexts(await response.json());
  } catch (problem) {
    console.warn(problem);
  }
  drawFrame();
}

/** Loads the page's contents, and shows them or why there are none. */
async function load() {
  state.textContent = text("own.loading");
  try {
    const { data } = await post("/worker_page", { worker_page: token() });
    if (data.failure_reason) state.textContent = data.failure_reason;
    else if (data.page === null) state.textContent = text("own.unknown");
    else draw(data.page);
  } catch (problem) {
    console.warn(problem);
    state.textContent = text("own.unreachable");
  }
  reload.hidden = false;
  title.focus();
}

reload.addEventListener("click", load);
addEventListener("hashchange", load);
await loadTexts();
await load();
