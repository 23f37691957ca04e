// @ts-check
/** Tips for workers, which the run takes from `tips_location`: a list that a worker opens. */

import { text } from "/mephisto_texts.js";

/**
 * Draws the tips of a run.
 *
 * @param {Record<string, any>} config  the page's configuration
 * @returns {HTMLDetailsElement | null}  null if there are none
 */
export function drawTips({ tips }) {
  if (!Array.isArray(tips) || tips.length === 0) return null;
  const list = document.createElement("dl");
  for (const { header, text: words } of tips) list.append(named("dt", header), named("dd", words));
  const details = document.createElement("details");
  details.className = "tips";
  details.append(named("summary", text("page.tips")), list);
  return details;
}

/**
 * @param {"dt" | "dd" | "summary"} tag
 * @param {string} words
 */
function named(tag, words) {
  const made = document.createElement(tag);
  made.dir = "auto";
  made.textContent = words;
  return made;
}
