// @ts-check
/** The one thing the client itself shows: a bar that says what does not work. */

import { text } from "./mephisto_texts.js";

const BAR_STYLE = `
  position: fixed; inset: 0 0 auto 0; z-index: 1000; padding: 0.75rem 1rem;
  display: flex; flex-wrap: wrap; gap: 1rem; align-items: center; justify-content: center;
  background: #7a1d1d; color: #fff; font: 1rem/1.4 system-ui, sans-serif`;
const BUTTON_STYLE = `
  font: inherit; padding: 0.5rem 1rem; min-height: 2.75rem; cursor: pointer; width: auto;
  border: 0; border-radius: 0.5rem; background: #fff; color: #7a1d1d`;

const NEVER = new Promise(() => {});

/**
 * Shows what did not work until the worker presses the button to try again.
 *
 * @param {string} sentence
 * @param {Promise<unknown>} [otherwise]  what takes the bar away as well
 * @returns {Promise<void>} settles when the bar is gone
 */
export async function untilRetry(sentence, otherwise = NEVER) {
  await untilPressed(sentence, text("client.try_again"), otherwise);
}

/**
 * Shows a sentence at the top of the page until the worker presses the button beside it.
 *
 * @param {string} sentence
 * @param {string} label  of the button
 * @param {Promise<unknown>} [otherwise]  what takes the bar away as well
 * @returns {Promise<void>} settles when the bar is gone
 */
export async function untilPressed(sentence, label, otherwise = NEVER) {
  const bar = document.createElement("div");
  bar.className = "mephisto-notice";
  bar.setAttribute("role", "alert");
  bar.style.cssText = BAR_STYLE;
  const words = document.createElement("span");
  words.textContent = sentence;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.style.cssText = BUTTON_STYLE;
  bar.append(words, button);
  document.body.append(bar);
  const pressed = new Promise((resolve) => button.addEventListener("click", resolve));
  await Promise.race([pressed, otherwise]);
  bar.remove();
}
