import * as Mephisto from "/mephisto_client.js";

const [said, talk, composer, text, done] = ["said", "talk", "composer", "text", "done"].map((id) =>
  document.getElementById(id),
);

function say(sentence, { writing = false, finishing = false } = {}) {
  said.textContent = sentence;
  composer.hidden = !writing;
  done.hidden = !finishing;
}

function add(words, mine) {
  const line = document.createElement("p");
  line.textContent = `${mine ? "You" : "Partner"}: ${words}`;
  talk.append(line);
}

const task = await Mephisto.start({
  onPreview: () => say("This is a preview. Accept the task to talk with another person."),
  onBlocked: (sentence) => say(sentence),
  onTask: () => say("Waiting for your partner. Please keep this page open."),
  onLiveUpdate(update, task) {
    if (update.your_turn) say(`It is your turn. Topic: ${task.initialData.task_data.topic}`, { writing: true });
    if (update.text !== undefined) {
      add(update.text, !update.from_partner); // our own come back only after a reload
      say("Your partner is writing.");
    }
    if (update.is_over) say("That was all. Please finish.", { finishing: true });
  },
  onStatus(status) {
    const sentence = Mephisto.explainStatus(status); // your partner has left, the time is over ...
    if (sentence) say(sentence, { finishing: status === "partner disconnect" });
  },
  onSubmitted: () => say("Thank you! You can close this page."),
});

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  task.send({ text: text.value });
  add(text.value, true);
  text.value = "";
  say("Your partner is writing.");
});

done.addEventListener("click", () => task.submit({}));
