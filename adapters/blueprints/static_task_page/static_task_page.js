/**
 * The stock page of static tasks: one item and a form, as the task's configuration says.
 *
 * | key of the configuration | what it is                                                     |
 * |--------------------------|----------------------------------------------------------------|
 * | `task_title`             | the heading                                                    |
 * | `instructions`           | text, blank lines part paragraphs; else `task_description`     |
 * | `frontend.show`          | names of the item's fields to show (default: all), or objects  |
 * |                          | `{name, label, as}` with `as` one of `text`, `image`           |
 * | `frontend.form`          | the form's fields, see form_fields.js                          |
 * | `frontend.onboarding`    | `{instructions, show, form}` of the trial before the task      |
 * | `frontend.submit_label`  | the button's text                                              |
 * | `frontend.submitted`     | the sentence after the submission                              |
 */

import * as Mephisto from "/mephisto_client.js";
import { describeFault, drawField, element, readForm } from "/form_fields.js";

const DEFAULT_FORM = [{ name: "answer", type: "textarea", label: "Your answer", required: true }];
const DEFAULT_ONBOARDING_FORM = [
  {
    name: "success",
    type: "checkbox",
    label: "I have read the instructions and want to begin.",
    required: true,
  },
];
const PREVIEW = "This is a preview. Accept the task to begin.";
const SUBMITTED = "Submitted. Thank you! You can close this page.";
const BROKEN = "This task is not set up correctly. Please return it; we have been told.";

const byId = (id) => document.getElementById(id);
const [title, state, instructions, item, form] = ["title", "state", "instructions", "item", "form"].map(byId);

/** Shows a sentence in place of the work. */
function showOnly(sentence) {
  item.hidden = true;
  form.hidden = true;
  state.textContent = sentence;
  title.focus();
}

function showHead(config, text) {
  const heading = config.task_title ?? "Task";
  document.title = heading;
  title.textContent = heading;
  const paragraphs = (text ?? "").split(/\n\s*\n/).filter((paragraph) => paragraph.trim());
  instructions.replaceChildren(...paragraphs.map((paragraph) => element("p", { textContent: paragraph })));
  instructions.hidden = paragraphs.length === 0;
}

/** The item's fields as `frontend.show` lists them. */
function showItem(data, shown) {
  const values = data !== null && typeof data === "object" ? data : { item: data };
  const parts = (shown ?? Object.keys(values)).map((part) =>
    typeof part === "object" ? part : { name: part, label: null },
  );
  const list = element("dl");
  for (const { name, label, as } of parts) {
    if (values[name] === undefined) continue;
    list.append(element("dt", { textContent: label ?? name }));
    list.append(element("dd", {}, drawValue(values[name], as, label ?? name)));
  }
  item.replaceChildren(list);
  item.hidden = list.children.length === 0;
}

function drawValue(value, as, label) {
  if (as === "image") return element("img", { src: value, alt: label });
  return typeof value === "object" ? JSON.stringify(value, null, 2) : String(value);
}

/** Draws the form and hands in what the worker filled in. */
function showForm(task, fields, submitLabel) {
  const fault = describeFault(fields);
  if (fault !== null) {
    task.logError({ error: `frontend.form: ${fault}` });
    showOnly(BROKEN);
    return;
  }
  const button = element("button", { type: "submit", textContent: submitLabel ?? "Submit" });
  form.replaceChildren(...fields.map(drawField), button);
  form.hidden = false;
  state.textContent = "";
  form.onsubmit = async (event) => {
    event.preventDefault();
    state.textContent = "Submitting…";
    await task.submit(...readForm(fields, form));
  };
  title.focus();
}

const frontend = (task) => task.config.frontend ?? {};
const taskText = (config) => config.instructions ?? config.task_description;

Mephisto.start({
  onPreview(task) {
    showHead(task.config, taskText(task.config));
    showOnly(PREVIEW);
  },
  onOnboarding(data, task) {
    const { onboarding = {}, submit_label: label } = frontend(task);
    showHead(task.config, onboarding.instructions ?? taskText(task.config));
    showItem(data ?? {}, onboarding.show);
    showForm(task, onboarding.form ?? DEFAULT_ONBOARDING_FORM, label);
  },
  onTask(data, task) {
    const { show, form: fields = DEFAULT_FORM, submit_label: label } = frontend(task);
    showHead(task.config, taskText(task.config));
    showItem(data, show);
    showForm(task, fields, label);
  },
  onBlocked(sentence, task) {
    showHead(task.config, null);
    showOnly(sentence);
  },
  onSubmitted(data, task) {
    showHead(task.config, null);
    showOnly(frontend(task).submitted ?? SUBMITTED);
  },
});
