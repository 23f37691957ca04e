"use strict";

/** Gives the review desk its keys: verdicts, notes, and steps through the queue. */

const form = document.getElementById("decide");
const FIELDS = { n: "note", b: "bonus" };
const STEPS = { j: "next", k: "prev" };

/** Record a verdict, or take one back, by its key, unless the page is being left already. */
function decide(key) {
  const button = document.querySelector(`button[data-key="${key}"]`);
  if (button && !form?.dataset.sent) button.click();
  return Boolean(button);
}

/** Act on a key; true if it means something here. */
function act(key) {
  if (key === "?") {
    const keys = document.getElementById("keys");
    if (keys) keys.open = !keys.open;
    return Boolean(keys);
  }
  if (key in FIELDS) {
    const field = form?.elements.namedItem(FIELDS[key]);
    field?.focus();
    return Boolean(field);
  }
  if (key === "o") {
    const box = form?.querySelector("input[name=second_opinion]");
    if (box) box.checked = !box.checked;
    return Boolean(box);
  }
  if (key in STEPS) {
    const link = document.querySelector(`a[rel="${STEPS[key]}"]`);
    link?.click();
    return Boolean(link);
  }
  return decide(key);
}

const sift = document.getElementById("sift");
if (matchMedia("(max-width: 600px)").matches && location.search === "") sift.open = false;

form?.addEventListener("submit", (event) => {
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (event.key === "Escape" && isTyping) event.target.blur();
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (act(event.key.toLowerCase())) event.preventDefault();
});
