/**
 * A worker rewrites a passage. How far it is, the launch script's `check` says:
 *   task.call("check", {text}) -> {words, most, longest, good}
 */

import * as Mephisto from "/mephisto_client.js";

const PREVIEW = "This is a preview. Accept the task to begin.";
const SUBMITTED = "Submitted. Thank you! You can close this page.";
const NO_VERDICT = "That could not be checked. Please try again.";

const byId = (id) => document.getElementById(id);
const [title, state, work, passage, text, verdict, check, submit] = [
  "title",
  "state",
  "work",
  "passage",
  "text",
  "verdict",
  "check",
  "submit",
].map(byId);

function show(sentence, { working = false } = {}) {
  state.textContent = sentence;
  work.hidden = !working;
}

const task = await Mephisto.start({
  live: true,
  onPreview: () => show(PREVIEW),
  onBlocked: (sentence) => show(sentence),
  onTask({ task_data: data }, { config }) {
    title.textContent = config.task_title ?? title.textContent;
    passage.textContent = data.passage;
    show("", { working: true });
    text.focus();
  },
  onStatus(status) {
    const sentence = Mephisto.isSubmitted(status) ? SUBMITTED : Mephisto.explainStatus(status);
    if (sentence !== null) show(sentence);
  },
  onSubmitted: () => show(SUBMITTED),
});

text.addEventListener("input", () => {
  submit.disabled = true; // only what was checked can be handed in
  verdict.textContent = "";
});

check.addEventListener("click", async () => {
  const checked = text.value;
  try {
    const { words, most, longest, good } = await task.call("check", { text: checked });
    if (text.value !== checked) return; // it was changed meanwhile
    submit.disabled = !good;
    verdict.textContent = good
      ? `${words} of at most ${most} words. You can submit it.`
      : `${words} words; at most ${most} are wanted. The longest is “${longest}”.`;
  } catch {
    verdict.textContent = NO_VERDICT;
  }
});

work.addEventListener("submit", (event) => {
  event.preventDefault();
  task.submit({ text: text.value });
});
