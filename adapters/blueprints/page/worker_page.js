// @ts-check
/**
 * A worker's own page: their work in a task, the verdicts on it, and their pay. The token behind the `#` of its address
 * says whose page it is; a browser never sends that part of an address, so no server writes it into a log.
 *
 * The routers serve it while a run is live, and `mephisto-es serve` afterwards.
 */

/** All sentences of this page, in one place. */
const TEXTS = {
  loading: "Loading your work…",
  unknown: "There is no page at this address. Please open the whole address that you were given.",
  unreachable: "Your work cannot be loaded at the moment. Please try again in a minute.",
  none: "You have no work here yet.",
  more: "Only your latest work is shown.",
  task: "Task",
  /** @param {string} owed @param {string} paid */
  sums: (owed, paid) => `Paid so far: ${paid}. Still to be paid: ${owed}.`,
  /** @param {string} amount */
  offered: (amount) => `Pay for this task: ${amount}.`,
  /** @param {string} from @param {string | null} to */
  times: (from, to) => (to === null ? `Started ${from}` : `Started ${from}, submitted ${to}`),
  late: "Your work came after its time was up. It is kept, and the people who run the task decide whether it counts.",
  note: "What the reviewer wrote:",
  mayAppeal: "If you think that this is a mistake, you can object once. Say why; another person will look at it.",
  objection: "Your objection",
  sendAppeal: "Send the objection",
  sendingAppeal: "Sending your objection…",
  appealNotSent: "Your objection was not sent. Please try again.",
  yourObjection: "You objected:",
  /** @type {Record<string, string>} */
  appeals: {
    open: "Nobody has answered your objection yet.",
    dismissed: "The answer to your objection: the decision stands.",
    accepted: "Your objection was accepted.",
  },
  /** @type {Record<string, string>} What became of a piece of work, by the status of its agent. */
  statuses: {
    accepted: "You have this task now.",
    waiting: "You are waiting for your partner.",
    "in task": "You have this task now.",
    completed: "Submitted. It has not been reviewed yet.",
    approved: "Approved.",
    soft_rejected: "Reviewed. It is paid, and it is left out of the data.",
    rejected: "Not accepted. It is not paid.",
    disconnect: "You were away for too long, and the task has ended.",
    timeout: "The time for the task ran out.",
    returned: "The task was returned.",
    expired: "The task was withdrawn.",
    "partner disconnect": "Your partner has left. You can still submit your work.",
  },
  /** @type {Record<string, string>} */
  purposes: { pay: "Pay", bonus: "Bonus" },
  /** @type {Record<string, string>} What became of a payment, by its status. */
  payments: {
    owed: "to be paid",
    approved: "to be paid",
    requested: "on its way",
    sent: "sent",
    "in doubt": "being looked into",
    confirmed: "paid",
    failed: "could not be paid yet",
  },
};

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
 * @typedef {{work: Work[], has_more: boolean, owed_cents: number, paid_cents: number}} WorkerPage
 */

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const [title, state, sums, list, reload] = ["title", "state", "sums", "work", "reload"].map(byId);

const MAX_APPEAL_LENGTH = 4000;

/** The token in the page's address. */
const token = () => location.hash.slice(1) || "-";

const money = (/** @type {number} */ cents) => (cents / 100).toFixed(2);
const time = (/** @type {number} */ seconds) =>
  new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

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
  const what = TEXTS.purposes[purpose] ?? purpose;
  const line = sentence(`${what} ${money(cents)}: ${TEXTS.payments[status] ?? status}`);
  return element("div", {}, line, reason === null ? null : element("blockquote", { dir: "auto", textContent: reason }));
}

/** @param {Work} work */
function drawWork(work) {
  const times = TEXTS.times(time(work.started_at), work.submitted_at === null ? null : time(work.submitted_at));
  const isPaid = work.payments.length > 0;
  return element(
    "article",
    {},
    element("h2", { dir: "auto", textContent: `${work.task || TEXTS.task} · ${work.unit}` }),
    sentence(TEXTS.statuses[work.status] ?? work.status),
    work.is_late && work.status !== "approved" ? sentence(TEXTS.late) : null,
    element("p", { className: "times", textContent: times }),
    work.note === null ? null : sentence(TEXTS.note),
    work.note === null ? null : element("blockquote", { dir: "auto", textContent: work.note }),
    isPaid || work.pay_cents === 0 ? null : sentence(TEXTS.offered(money(work.pay_cents))),
    ...work.payments.map(drawPayment),
    work.appeal === null ? null : drawAppeal(work.appeal),
    work.may_appeal ? drawAppealForm(work) : null,
  );
}

/** @param {string | null} text */
const quote = (text) => (text === null ? null : element("blockquote", { dir: "auto", textContent: text }));

/** @param {NonNullable<Work["appeal"]>} appeal */
function drawAppeal({ status, objection, answer }) {
  const what = sentence(TEXTS.appeals[status] ?? status);
  return element("div", {}, sentence(TEXTS.yourObjection), quote(objection), what, quote(answer));
}

/** @param {Work} work */
function drawAppealForm(work) {
  const id = `objection-${work.unit}-${work.started_at}`;
  const text = element("textarea", { id, required: true, maxLength: MAX_APPEAL_LENGTH });
  const label = element("label", { htmlFor: id, textContent: TEXTS.objection });
  const button = element("button", { type: "submit", textContent: TEXTS.sendAppeal });
  const progress = element("p", { className: "problem", role: "status" });
  const form = element("form", {}, sentence(TEXTS.mayAppeal), label, text, button, progress);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    progress.textContent = TEXTS.sendingAppeal;
    try {
      await post("/submit_appeal", { USED_AGENT_ID: work.agent, text: text.value, worker_page: token() });
      form.replaceChildren(sentence(TEXTS.yourObjection), element("blockquote", { textContent: text.value }));
      await load();
    } catch (problem) {
      console.warn(problem);
      progress.textContent = TEXTS.appealNotSent;
      button.disabled = false;
    }
  });
  return form;
}

/** @param {WorkerPage} page */
function draw(page) {
  list.replaceChildren(...page.work.map(drawWork));
  sums.textContent = TEXTS.sums(money(page.owed_cents), money(page.paid_cents));
  sums.hidden = page.work.length === 0;
  const isShort = page.has_more ? TEXTS.more : "";
  state.textContent = page.work.length === 0 ? TEXTS.none : isShort;
}

/** Loads the page's contents, and shows them or why there are none. */
async function load() {
  state.textContent = TEXTS.loading;
  try {
    const { data } = await post("/worker_page", { worker_page: token() });
    if (data.failure_reason) state.textContent = data.failure_reason;
    else if (data.page === null) state.textContent = TEXTS.unknown;
    else draw(data.page);
  } catch (problem) {
    console.warn(problem);
    state.textContent = TEXTS.unreachable;
  }
  reload.hidden = false;
  title.focus();
}

reload.addEventListener("click", load);
addEventListener("hashchange", load);
load();
