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
import { untilRetry } from "./mephisto_notice.js";
import { RemoteProcedures } from "./mephisto_procedures.js";
import { ServerProblem, getJSON, newId, persistently, postFiles, postJSON, splitForm } from "./mephisto_requests.js";

/** The version of the published client whose requests these are. */
const PROTOCOL_VERSION = "2.0.4";
const REPORTED_ERRORS_LIMIT = 10;

const PHONE = /android|iphone|ipad|ipod|windows phone|blackberry|mobile/i;
const NO_PHONES = "Sorry, this task cannot be completed on mobile devices. Please use a computer.";
const NO_WORK = "There is no work for you here at the moment.";

/** The statuses of an agent whose work has been handed in. */
const SUBMITTED = new Set(["completed", "approved", "soft_rejected", "rejected"]);

const STATUS_SENTENCES = {
  expired: "This task is no longer available. Please return it and take another one.",
  timeout: "The time for this task has run out. Please return it.",
  disconnect: "You were away from this task for too long, and it has ended. Please return it.",
  returned: "You have returned this task.",
  "partner disconnect": "Your partner has left. This is not your fault: please hand in the task as it is.",
};

/** What to tell a worker about a status that ends a task early, or null for any other. */
export const explainStatus = (status) => STATUS_SENTENCES[status] ?? null;

/** Whether an agent of this status has handed in the work. */
export const isSubmitted = (status) => SUBMITTED.has(status);

/**
 * Opens the task for this worker and calls the handler that fits.
 *
 * @param {object} handlers
 * @param {(data: *, task: Task) => void} handlers.onTask        a piece of work is theirs
 * @param {(data: *, task: Task) => void} [handlers.onOnboarding]  a trial comes first
 * @param {(task: Task) => void} [handlers.onPreview]            they only look
 * @param {(sentence: string, task: Task) => void} [handlers.onBlocked]  there is nothing for them
 * @param {(data: *, task: Task) => void} [handlers.onSubmitted] the work has been handed in
 *     (`data` is null if that was on an earlier load of the page)
 * @param {(status: string, task: Task) => void} [handlers.onStatus]  live: the agent's status
 * @param {(update: object, task: Task) => void} [handlers.onLiveUpdate]  live: each message once
 * @param {(state: string, task: Task) => void} [handlers.onConnection]  live: `connected`,
 *     `reconnecting`, `server away` or `lost`
 * @param {boolean} [handlers.live]  whether to connect; by default if there is a live handler
 * @returns {Promise<Task>} once the first of them was called
 */
export async function start(handlers) {
  const task = new Task(handlers);
  await task.open();
  return task;
}

/**
 * One worker's visit; its fields are for reading.
 *
 * @property {object} config  the task's configuration as the server gave it
 * @property {?string} agentId  null in a preview and while blocked
 * @property {boolean} isPreview
 * @property {boolean} isOnboarding
 * @property {*} initialData  the data of the piece of work
 */
class Task {
  config = {};
  agentId = null;
  isPreview = getWorkerName() === null || getAssignmentId() === null;
  isOnboarding = false;
  initialData = null;
  #handlers;
  #connection = null;
  #procedures = new RemoteProcedures((update) => this.send(update));
  #answer = null; // what is to be handed in: [data, files]; the latest counts until it is delivered
  #delivery = null; // the promise of the delivery under way or done
  #submittedAgain = null; // set while a failed submission waits for the worker
  #reportedErrors = 0;

