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

const CONSENT_STYLE = `
  position: fixed; inset: 0; z-index: 1001; overflow: auto; padding: 2rem 1rem; box-sizing: border-box;
  background: #fff; color: #1b1b1b; font: 1rem/1.5 system-ui, sans-serif`;

/**
 * Shows a text that a worker has to agree to before there is work.
 *
 * @param {string} consent  blank lines part paragraphs
 * @returns {Promise<boolean>} whether the worker agrees
 */
export async function askForConsent(consent) {
  const page = document.createElement("div");
  page.className = "mephisto-consent";
  page.setAttribute("role", "dialog");
  page.setAttribute("aria-modal", "true");
  page.setAttribute("aria-label", text("consent.title"));
  page.style.cssText = CONSENT_STYLE;
  const heading = document.createElement("h1");
  heading.tabIndex = -1;
  heading.textContent = text("consent.title");
  page.append(heading);
  for (const paragraph of consent.split(/\n\s*\n/).filter((part) => part.trim())) {
    const shown = document.createElement("p");
    shown.dir = "auto";
    shown.textContent = paragraph;
    page.append(shown);
  }
  const [agree, decline] = ["consent.agree", "consent.decline"].map((key) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text(key);
    button.style.cssText = "font: inherit; padding: 0.5rem 1rem; min-height: 2.75rem; margin-inline-end: 1rem";
    page.append(button);
    return button;
  });
  document.body.append(page);
  heading.focus();
  const answer = await new Promise((resolve) => {
    agree.addEventListener("click", () => resolve(true));
    decline.addEventListener("click", () => resolve(false));
  });
  page.remove();
  return answer;
}

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
