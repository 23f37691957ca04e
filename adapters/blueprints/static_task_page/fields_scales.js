// @ts-check
/**
 * Fields that measure: scales, sliders, and several scales in one.
 *
 * @typedef {import("/fields_basic.js").Field} Field
 * @typedef {import("/fields_basic.js").FieldContext} FieldContext
 * @typedef {import("/fields_basic.js").Control} Control
 */

import { element } from "/elements.js";
import { drawRadios } from "/fields_basic.js";
import { optionsOf } from "/form_rules.js";
import { TEXTS } from "/page_texts.js";

/** Keys that move a slider's handle, or say that it is right where it is. */
const SETTING_KEYS = /^(Arrow.*|Page.*|Home|End|Enter| )$/;

/**
 * @param {Field} field
 * @param {FieldContext} context
 * @returns {Control}
 */
export function drawScale(field, context) {
  const { min = 1, max = 5 } = field;
  const points = Array.from({ length: max - min + 1 }, (_, step) => min + step);
  const radios = drawRadios(optionsOf(points), context, { required: field.required, className: "points" });
  radios.element.style.setProperty("--points", String(points.length));
  const scale = element("div", { className: "scale" }, radios.element, drawEnds(field, context));
  scale.style.setProperty("--points", String(points.length));
  return { ...radios, element: scale };
}

/**
 * @param {Field} field
 * @param {FieldContext} context
 * @returns {Control}
 */
export function drawSlider(field, context) {
  const { id } = context;
  const { min = 0, max = 100, step = 1, help } = field;
  const slider = element("input", {
    id,
    type: "range",
    min: String(min),
    max: String(max),
    step: String(step),
    "aria-describedby": `${id}-problem${help ? ` ${id}-help` : ""}`,
  });
  slider.value = String((min + max) / 2); // the browser's own middle does not know the step yet
  const shown = element("output", { for: id });
  let isSet = false;
  const show = () => {
    shown.textContent = isSet ? slider.value : TEXTS.notSet;
    slider.classList.toggle("unset", !isSet);
    slider.setAttribute("aria-valuetext", shown.textContent);
  };
  const set = () => {
    isSet = true;
    show();
    context.changed();
  };
  slider.addEventListener("input", set);
  // A handle that is pressed where it stands, or pushed against its end, says that this is the answer.
  slider.addEventListener("pointerup", set);
  slider.addEventListener("keyup", ({ key }) => {
    if (SETTING_KEYS.test(key)) set();
  });
  show();
  return {
    element: element("div", { className: "slider" }, slider, shown, drawEnds(field, context)),
    isGroup: false,
    read: () => (isSet ? Number(slider.value) : null),
    write: (answer) => {
      isSet = typeof answer === "number";
      if (isSet) slider.value = String(answer);
      show();
    },
  };
}

/**
 * @param {Field} field
 * @param {FieldContext} context
 * @returns {Control}
 */
export function drawMatrix(field, context) {
  const options = optionsOf(field.options);
  const rows = optionsOf(field.rows).map(({ value, label, description }) => ({
    name: String(value),
    label,
    description,
    options,
  }));
  return drawRows(rows, field, context, "points");
}

/**
 * @param {Field} field
 * @param {FieldContext} context
 * @returns {Control}
 */
export function drawRubric(field, context) {
  const rows = (field.criteria ?? []).map(({ name, label, description, levels }) => ({
    name,
    label: label ?? name,
    description,
    options: optionsOf(levels),
  }));
  return drawRows(rows, field, context, "options vertical");
}

/**
 * Draws rows, each with options of its own; the answer has one value for each row.
 *
 * @param {{name: string, label: string, description?: string | undefined,
 *     options: import("/form_rules.js").Option[]}[]} rows
 * @param {Field} field
 * @param {FieldContext} context
 * @param {string} className  of the options
 * @returns {Control}
 */
function drawRows(rows, field, context, className) {
  const controls = rows.map(({ options }, position) =>
    drawRadios(options, { ...context, id: `${context.id}-row${position}` }, { required: field.required, className }),
  );
  const boxes = rows.map(({ label, description, options }, position) => {
    const { element: radios } = controls[position];
    radios.style.setProperty("--points", String(options.length));
    return element(
      "fieldset",
      { className: "row" },
      element("legend", { dir: "auto", textContent: context.text(label) }),
      description ? element("p", { dir: "auto", className: "help", textContent: context.text(description) }) : null,
      radios,
    );
  });
  return {
    element: element("div", { className: "rows" }, ...boxes),
    isGroup: true,
    read: () => {
      const answers = rows.map(({ name }, position) => [name, controls[position].read()]);
      return answers.some(([, answer]) => answer !== null) ? Object.fromEntries(answers) : null;
    },
    write: (answer) => {
      for (const [position, { name }] of rows.entries()) controls[position].write(answer?.[name] ?? null);
    },
  };
}

/**
 * @param {Field} field
 * @param {FieldContext} context
 * @returns {HTMLElement | null} what the ends of a scale mean
 */
function drawEnds({ min_label: minLabel, max_label: maxLabel }, context) {
  if (!minLabel && !maxLabel) return null;
  const ends = [minLabel ?? "", maxLabel ?? ""].map((text) =>
    element("span", { dir: "auto", textContent: context.text(text) }),
  );
  return element("p", { className: "ends" }, ...ends);
}
