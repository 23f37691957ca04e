import * as Mephisto from "/mephisto_client.js";

const [said, review, verdict] = ["said", "review", "verdict"].map((id) => document.getElementById(id));

function say(sentence, { asking = false } = {}) {
  said.textContent = sentence;
  verdict.hidden = !asking;
}

const task = await Mephisto.start({
  onPreview: () => say("This is a preview. Accept the task to begin."),
  onBlocked: (sentence) => say(sentence),
  onTask(data) {
    review.textContent = data.text;
    say(`What does the writer think of the ${data.product}?`, { asking: true });
  },
  onSubmitted: () => say("Thank you! You can close this page."),
});

verdict.addEventListener("submit", (event) => {
  event.preventDefault();
  task.submit({ verdict: event.submitter.value });
});
