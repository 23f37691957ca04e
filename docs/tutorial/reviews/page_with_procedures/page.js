import * as Mephisto from "/mephisto_client.js";

const [said, review, verdict, hint] = ["said", "review", "verdict", "hint"].map((id) => document.getElementById(id));

function say(sentence, { asking = false } = {}) {
  said.textContent = sentence;
  verdict.hidden = !asking;
}

const task = await Mephisto.start({
  live: true, // procedures travel over the live connection
  onPreview: () => say("This is a preview. Accept the task to begin."),
  onBlocked: (sentence) => say(sentence),
  onTask({ task_data: data }) {
    review.textContent = data.text;
    say(`What does the writer think of the ${data.product}?`, { asking: true });
  },
  onSubmitted: () => say("Thank you! You can close this page."),
});

hint.addEventListener("click", async () => {
  const { kind, harsh } = await task.call("weigh", { text: review.textContent });
  hint.textContent = `${kind} kind and ${harsh} harsh words`;
});

verdict.addEventListener("submit", (event) => {
  event.preventDefault();
  task.submit({ verdict: event.submitter.value });
});
