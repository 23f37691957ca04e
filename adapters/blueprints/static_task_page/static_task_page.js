// @ts-check
/**
 * The stock page of static tasks: one item and a form, as the task's configuration says.
 *
 * | key of the configuration | what it is                                                       |
 * |--------------------------|------------------------------------------------------------------|
 * | `task_title`             | the heading                                                      |
 * | `instructions`           | text, blank lines part paragraphs; else `task_description`       |
 * | `tips`                   | objects `{header, text}`, from `tips_location`                   |
 * | `frontend.show`          | names of the item's values to show (default: all), or objects    |
 * |                          | `{name, label, as}`, `as` one of `text`, `image`, `audio`, `video` |
 * | `frontend.form`          | the form's fields, see form_spec.py                              |
 * | `frontend.media`         | where the server has the task's own media                        |
 * | `frontend.onboarding`    | `{instructions, show, form}` of the trial before the task        |
 * | `frontend.process_signals` | whether to count how the form is filled in, and to say so      |
 * | `frontend.submit_label`  | the button's text                                                |
 * | `frontend.submitted`     | the sentence after the submission                                |
 */

import * as Mephisto from "/mephisto_client.js";
import { drawTips } from "/mephisto_tips.js";
import { drawReceiptOf } from "/worker_page_receipt.js";
import { Draft } from "/drafts.js";
import { element, fillIn } from "/elements.js";
import { Form, describeFault } from "/form.js";
import { ItemView } from "/item_view.js";
import { TEXTS } from "/page_texts.js";
import { PROCESS_SIGNALS, ProcessSignals } from "/process_signals.js";
import { Training } from "/training.js";

/**
 * @typedef {import("/mephisto_client.js").Task} Task
 * @typedef {import("/form_rules.js").Field} Field
 * @typedef {(drawn: Form, button: HTMLElement) => void} OnAnswered  called instead of submitting the form
 */

/** @type {() => Field[]} */
const defaultForm = () => [{ name: "answer", type: "textarea", label: TEXTS.answer, required: true }];
/** @type {() => Field[]} */
const defaultOnboardingForm = () => [{ name: "success", type: "checkbox", label: TEXTS.consent, required: true }];

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const [title, state, progress, instructions, item] = ["title", "state", "progress", "instructions", "item"].map(byId);
const ownPage = byId("own-page");
const form = /** @type {HTMLFormElement} */ (byId("form"));

/** @type {Draft | null} the draft of the work that is on the page */
let draft = null;

/**
 * Shows a sentence in place of the work, with the way to the worker's own page if there is one.
 *
 * @param {string} sentence
 * @param {Task} [task]
 * @param {HTMLElement | null} [receipt]  what offers a receipt for the work
 */
function showOnly(sentence, task, receipt = null) {
  item.hidden = true;
  form.hidden = true;
  progress.hidden = true;
  state.textContent = sentence;
  const address = task?.workerPage ?? null;
  /** @type {HTMLElement[]} */
  const links = address === null ? [] : [element("a", { href: address, textContent: TEXTS.ownPage })];
  if (receipt !== null) links.push(receipt);
  const next = task === undefined ? null : nextUnitOf(task);
  if (next !== null) links.unshift(element("a", { href: next, className: "next-unit", textContent: TEXTS.nextUnit }));
  ownPage.replaceChildren(...links);
  ownPage.hidden = links.length === 0;
  title.focus();
}

/**
 * The address of the worker's next unit; null if there can be none, or the provider gives out each unit by itself.
 *
 * @param {Task} task
 * @returns {string | null}
 */
function nextUnitOf({ progress: place }) {
  const address = /** @type {any} */ (globalThis).getNextUnitAddress;
  if (place === null || typeof address !== "function") return null;
  return place.of === null || place.unit < place.of ? address() : null;
}

