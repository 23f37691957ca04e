// @ts-check
/**
 * Fields that compare columns of the item. They are presented in a random order, which is submitted with the answer, as
 * A, B, C ...: nothing tells the worker which is which.
 *
 * @typedef {import("/fields_basic.js").Field} Field
 * @typedef {import("/fields_basic.js").FieldContext} FieldContext
 * @typedef {import("/fields_basic.js").Control} Control
 */

import { element } from "/elements.js";
import { drawRadios } from "/fields_basic.js";
import { TIE } from "/form_rules.js";
import { TEXTS } from "/page_texts.js";

/** @param {number} position */
const letterOf = (position) => String.fromCharCode("A".charCodeAt(0) + position);

/**
 * @param {string} name  the column
 * @param {number} position
 * @param {Field} field
 * @param {FieldContext} context
 * @param {Node[]} controls
 */
function drawCard(name, position, field, { view, id }, ...controls) {
  const letter = letterOf(position);
  const content = element("div", { id: `${id}-content${position}`, className: "content" });
  content.append(...view.drawValue(name, field.as ?? undefined, letter));
  return element(
    "div",
    { className: "card" },
    element("p", { className: "letter", textContent: letter }),
    content,
    element("div", { className: "card-controls" }, ...controls),
  );
}

/**
 * @param {Field} field
 * @param {FieldContext} context
 * @returns {Control}
 */
export function drawPairwise(field, context) {
  const names = context.order();
  const options = names.map((value, position) => ({ value, label: TEXTS.choose(letterOf(position)) }));
  if (field.tie) options.push({ value: TIE, label: field.tie });
  const radios = drawRadios(options, context, { required: field.required, className: "" });
  const labels = Array.from(radios.element.children);
  const cards = names.map((name, position) => drawCard(name, position, field, context, labels[position]));
  return {
    ...radios,
    element: element(
      "div",
      { className: "comparison" },
      element("div", { className: "cards" }, ...cards),
      ...labels.slice(names.length),
    ),
  };
}

/**
 * @param {Field} field
 * @param {FieldContext} context
 * @returns {Control}
 */
export function drawBestWorst(field, context) {
  const names = context.order();
  const ends = [
    { end: "best", label: field.best_label ?? TEXTS.best },
    { end: "worst", label: field.worst_label ?? TEXTS.worst },
  ].map(({ end, label }) => {
    const options = names.map((value, position) => ({ value, label: `${letterOf(position)}: ${label}` }));
    return drawRadios(options, { ...context, id: `${context.id}-${end}` }, { required: field.required, className: "" });
  });
  const [best, worst] = ends;
  const labels = ends.map((radios) => Array.from(radios.element.children));
  const cards = names.map((name, position) =>
    drawCard(name, position, field, context, ...labels.map((ofEnd) => ofEnd[position])),
  );
  return {
    element: element("div", { className: "cards" }, ...cards),
    isGroup: true,
    read: () => {
      const answer = { best: best.read(), worst: worst.read() };
      return answer.best === null && answer.worst === null ? null : answer;
    },
    write: (answer) => {
      best.write(answer?.best ?? null);
      worst.write(answer?.worst ?? null);
    },
  };
}

/**
 * Draws items that are put in order by pressing them one after the other, the first first.
 *
 * @param {Field} field
 * @param {FieldContext} context
 * @returns {Control}
 */
export function drawRanking(field, context) {
  const names = context.order();
  /** @type {any[]} */
  let ranking = [];
  const status = element("p", { className: "help", role: "status" });
  const buttons = names.map((_, position) =>
    element("button", {
      type: "button",
      className: "quiet",
      "aria-describedby": `${context.id}-content${position}`,
    }),
  );
  const show = () => {
    for (const [position, name] of names.entries()) {
      const rank = ranking.indexOf(name) + 1;
      buttons[position].textContent = rank > 0 ? TEXTS.unrank(rank) : TEXTS.rankNext(ranking.length + 1);
      buttons[position].setAttribute("aria-pressed", String(rank > 0));
    }
    status.textContent = TEXTS.rankedOf(ranking.length, names.length);
  };
  for (const [position, name] of names.entries()) {
    buttons[position].addEventListener("click", () => {
      ranking = ranking.includes(name) ? ranking.filter((one) => one !== name) : [...ranking, name];
      show();
      context.changed();
    });
  }
  show();
  const cards = names.map((name, position) => drawCard(name, position, field, context, buttons[position]));
  return {
    element: element("div", { className: "comparison" }, element("div", { className: "cards" }, ...cards), status),
    isGroup: true,
    read: () => (ranking.length > 0 ? ranking : null),
    write: (answer) => {
      ranking = Array.isArray(answer) ? answer.filter((name) => names.includes(name)) : [];
      show();
    },
  };
}
