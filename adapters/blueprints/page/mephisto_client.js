// @ts-check
/**
 * The worker's side of a task, without a build step. `/wrap_crowd_source.js` (the
 * crowd provider's four globals) comes first, then the page's own module:
 *
 *     import * as Mephisto from "/mephisto_client.js";
 *
 *     const task = await Mephisto.start({
 *       onTask: (data, task) => showForm(data),
 *       onPreview: (task) => showPreview(task.config),
 *       onBlocked: (sentence) => showText(sentence),
 *     });
 *     await task.submit({rating: 4});
 *
 * A page that gives `onLiveUpdate` or `onStatus` also gets the live connection:
 * `task.send(update)`, and `task.call(procedure, args)` for remote procedures.
 *
 * Nothing fails in silence: a request that does not go through is shown to the
 * worker in a bar with a button to try again, and the work stays on the page.
 */

import { LiveConnection } from "./mephisto_live.js";
import { askForConsent, untilPressed, untilRetry } from "./mephisto_notice.js";
import { RemoteProcedures } from "./mephisto_procedures.js";
import { ServerProblem, getJSON, newId, persistently, postFiles, postJSON, splitForm } from "./mephisto_requests.js";
import { text, textOf, useTexts } from "./mephisto_texts.js";

/** The version of the published client whose requests these are. */
const PROTOCOL_VERSION = "2.0.4";
const REPORTED_ERRORS_LIMIT = 10;
/** Pauses before a submission that did not go through is tried again. */
const FIRST_RETRY_MS = 2_000;
const LONGEST_RETRY_MS = 30_000;

const PHONE = /android|iphone|ipad|ipod|windows phone|blackberry|mobile/i;
/** After the deadline the operator ends the work, and the server hears of it. */
const TIME_UP_SLACK_MS = 1_500;
/** How often a page without a live connection asks whether the work is still the worker's. */
const ASK_STATUS_MS = 10_000;
/** The longest time that a browser's timer can run. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The statuses of an agent whose work has been submitted. */
const SUBMITTED = new Set(["completed", "approved", "soft_rejected", "rejected"]);

/** The statuses of work that has ended without a submission, and may still be sent. */
const TIME_UP = new Set(["expired", "timeout", "disconnect", "returned"]);

const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * What to tell a worker about a status that ends a task early, or null for any other.
 *
 * @param {string} status
 */
export const explainStatus = (status) => textOf("status", status);

/**
 * Whether an agent of this status has submitted the work.
 *
 * @param {string} status
 */
export const isSubmitted = (status) => SUBMITTED.has(status);

/**
 * What to tell a worker about work that is over.
 *
 * @param {string} status
 * @param {boolean} isLate  whether it was submitted after it had ended
 */
export const describeOutcome = (status, isLate) =>
  isLate ? text("client.late") : (textOf("outcome", status) ?? explainStatus(status) ?? text("client.no_work"));

/**
 * @typedef {object} Handlers
 * @property {(data: any, task: Task) => void} onTask        a piece of work is theirs
 * @property {(data: any, task: Task) => void} [onOnboarding]  a trial comes first
 * @property {(task: Task) => void} [onPreview]            they only look
 * @property {(sentence: string, task: Task) => void} [onBlocked]  there is nothing for them
 * @property {(data: any, task: Task) => void} [onSubmitted] the work has been submitted
 *     (`data` is null if that was on an earlier load of the page)
 * @property {(sentence: string, task: Task) => void} [onEnded]  the work has ended without a submission that counts;
 *     by default as `onBlocked`
 * @property {(sentence: string, task: Task) => void} [onNotSubmitted]  a submission did not go through; it is
 *     tried again until it does, or until the worker has to do something about it
 * @property {(status: string, task: Task) => void} [onStatus]  live: the agent's status
 * @property {(update: Record<string, any>, task: Task) => void} [onLiveUpdate]  live: each message once
 * @property {(state: string, task: Task) => void} [onConnection]  live: `connected`,
 *     `reconnecting`, `server away` or `lost`
 * @property {boolean} [live]  whether to connect; by default if there is a live handler
 */

