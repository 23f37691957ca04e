import { RunPlots } from "/static/plots.js";

/** Keeps the page of a run up to date, shows the position that the slider is moved to, and plays the run. */

/** Positions in which a whole run is played, and the time that each is shown. */
const PLAYED_POSITIONS = 60;
const PLAY_MS = 400;

const form = document.getElementById("position");
const slider = document.getElementById("seq");
const view = document.getElementById("view");
const state = document.getElementById("state");
const now = document.getElementById("now");
const play = document.getElementById("play");
const plots = new RunPlots(document.getElementById("plots"));
/** Whoever wants no motion goes from one moment to the next by hand. */
const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;

/** The position that is being loaded, and the one to load after it. */
let loading = null;
let wanted = null;
let source = null;
/** What ends the play; null unless the run is played. */
let player = null;

document.querySelector(".without-script").hidden = true;
play.hidden = false;
play.textContent = isCalm ? "Next moment" : "Play";

/** Put new content into the page. A focused link keeps the focus, and the plots their zoom. */
function show(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const active = document.activeElement;
  const href = view.contains(active) ? active.getAttribute("href") : null;
  for (const part of ["figures", "details"]) {
    document.getElementById(part).replaceChildren(...fresh.getElementById(part).childNodes);
  }
  plots.update(fresh.getElementById("plots"));
  if (href !== null) view.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus({ preventScroll: true });
  slider.setAttribute("aria-valuetext", document.getElementById("view-position").textContent);
}

function follow() {
  source?.close();
  source = new EventSource(form.dataset.live);
  source.onopen = () => {
    state.textContent = "up to date";
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

/** Load one position at a time; of those requested meanwhile, only the last. */
async function load(seq) {
  wanted = seq;
  if (loading !== null) return;
  while (wanted !== null) {
    loading = wanted;
    wanted = null;
    const address = `${form.action}?seq=${loading}`;
    const answer = await fetch(address).catch(() => null);
    const html = answer?.ok ? await answer.text().catch(() => null) : null;
    if (html !== null && source === null) {
      show(html);
      history.replaceState(null, "", address);
    } else if (source === null) {
      state.textContent = "this position cannot be shown; is the server still running?";
      pause();
    }
    loading = null;
  }
}

/** Return the marked moments of the run: position and name. */
const moments = () => [...document.querySelectorAll("#marks option")].map(({ value, label }) => [Number(value), label]);

/** Go to the next position that is played, or to the next moment if it comes first; false at the end. */
async function step() {
  const [here, first, last] = [slider, { value: slider.min }, { value: slider.max }].map(({ value }) => Number(value));
  if (here >= last) return false;
  const stride = isCalm ? last : Math.max(1, Math.ceil((last - first) / PLAYED_POSITIONS));
  const ahead = moments().filter(([seq]) => seq > here);
  slider.value = Math.min(here + stride, last, ...ahead.map(([seq]) => seq));
  const reached = ahead.find(([seq]) => seq === Number(slider.value));
  state.textContent = reached === undefined ? "past" : reached[1];
  await load(slider.value);
  return Number(slider.value) < last;
}

function pause() {
  player?.abort();
  player = null;
  if (!isCalm) play.textContent = "Play";
}

/** Play from the position of the slider to the end, or from the beginning if it is at the end. */
async function start() {
  if (slider.value === slider.max) slider.value = slider.min;
  stopFollowing();
  if (isCalm) {
    await step();
    return;
  }
  const mine = new AbortController();
  player = mine;
  play.textContent = "Pause";
  while (!mine.signal.aborted && (await step())) {
    await new Promise((resolve) => {
      setTimeout(resolve, PLAY_MS);
    });
  }
  if (player === mine) pause();
}

function toggle() {
  if (player === null) start();
  else pause();
}

play.addEventListener("click", toggle);

slider.addEventListener("input", () => {
  pause();
  stopFollowing();
  load(slider.value);
});

now.addEventListener("click", (event) => {
  event.preventDefault();
  pause();
  wanted = null;
  slider.value = slider.max;
  history.replaceState(null, "", form.action);
  follow();
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.key === "Escape") pause();
  // The space bar has a meaning of its own on buttons, in fields, and where the page is scrolled with it.
  if (event.key === " " && event.target === slider) {
    event.preventDefault();
    toggle();
  }
});

if (!new URLSearchParams(location.search).has("seq")) follow();