/**
 * @param {Record<string, any>} config
 * @param {string | null | undefined} text
 * @param {Record<string, any>} [values]  what the text may say of the item
 */
function showHead(config, text, values = {}) {
  const heading = config.task_title ?? "Task";
  document.title = heading;
  title.textContent = heading;
  const paragraphs = fillIn(text ?? "", values)
    .split(/\n\s*\n/)
    .filter((paragraph) => paragraph.trim());
  const tips = drawTips(config);
  const shown = paragraphs.map((textContent) => element("p", { dir: "auto", textContent }));
  instructions.replaceChildren(...shown, ...(tips === null ? [] : [tips]));
  instructions.hidden = instructions.childElementCount === 0;
}

/** @param {{unit: number, of: number | null} | null} place */
function showProgress(place) {
  progress.hidden = place === null;
  progress.textContent = place === null ? "" : TEXTS.progress(place.unit, place.of);
}

/**
 * Shows a piece of work: what there is to see, and the form.
 *
 * @param {Task} task
 * @param {any} data
 * @param {{text: string, show: any[] | undefined, fields: Field[], onAnswered?: OnAnswered, counts?: boolean}} parts
 */
function showWork(task, data, { text, show, fields, onAnswered, counts = false }) {
  const { media = null, submit_label: submitLabel } = frontendOf(task);
  const view = new ItemView(data, media, (error) => report(task, error));
  showHead(task.config, text, view.values);
  const list = view.draw(show);
  item.replaceChildren(...(list ? [list] : []));
  item.hidden = list === null;
  const fault = describeFault(fields);
  if (fault === null) {
    showForm(task, new Form(fields, view, task.agentId ?? "", changed), submitLabel, onAnswered);
    signals = counts ? new ProcessSignals(form) : null;
    if (signals !== null) form.lastElementChild?.before(element("p", { textContent: TEXTS.processSignals }));
  } else {
    report(task, `frontend.form: ${fault}`);
    showOnly(TEXTS.broken);
  }
}

/** @type {Form | null} the form that is on the page */
let current = null;

/** @type {ProcessSignals | null} how the form on the page is filled in; null if nobody asked for that */
let signals = null;

/** Follows a change of an answer. */
function changed() {
  current?.refresh();
  if (current !== null) draft?.save(() => current?.answers() ?? {});
}

/**
 * @param {Task} task
 * @param {Form} drawn
 * @param {string} [submitLabel]
 * @param {OnAnswered} [onAnswered]
 */
function showForm(task, drawn, submitLabel, onAnswered) {
  current = drawn;
  draft = onAnswered ? null : new Draft(task.agentId ?? ""); // the items of a training are short
  const kept = draft?.read() ?? null;
  if (kept !== null) drawn.restore(kept);
  const restored = drawn.hasFiles ? TEXTS.filesAgain : TEXTS.restored;
  state.textContent = kept === null ? "" : restored;
  const button = element("button", { type: "submit", textContent: submitLabel ?? TEXTS.submit });
  form.replaceChildren(...drawn.elements, button);
  form.hidden = false;
  form.oninput = changed;
  form.onsubmit = (event) => {
    event.preventDefault();
    if (onAnswered) onAnswered(drawn, button);
    else submit(task, drawn);
  };
  title.focus();
}

/**
 * Shows a practice item; once it is answered for good, its feedback; and then the next one, or submits the training.
 *
 * @param {Task} task
 * @param {Training} training
 */