/**
 * Opens the task for this worker and calls the handler that fits.
 *
 * @param {Handlers} handlers
 * @returns {Promise<Task>} once the first of them was called
 */
export async function start(handlers) {
  const task = new Task(handlers);
  await task.open();
  return task;
}

/** One worker's visit; its fields are for reading. */
export class Task {
  /** @type {Record<string, any>} the task's configuration as the server gave it */
  config = {};
  /** @type {string | null} null in a preview and while blocked */
  agentId = null;
  isPreview = getWorkerName() === null || getAssignmentId() === null;
  isOnboarding = false;
  /** @type {any} the data of the piece of work */
  initialData = null;
  /**
   * Which of the worker's pieces this is, of how many at most; null if the worker is not to be told.
   *
   * @type {{unit: number, of: number | null} | null}
   */
  progress = null;
  /** The agent's status as of the last answer of the server. */
  status = "";
  /** Whether the work was submitted after it had ended. */
  isLate = false;
  /** @type {string | null} the address of the worker's own page */
  workerPage = null;
  /** Whether the server gives receipts for submitted work; see worker_page_receipt.js. */
  offersReceipts = false;
  /** Whether the worker knows that the time is up. */
  #knowsTimeIsUp = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timeUp;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #asking;
  /** @type {Handlers} */
  #handlers;
  /** @type {LiveConnection | null} */
  #connection = null;
  #procedures = new RemoteProcedures((update) => this.send(update));
  /** @type {[any, Record<string, File[]>]} what is to be submitted; the latest counts until it is delivered */
  #answer = [null, {}];
  #isForm = false;
  /** @type {Promise<void> | null} the delivery under way or done */
  #delivery = null;
  /** @type {((value?: unknown) => void) | null} set while a failed submission waits for the worker */
  #submittedAgain = null;
  #reportedErrors = 0;

  /** @param {Handlers} handlers */
  constructor(handlers) {
    this.#handlers = handlers;
    addEventListener("error", (event) => this.#report(event.message));
    addEventListener("unhandledrejection", (event) => this.#report(String(event.reason)));
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#noticeTimeUp();
    });
  }

  /** Called once by `start`: everything up to the first thing the worker sees. */
  async open() {
    this.config = await persistently(() => getJSON("/task_config.json", { mephisto_task_version: PROTOCOL_VERSION }));
    useTexts(this.config);
    const { mephisto_task_version: version, block_mobile: blockMobile } = this.config;
    if (version !== PROTOCOL_VERSION) {
      console.warn(`This page speaks version ${PROTOCOL_VERSION}, its server ${version}.`);
    }
    if (blockMobile && PHONE.test(navigator.userAgent)) {
      this.#block(text("client.no_phones"));
    } else if (this.isPreview) {
      this.#handlers.onPreview?.(this);
    } else {
      const registration = { provider_data: getAgentRegistration() };
      this.#enter(await this.#askForAgent(registration));
    }
  }

  /**
   * Submits the answer, of the onboarding or of the task. Called again before the server
   * has it, the newer answer replaces the older; after that it does nothing.
   *
   * @param {*} [data]  anything JSON can hold, or a FormData
   * @param {Record<string, File[]>} [files]  uploads by field name (a FormData brings its own)
   * @returns {Promise<void>} settles when the server has it; rejected only if the page itself failed, after which it
   *     can be called again
   */
  submit(data, files = {}) {
    this.#answer = data instanceof FormData ? splitForm(data) : [data, files];
    this.#submittedAgain?.();
    this.#delivery ??= this.#deliver();
    return this.#delivery;
  }

  /**
   * Submits a form as Mephisto's static tasks do: fields and files in one multipart request, also without files.
   *
   * @param {FormData} form
   * @returns {Promise<void>} as `submit`
   */
  submitForm(form) {
    this.#isForm = true;
    return this.submit(form);
  }

  /**
   * Sends feedback or tips beside the answer.
   * @param {...{type: string}} items  each is stored under its `type`
   */
  sendMetadata(...items) {
    const metadata = Object.fromEntries(items.map((item) => [item.type, item]));
    return postJSON("/submit_metadata", { USED_AGENT_ID: this.agentId, metadata });
  }