  constructor(handlers) {
    this.#handlers = handlers;
    addEventListener("error", (event) => this.#report(event.message));
    addEventListener("unhandledrejection", (event) => this.#report(String(event.reason)));
  }

  /** Called once by `start`: everything up to the first thing the worker sees. */
  async open() {
    this.config = await persistently(() => getJSON("/task_config.json", { mephisto_task_version: PROTOCOL_VERSION }));
    const { mephisto_task_version: version, block_mobile: blockMobile } = this.config;
    if (version !== PROTOCOL_VERSION) {
      console.warn(`This page speaks version ${PROTOCOL_VERSION}, its server ${version}.`);
    }
    if (blockMobile && PHONE.test(navigator.userAgent)) {
      this.#block(NO_PHONES);
    } else if (this.isPreview) {
      this.#handlers.onPreview?.(this);
    } else {
      const registration = { provider_data: getAgentRegistration() };
      this.#enter(await persistently(() => postJSON("/request_agent", registration)));
    }
  }

  /**
   * Hands in the answer, of the onboarding or of the task. Called again before the server
   * has it, the newer answer replaces the older; after that it does nothing.
   *
   * @param {*} [data]  anything JSON can hold, or a FormData
   * @param {Object<string, File[]>} [files]  uploads by field name (a FormData brings its own)
   * @returns {Promise<void>} settles when the server has it
   */
  submit(data, files = {}) {
    this.#answer = data instanceof FormData ? splitForm(data) : [data, files];
    this.#submittedAgain?.();
    this.#delivery ??= this.#deliver();
    return this.#delivery;
  }

  /**
   * Sends feedback or tips beside the answer.
   * @param {...{type: string}} items  each is stored under its `type`
   */
  sendMetadata(...items) {
    const metadata = Object.fromEntries(items.map((item) => [item.type, item]));
    return postJSON("/submit_metadata", { USED_AGENT_ID: this.agentId, metadata });
  }

  /** Puts an error of the page into the operator's log. */
  logError(error) {
    return postJSON("/log_error", { USED_AGENT_ID: this.agentId, error_data: error });
  }

  /** Sends a live update, which waits in order while the connection is down; gives its update id. */
  send(update) {
    if (this.#connection === null) throw new Error("this task has no live connection");
    const updateId = update.update_id ?? newId();
    this.#connection.send({ ...update, update_id: updateId });
    return updateId;
  }

  /** Calls a procedure of the task on the server and gives its result; see RemoteProcedures. */
  call(procedure, args) {
    return this.#procedures.call(procedure, args);
  }

  #enter({ data }) {
    if (data.agent_id === null) return this.#block(data.failure_reason ?? NO_WORK);
    this.agentId = data.agent_id;
    this.isOnboarding = data.agent_id.startsWith("onboarding");
    this.initialData = data.init_task_data;
    const { onTask, onOnboarding, onSubmitted, onLiveUpdate, onStatus, live } = this.#handlers;
    if (isSubmitted(data.status)) return onSubmitted?.(null, this);
    (this.isOnboarding ? onOnboarding : onTask)?.(this.initialData, this);
    if (live ?? Boolean(onLiveUpdate || onStatus)) this.#connect();
  }

  #block(sentence) {
    if (this.#handlers.onBlocked) this.#handlers.onBlocked(sentence, this);
    else document.body.textContent = sentence;
  }

  #connect() {
    this.#connection?.close();
    const connection = new LiveConnection(this.agentId, {
      onStatus: (status) => this.#handlers.onStatus?.(status, this),
      onUpdate: (update) => this.#receive(update),
      onState: (state) => this.#connectionIs(state),
    });
    this.#connection = connection;
    for (const update of this.initialData?.past_live_updates ?? []) connection.deliver(update);
    connection.open();
  }

  async #connectionIs(state) {
    this.#handlers.onConnection?.(state, this);
    if (state !== "lost") return;
    const connection = this.#connection;
    await untilRetry("The connection to the server is lost.");
    if (connection === this.#connection) connection.open();
  }

  #receive(update) {
    if (update.handles !== undefined) this.#procedures.settle(update);
    else this.#handlers.onLiveUpdate?.(update, this);
  }

  async #deliver() {
    const post = this.isOnboarding ? () => this.#postOnboarding() : () => this.#postTask();
    for (;;) {
      try {
        return await post();
      } catch (problem) {
        if (!(problem instanceof ServerProblem)) throw problem;
        const submittedAgain = new Promise((resolve) => (this.#submittedAgain = resolve));
        await untilRetry(`Your work is not handed in yet. ${problem.sentence}`, submittedAgain);
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
    const [data, files] = this.#answer;
    const withFiles = Object.values(files).some((list) => list.length > 0);
    if (withFiles) await postFiles(this.agentId, data, files);
    else await postJSON("/submit_task", { USED_AGENT_ID: this.agentId, final_data: data });
    this.#connection?.close();
    this.#connection = null;
    this.#handlers.onSubmitted?.(data, this);
    handleSubmitToProvider(data);
  }

  #report(message) {
    if (this.#reportedErrors >= REPORTED_ERRORS_LIMIT) return;
    this.#reportedErrors += 1;
    // A report that cannot be delivered must not become the next error to report.
    this.logError({ error: message }).catch((problem) => console.warn(problem.message));
  }
}
