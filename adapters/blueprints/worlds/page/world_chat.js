// @ts-check
/**
 * A chat in a world on the server, which sends
 *   {"task_data": {"agent_display_name": "Speaker 1"}}     who we are
 *   {"id": "Speaker 2", "text": "..."}                     what somebody else said
 *   {"task_data": {"live_update_requested": true}}         that it is our turn
 *   {"task_data": {"task_done": true}}                     that the world is at its end
 * and gets {"id": "Speaker 1", "text": "..."} for what this worker says.
 */

import * as Mephisto from "/mephisto_client.js";
import { drawTips } from "/mephisto_tips.js";

const WAITING = "Waiting for the others. Please keep this page open.";
const THEIR_TURN = "Please wait for the next message.";
const YOUR_TURN = "It is your turn.";
const DONE = "That was the whole conversation. Please finish and submit.";
const SUBMITTED = "Submitted. Thank you! You can close this page.";
const PREVIEW = "This is a preview. Accept the task to take part in the conversation.";
/** @type {Record<string, string>} */
const CONNECTION_SENTENCES = {
  connected: "",
  reconnecting: "The connection was lost. Reconnecting…",
  "server away": "The task does not answer at the moment. Please wait.",
  lost: "Not connected.",
};

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const [title, connection, description, state, messages, done] = [
  "title",
  "connection",
  "description",
  "state",
  "messages",
  "done",
].map(byId);
const composer = /** @type {HTMLFormElement} */ (byId("composer"));
const text = /** @type {HTMLInputElement} */ (byId("text"));
const send = /** @type {HTMLButtonElement} */ (composer.querySelector("button"));

const fresh = () => ({ name: "You", isMyTurn: false, isDone: false, hasPartnerLeft: false, hasBegun: false });
let chat = fresh();

/** @param {Mephisto.Task} task */
function begin(task) {
  chat = fresh();
  messages.replaceChildren();
  title.textContent = task.config.chat_title ?? task.config.task_title ?? "Chat";
  document.title = title.textContent ?? "Chat";
  // The people who run the task wrote it.
  description.innerHTML = (task.isPreview && task.config.preview_html) || task.config.task_description || "";
  const tips = drawTips(task.config);
  if (tips !== null) description.append(tips);
  description.hidden = description.innerHTML === "";
}

function draw() {
  const isOver = chat.isDone || chat.hasPartnerLeft;
  messages.hidden = !chat.hasBegun;
  composer.hidden = !chat.hasBegun || isOver;
  text.disabled = send.disabled = !chat.isMyTurn;
  done.hidden = !isOver;
  if (chat.hasPartnerLeft && !chat.isDone) state.textContent = Mephisto.explainStatus("partner disconnect");
  else if (isOver) state.textContent = DONE;
  else if (!chat.hasBegun) state.textContent = WAITING;
  else state.textContent = chat.isMyTurn ? YOUR_TURN : THEIR_TURN;
  if (chat.isMyTurn && !isOver) text.focus();
  if (isOver) done.focus();
}

/** @param {string} speaker @param {string} words @param {boolean} isMine */
function addMessage(speaker, words, isMine) {
  const name = document.createElement("span");
  name.className = "speaker";
  name.textContent = isMine ? `${speaker} (you)` : speaker;
  const line = document.createElement("p");
  line.className = isMine ? "mine" : "theirs";
  line.append(name, words);
  messages.append(line);
  line.scrollIntoView({ block: "nearest" });
}

/** @param {Record<string, any>} update */
function receive({ id, text: words, task_data: news }) {
  if (news?.agent_display_name) chat.name = news.agent_display_name;
  if (news?.live_update_requested) chat.isMyTurn = true;
  if (news?.task_done) chat.isDone = true;
  if (words) {
    const isMine = id === undefined || id === chat.name;
    addMessage(id ?? chat.name, words, isMine);
    if (isMine) chat.isMyTurn = false;
  }
  chat.hasBegun = true;
  draw();
}

/** @param {string} status @param {Mephisto.Task} task */
function statusChanged(status, task) {
  if (task.isOnboarding) {
    if (status === "waiting") task.submit({});
    else chat.hasBegun = true;
  } else if (Mephisto.isSubmitted(status)) {
    return finished();
  } else if (status === "partner disconnect") {
    chat.hasPartnerLeft = !chat.isDone; // leaving after the end is no one's loss
  } else if (status === "in task") {
    chat.hasBegun = true;
  } else if (Mephisto.explainStatus(status) !== null) {
    composer.hidden = true;
    state.textContent = Mephisto.explainStatus(status);
    return;
  }
  draw();
}

function finished() {
  composer.hidden = done.hidden = true;
  state.textContent = SUBMITTED;
}

const task = await Mephisto.start({
  onPreview(task) {
    begin(task);
    state.textContent = PREVIEW;
  },
  onBlocked(sentence, task) {
    begin(task);
    composer.hidden = messages.hidden = done.hidden = true;
    state.textContent = sentence;
  },
  onOnboarding(_, task) {
    begin(task);
    draw();
  },
  onTask(_, task) {
    begin(task);
    draw();
  },
  onStatus: statusChanged,
  onLiveUpdate: receive,
  onConnection(connectionState) {
    connection.textContent = CONNECTION_SENTENCES[connectionState];
  },
  onSubmitted: finished,
});

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  const words = text.value.trim();
  if (words === "" || !chat.isMyTurn) return;
  chat.isMyTurn = false;
  task.send({ id: chat.name, text: words });
  addMessage(chat.name, words, true);
  text.value = "";
  draw();
});

done.addEventListener("click", () => {
  task.submit({});
});