  /**
   * Puts an error of the page into the operator's log.
   *
   * @param {object} error
   */
  logError(error) {
    return postJSON("/log_error", { USED_AGENT_ID: this.agentId, error_data: error });
  }

  /**
   * Sends a live update, which waits in order while the connection is down.
   *
   * @param {Record<string, any>} update
   * @returns {string} its update id
   */
  send(update) {
    if (this.#connection === null) throw new Error("this task has no live connection");
    const updateId = update.update_id ?? newId();
    this.#connection.send({ ...update, update_id: updateId });
    return updateId;
  }

  /**
   * Calls a procedure of the task on the server and gives its result; see RemoteProcedures.
   *
   * @param {string} procedure
   * @param {any} [args]
   * @returns {Promise<any>}
   */
  call(procedure, args) {
    return this.#procedures.call(procedure, args);
  }

  /**
   * Asks for an agent, and asks the worker for consent if the task needs it.
   *
   * @param {{provider_data: Record<string, any>}} registration
   */
  async #askForAgent(registration) {
    const ask = () => persistently(() => postJSON("/request_agent", registration));
    const details = await ask();
    if (!details.data.needs_consent || !this.config.consent) return details;
    const { text: words, version } = this.config.consent;
    registration.provider_data = {
      ...registration.provider_data,
      consent: { version, given: await askForConsent(words) },
    };
    return ask();
  }

