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
import { text } from "/mephisto_texts.js";
import { drawTips } from "/mephisto_tips.js";
import { drawReceiptOf } from "/worker_page_receipt.js";

/** @type {Record<string, string>} */
const CONNECTION_TEXTS = {
  reconnecting: "chat.reconnecting",
  "server away": "chat.server_away",
  lost: "chat.lost",
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
const input = /** @type {HTMLInputElement} */ (byId("text"));
const send = /** @type {HTMLButtonElement} */ (composer.querySelector("button"));

const fresh = () => ({ name: text("chat.me"), isMyTurn: false, isDone: false, hasPartnerLeft: false, hasBegun: false });
let chat = fresh();

/** @param {Mephisto.Task} task */
function begin(task) {
  chat = fresh();
  messages.replaceChildren();
  document.title = title.textContent = task.config.chat_title ?? task.config.task_title ?? text("chat.title");
  byId("label").textContent = text("chat.message");
  send.textContent = text("chat.send");
  done.textContent = text("chat.finish");
  messages.setAttribute("aria-label", text("chat.conversation"));
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
  input.disabled = send.disabled = !chat.isMyTurn;
  done.hidden = !isOver;
  if (chat.hasPartnerLeft && !chat.isDone) state.textContent = Mephisto.explainStatus("partner disconnect");
  else if (isOver) state.textContent = text("chat.done");
  else if (!chat.hasBegun) state.textContent = text("chat.waiting");
  else state.textContent = text(chat.isMyTurn ? "chat.your_turn" : "chat.their_turn");
  if (chat.isMyTurn && !isOver) input.focus();
  if (isOver) done.focus();
}

/** @param {string} speaker @param {string} words @param {boolean} isMine */
function addMessage(speaker, words, isMine) {
  const name = document.createElement("span");
  name.className = "speaker";
  name.textContent = isMine ? text("chat.you", { speaker }) : speaker;
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
  state.textContent = text("page.submitted");
}

const task = await Mephisto.start({
  onPreview(task) {
    begin(task);
    state.textContent = text("page.preview");
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
    const key = CONNECTION_TEXTS[connectionState];
    connection.textContent = key ? text(key) : "";
  },
  onSubmitted(_data, task) {
    finished();
    const receipt = drawReceiptOf(task);
    if (receipt !== null) state.after(receipt);
  },
});

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  const words = input.value.trim();
  if (words === "" || !chat.isMyTurn) return;
  chat.isMyTurn = false;
  task.send({ id: chat.name, text: words });
  addMessage(chat.name, words, true);
  input.value = "";
  draw();
});

done.addEventListener("click", () => {
  task.submit({});
});
