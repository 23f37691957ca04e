/**
 * A chat for two. The task on the server sends
 *   {"task_data": {"agent_display_name": "Speaker 1", "topic": "..."}}  who we are, once
 *   {"id": "Speaker 2", "text": "..."}                                  what the partner wrote
 *   {"task_data": {"task_done": true}}                                  it was enough
 * and gets {"text": "..."} for what this worker writes.
 */

import * as Mephisto from "/mephisto_client.js";

const WAITING = "Waiting for your partner. Please keep this page open.";
const CHATTING = "Your partner is here. Say hello!";
const DONE = "That was the whole conversation. Please finish and submit.";
const SUBMITTED = "Submitted. Thank you! You can close this page.";
const PREVIEW = "This is a preview. Accept the task to chat with another person.";
const CONNECTION_SENTENCES = {
  connected: "",
  reconnecting: "The connection was lost. Reconnecting…",
  "server away": "The task does not answer at the moment. Please wait.",
  lost: "Not connected.",
};

const byId = (id) => document.getElementById(id);
const [title, topic, connection, state, messages, composer, text, done] = [
  "title",
  "topic",
  "connection",
  "state",
  "messages",
  "composer",
  "text",
  "done",
].map(byId);

const chat = { name: "You", written: 0, isDone: false, partnerLeft: false };

function showTitle(config) {
  title.textContent = config.chat_title ?? config.task_title ?? "Chat";
  document.title = title.textContent;
}

/** Shows a sentence and which of the controls go with it. */
function show(sentence, { conversation = false, writing = false, finishing = false } = {}) {
  state.textContent = sentence;
  messages.hidden = !conversation;
  composer.hidden = !writing;
  done.hidden = !finishing;
  if (writing) text.focus();
  if (finishing) done.focus();
}

function addMessage(speaker, words, mine) {
  const name = document.createElement("span");
  name.className = "speaker";
  name.textContent = mine ? `${speaker} (you)` : speaker;
  const line = document.createElement("p");
  line.className = mine ? "mine" : "theirs";
  line.append(name, words);
  messages.append(line);
  line.scrollIntoView({ block: "nearest" });
  if (mine) chat.written += 1;
}

function finish() {
  const sentence = chat.partnerLeft ? Mephisto.explainStatus("partner disconnect") : DONE;
  show(sentence, { conversation: true, finishing: true });
}

/** Messages of this worker come back only after a reload, without an `id`. */
function receive({ id, text: words, task_data: news }) {
  if (words !== undefined) addMessage(id ?? chat.name, words, id === undefined);
  if (news?.agent_display_name) chat.name = news.agent_display_name;
  if (news?.topic) {
    topic.textContent = `Topic: ${news.topic}`;
    topic.hidden = false;
  }
  if (news?.task_done) {
    chat.isDone = true;
    finish();
  }
}

function statusChanged(status) {
  if (Mephisto.isSubmitted(status)) {
    show(SUBMITTED, { conversation: true });
  } else if (status === "partner disconnect") {
    chat.partnerLeft = !chat.isDone; // leaving after the end is no one's loss
    finish();
  } else if (chat.isDone || chat.partnerLeft) {
    finish();
  } else if (status === "in task") {
    show(CHATTING, { conversation: true, writing: true });
  } else {
    show(Mephisto.explainStatus(status) ?? WAITING);
  }
}

const task = await Mephisto.start({
  onPreview(task) {
    showTitle(task.config);
    show(PREVIEW);
  },
  onBlocked(sentence, task) {
    showTitle(task.config);
    show(sentence);
  },
  onTask(data, task) {
    showTitle(task.config);
    show(WAITING);
  },
  onStatus: statusChanged,
  onLiveUpdate: receive,
  onConnection(connectionState) {
    connection.textContent = CONNECTION_SENTENCES[connectionState];
  },
  onSubmitted() {
    show(SUBMITTED, { conversation: true });
  },
});

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  const words = text.value.trim();
  if (words === "") return;
  task.send({ text: words });
  addMessage(chat.name, words, true);
  text.value = "";
});

done.addEventListener("click", () => {
  task.submit({ messages_written: chat.written, partner_left: chat.partnerLeft });
});