  /** @param {{data: Record<string, any>}} details  the server's answer to a request for work */
  #enter({ data }) {
    if (data.agent_id === null) return this.#block(data.failure_reason ?? text("client.no_work"));
    const agentId = String(data.agent_id);
    this.agentId = agentId;
    this.isOnboarding = agentId.startsWith("onboarding");
    this.initialData = data.init_task_data;
    this.progress = data.progress ?? null;
    this.status = data.status ?? "";
    this.isLate = data.is_late === true;
    this.workerPage = typeof data.worker_page === "string" ? `/worker_page.html#${data.worker_page}` : null;
    this.offersReceipts = data.offers_receipts === true;
    const { onTask, onOnboarding, onSubmitted, onLiveUpdate, onStatus, live } = this.#handlers;
    if (isSubmitted(this.status)) return onSubmitted?.(null, this);
    if (TIME_UP.has(this.status)) return this.#ended();
    this.#watchTime(data.seconds_left ?? null);
    (this.isOnboarding ? onOnboarding : onTask)?.(this.initialData, this);
    if (live ?? Boolean(onLiveUpdate || onStatus)) this.#connect();
    else this.#askRegularly();
  }

  /** @param {string} sentence */
  #block(sentence) {
    if (this.#handlers.onBlocked) this.#handlers.onBlocked(sentence, this);
    else document.body.textContent = sentence;
  }

  #ended() {
    this.#stopWatching();
    const sentence = describeOutcome(this.status, this.isLate);
    if (this.#handlers.onEnded) this.#handlers.onEnded(sentence, this);
    else this.#block(sentence);
  }

  /** @param {number | null} seconds  until the time is up */
  #watchTime(seconds) {
    clearTimeout(this.#timeUp);
    if (seconds === null) return;
    const wait = Math.min(seconds * 1000 + TIME_UP_SLACK_MS, LONGEST_TIMER_MS);
    this.#timeUp = setTimeout(() => this.#noticeTimeUp(), wait);
  }

  /** Notices work that is taken away before its time is up, for instance because the run ends. */
  #askRegularly() {
    clearInterval(this.#asking);
    this.#asking = setInterval(() => {
      if (!document.hidden) this.#noticeTimeUp();
    }, ASK_STATUS_MS);
  }

  #stopWatching() {
    clearTimeout(this.#timeUp);
    clearInterval(this.#asking);
  }

  /** Whether the worker is to be told that the time is up: asks the server, which may not be reached. */
  async #isTimeUp() {
    const isAtWork = this.agentId !== null && !this.isOnboarding && this.#delivery === null;
    if (this.#knowsTimeIsUp || !isAtWork) return false;
    return this.#askStatus();
  }

  async #askStatus() {
    try {
      const { status } = await postJSON("/agent_status", { USED_AGENT_ID: this.agentId });
      this.status = status;
    } catch (problem) {
      console.warn(problem);
    }
    return TIME_UP.has(this.status);
  }

  /** Tells the worker when the time is up, before the work is sent. */
  async #noticeTimeUp() {
    if (await this.#isTimeUp()) await this.#tellTimeUp(text("client.ok"));
  }

  /** Lets the worker decide whether to send work whose time is up. */
  async #confirmLate() {
    if (!this.#knowsTimeIsUp && (await this.#askStatus())) await this.#tellTimeUp(text("client.send_anyway"));
  }

  /** @param {string} label  of the button that the worker presses */
  async #tellTimeUp(label) {
    if (this.#knowsTimeIsUp) return;
    this.#knowsTimeIsUp = true;
    await untilPressed(`${textOf("ended", this.status)} ${text("client.may_send")}`, label);
  }

  #connect() {
    this.#connection?.close();
    const connection = new LiveConnection(this.agentId ?? "", {
      onStatus: (status) => {
        this.status = status;
        if (this.#handlers.onStatus) {
          this.#knowsTimeIsUp ||= TIME_UP.has(status);
          this.#handlers.onStatus(status, this);
        } else if (TIME_UP.has(status) && !this.isOnboarding && this.#delivery === null) {
          this.#tellTimeUp(text("client.ok"));
        }
      },
      onUpdate: (update) => this.#receive(update),
      onState: (state) => this.#connectionIs(state),
    });
    this.#connection = connection;
    for (const update of this.initialData?.past_live_updates ?? []) connection.deliver(update);
    connection.open();
  }

  /** @param {string} state */
  async #connectionIs(state) {
    this.#handlers.onConnection?.(state, this);
    if (state !== "lost") return;
    const connection = this.#connection;
    await untilRetry(text("client.connection_lost"));
    if (connection === this.#connection) connection?.open();
  }

  /** @param {Record<string, any>} update */
  #receive(update) {
    if (update.handles !== undefined) this.#procedures.settle(/** @type {any} */ (update));
    else this.#handlers.onLiveUpdate?.(update, this);
  }

  /** @returns {Promise<void>} */
  async #deliver() {
    const post = this.isOnboarding ? () => this.#postOnboarding() : () => this.#postTask();
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await post();
      } catch (problem) {
        if (!(problem instanceof ServerProblem)) {
          this.#delivery = null;
          throw problem;
        }
        this.#handlers.onNotSubmitted?.(problem.sentence, this);
        const again = [new Promise((resolve) => (this.#submittedAgain = resolve))];
        if (problem.mayPass) again.push(pause(Math.min(FIRST_RETRY_MS * 2 ** attempt, LONGEST_RETRY_MS)));
        await untilRetry(`${text("client.not_submitted")} ${problem.sentence}`, Promise.race(again));
      }
    }
  }

  async #postOnboarding() {
    const [data] = this.#answer;
    const answer = { USED_AGENT_ID: this.agentId, onboarding_data: data };
    const details = await postJSON("/submit_onboarding", { provider_data: answer });
    this.#delivery = null; // the next one is the task's own
    this.#enter(details);
  }

  async #postTask() {
    await this.#confirmLate();
    const [data, files] = this.#answer;
    const withFiles = this.#isForm || Object.values(files).some((list) => list.length > 0);
    const answer = withFiles
      ? await postFiles(this.agentId ?? "", data, files)
      : await postJSON("/submit_task", { USED_AGENT_ID: this.agentId, final_data: data });
    this.#connection?.close();
    this.#connection = null;
    this.#stopWatching();
    try {
      this.isLate = answer?.status === "late";
      if (this.isLate) return this.#ended();
      this.status = "completed";
      this.#handlers.onSubmitted?.(data, this);
      handleSubmitToProvider(data);
    } catch (problem) {
      this.#report(String(problem)); // the server has the work: nothing may look as if it had not
    }
  }

  /** @param {string} message */
  #report(message) {
    if (this.#reportedErrors >= REPORTED_ERRORS_LIMIT) return;
    this.#reportedErrors += 1;
    // A report that cannot be delivered must not become the next error to report.
    this.logError({ error: message }).catch((problem) => console.warn(problem.message));
  }
}