function practise(task, training) {
  const { show: taskShow, form: taskForm = defaultForm(), onboarding } = frontendOf(task);
  const { instructions: text = textOf(task.config), show = taskShow, form: fields = taskForm } = onboarding;
  /** @type {Record<string, any> | null} */
  let final = null;
  /** @type {OnAnswered} */
  const onAnswered = (drawn, button) => {
    if (final !== null) {
      if (training.advance(final)) practise(task, training);
      else submitTraining(task, training);
      return;
    }
    if (!drawn.check()) {
      state.textContent = TEXTS.pleaseCorrect;
      return;
    }
    const { isRight, mayRetry } = training.judge(drawn.answers());
    if (mayRetry) {
      state.textContent = TEXTS.practiceAgain;
      return;
    }
    final = drawn.answers();
    const verdict = isRight ? TEXTS.practiceRight : TEXTS.practiceWrong;
    state.textContent = [verdict, training.item.feedback].filter(Boolean).join(" ");
    button.textContent = TEXTS.practiceNext;
  };
  showWork(task, training.item.data, { text, show, fields, onAnswered });
  progress.hidden = false;
  progress.textContent = TEXTS.practice(training.number, training.count);
}

/**
 * @param {Task} task
 * @param {Training} training
 */
async function submitTraining(task, training) {
  try {
    state.textContent = TEXTS.submitting;
    await task.submit({ training: training.results });
  } catch (error) {
    state.textContent = TEXTS.pageFailed;
    report(task, String(error));
  }
}

/**
 * Submits what the worker filled in, if nothing is wrong with it. Whatever fails, the worker is told.
 *
 * @param {Task} task
 * @param {Form} drawn
 */
async function submit(task, drawn) {
  try {
    if (!drawn.check()) {
      state.textContent = TEXTS.pleaseCorrect;
      return;
    }
    state.textContent = TEXTS.submitting;
    const answers = drawn.answers();
    const counted = signals === null ? {} : { [PROCESS_SIGNALS]: signals.read(answers) };
    await task.submit({ ...answers, ...counted }, drawn.files());
  } catch (error) {
    state.textContent = TEXTS.pageFailed;
    report(task, String(error));
  }
}

/**
 * Puts an error into the operator's log; one that cannot be delivered must not become another error.
 *
 * @param {Task} task
 * @param {string} error
 */
async function report(task, error) {
  try {
    await task.logError({ error });
  } catch (problem) {
    console.warn(problem);
  }
}

/** @param {Task} task */
function forgetDraft(task) {
  new Draft(task.agentId ?? "").remove();
  draft?.remove();
}

/** @param {Task} task */
const frontendOf = (task) => task.config.frontend ?? {};
/** @param {Record<string, any>} config */
const textOf = (config) => config.instructions ?? config.task_description;

Mephisto.start({
  onPreview(task) {
    showHead(task.config, textOf(task.config));
    showOnly(TEXTS.preview);
  },
  onOnboarding(data, task) {
    const { onboarding = {} } = frontendOf(task);
    if (onboarding.training) return practise(task, new Training(onboarding.training));
    const { instructions: text = textOf(task.config), show, form: fields = defaultOnboardingForm() } = onboarding;
    showProgress(null);
    showWork(task, data ?? {}, { text, show, fields });
  },
  onTask(data, task) {
    draft?.remove(); // that of the onboarding
    const { show, form: fields = defaultForm(), process_signals: counts } = frontendOf(task);
    showProgress(task.progress);
    showWork(task, data, { text: textOf(task.config), show, fields, counts });
  },
  onBlocked(sentence, task) {
    showHead(task.config, null);
    showOnly(sentence);
  },
  onEnded(sentence, task) {
    if (task.isLate) forgetDraft(task);
    showHead(task.config, null);
    showOnly(sentence, task);
  },
  onNotSubmitted() {
    state.textContent = TEXTS.notSubmitted;
  },
  onSubmitted(data, task) {
    forgetDraft(task);
    showHead(task.config, null);
    const isJustNow = data !== null || task.status === "completed";
    const sentence = frontendOf(task).submitted ?? TEXTS.submitted;
    showOnly(isJustNow ? sentence : Mephisto.describeOutcome(task.status, task.isLate), task, drawReceiptOf(task));
  },
}).catch((error) => {
  showOnly(TEXTS.broken);
  throw error; // for the client, which reports what nobody catches
});
