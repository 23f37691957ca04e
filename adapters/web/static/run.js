"use strict";

/** Keeps the page of a run up to date, and shows the moment that the slider is moved to. */

const form = document.getElementById("when");
const slider = document.getElementById("seq");
const moment = document.getElementById("moment");
const state = document.getElementById("state");
const now = document.getElementById("now");

/** The slider's place that is being loaded, and the one that is wanted after it. */
let loading = null;
let wanted = null;
let source = null;

document.querySelector(".without-script").hidden = true;

/** Puts new content into the page; whoever was at a link there stays at it. */
function show(html) {
  const active = document.activeElement;
  const href = moment.contains(active) ? active.getAttribute("href") : null;
  moment.innerHTML = html;
  if (href !== null) moment.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus({ preventScroll: true });
  slider.setAttribute("aria-valuetext", document.getElementById("moment-is").textContent);
}

function follow() {
  source?.close();
  source = new EventSource(form.dataset.live);
  source.onopen = () => { state.textContent = "live"; };
  source.onerror = () => { state.textContent = "not connected, trying again"; };
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
  state.textContent = "a past moment";
}

/** Loads one moment at a time; of those asked for meanwhile, only the last. */
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
      show(page.getElementById("moment").innerHTML);
      history.replaceState(null, "", address);
    } else if (source === null) {
      state.textContent = "this moment cannot be shown; is the server still there?";
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
