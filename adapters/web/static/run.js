"use strict";

/** Keeps the page of a run up to date, and shows the position that the slider is moved to. */

const form = document.getElementById("position");
const slider = document.getElementById("seq");
const view = document.getElementById("view");
const state = document.getElementById("state");
const now = document.getElementById("now");

/** The position that is being loaded, and the one to load after it. */
let loading = null;
let wanted = null;
let source = null;

document.querySelector(".without-script").hidden = true;

/** Puts new content into the page. A focused link keeps the focus. */
function show(html) {
  const active = document.activeElement;
  const href = view.contains(active) ? active.getAttribute("href") : null;
  view.innerHTML = html;
  if (href !== null) view.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus({ preventScroll: true });
  slider.setAttribute("aria-valuetext", document.getElementById("view-position").textContent);
}

function follow() {
  source?.close();
  source = new EventSource(form.dataset.live);
  source.onopen = () => {
    state.textContent = "live";
  };
  source.onerror = () => {
    state.textContent = "disconnected, reconnecting";
  };
  source.onmessage = (message) => {
    const { seq, html } = JSON.parse(message.data);
    slider.max = seq;
    slider.value = seq;
    show(html);
  };
}

function stopFollowing() {
  source?.close();
  source = null;
  state.textContent = "past";
}

/** Loads one position at a time; of those requested meanwhile, only the last. */
async function load(seq) {
  wanted = seq;
  if (loading !== null) return;
  while (wanted !== null) {
    loading = wanted;
    wanted = null;
    const address = `${form.action}?seq=${loading}`;
    const answer = await fetch(address).catch(() => null);
    if (answer?.ok && source === null) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      show(page.getElementById("view").innerHTML);
      history.replaceState(null, "", address);
    } else if (source === null) {
      state.textContent = "this position cannot be shown; is the server still running?";
    }
    loading = null;
  }
}

slider.addEventListener("input", () => {
  stopFollowing();
  load(slider.value);
});

now.addEventListener("click", (event) => {
  event.preventDefault();
  wanted = null;
  slider.value = slider.max;
  history.replaceState(null, "", form.action);
  follow();
});

if (!new URLSearchParams(location.search).has("seq")) follow();
