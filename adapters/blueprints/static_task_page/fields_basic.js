// @ts-check
/**
 * Fields for text, choices and uploads. Each is drawn as a control, which reads and writes its own answer: nothing is
 * looked up by a field's name, as a form in a browser has names of its own.
 *
 * @typedef {import("/form_rules.js").Field} Field
 * @typedef {import("/form_rules.js").Option} Option
 *
 * @typedef {object} FieldContext
 * @property {string} id  of the control, and the beginning of the ids of its parts
 * @property {import("/item_view.js").ItemView} view  draws the item's values
 * @property {(text: string) => string} text  fills in what a text says of the item
 * @property {() => any[]} order  the values of the field's items as they are presented
 * @property {() => void} changed  to be called when the answer has changed without an event of the page
 *
 * @typedef {object} Control
 * @property {HTMLElement} element
 * @property {boolean} isGroup  whether it has several parts, so that its label belongs to none of them
 * @property {() => any} read  the answer; null if there is none
 * @property {(answer: any) => void} write
 * @property {() => File[]} [files]
 */

import { element } from "/elements.js";
import { optionsOf } from "/form_rules.js";
import { TEXTS } from "/page_texts.js";

/**
 * @param {Field} field
 * @param {FieldContext} context
 * @returns {Record<string, any>} properties of every control
 */
function common({ required, help }, { id }) {
  return { id, required: Boolean(required), "aria-describedby": `${id}-problem${help ? ` ${id}-help` : ""}` };
}

/**
 * @param {Field} field
 * @param {FieldContext} context
 * @returns {Control}
 */
export function drawText(field, context) {
  const { max_length: maxLength, placeholder } = field;
  const limits = { maxLength: maxLength ?? undefined, placeholder: placeholder && context.text(placeholder) };
  const box =
    field.type === "textarea"
      ? element("textarea", { ...common(field, context), ...limits, dir: "auto", rows: field.rows ?? 4 })
      : element("input", { ...common(field, context), ...limits, dir: "auto", type: "text" });
  return {
    element: box,
    isGroup: false,
    read: () => box.value || null,
    write: (answer) => void (box.value = answer ?? ""),
  };
}

/**
 * @param {Field} field
 * @param {FieldContext} context
 * @returns {Control}
 */
export function drawCheckbox(field, context) {
  const box = element("input", { ...common(field, context), type: "checkbox" });
  return {
    element: box,
    isGroup: false,
    read: () => box.checked,
    write: (answer) => void (box.checked = answer === true),
  };
}

/**
 * @param {Field} field
 * @param {FieldContext} context
 * @returns {Control}
 */
export function drawFile(field, context) {
  const { accept = "", multiple } = field;
  const box = element("input", { ...common(field, context), type: "file", accept, multiple: Boolean(multiple) });
  const files = () => Array.from(box.files ?? []);
  const describe = (/** @type {File} */ { name, size }) => ({ name, size });
  // What the answer says of files, the client adds when it sends them; browsers forbid to choose them again.
  return { element: box, isGroup: false, read: () => files().map(describe), write: () => {}, files };
}

/**
 * @param {Field} field
 * @param {FieldContext} context
 * @returns {Control}
 */
export function drawSelect(field, context) {
  const options = optionsOf(field.options);
  const box = element(
    "select",
    common(field, context),
    element("option", { value: "", textContent: TEXTS.pleaseChoose }),
  );
  for (const [position, { label }] of options.entries()) {
    box.append(element("option", { value: String(position), textContent: context.text(label) }));
  }
  return {
    element: box,
    isGroup: false,
    // An option carries its position: values of any JSON type survive that way.
    read: () => (box.value === "" ? null : options[Number(box.value)].value),
    write: (answer) => {
      const position = options.findIndex(({ value }) => value === answer);
      box.value = position < 0 ? "" : String(position);
    },
  };
}

/**
 * @param {Field} field
 * @param {FieldContext} context
 * @returns {Control}
 */
export function drawChoice(field, context) {
  return drawRadios(optionsOf(field.options), context, { required: field.required, className: "options vertical" });
}

/**
 * @param {Field} field
 * @param {FieldContext} context
 * @returns {Control}
 */
export function drawMultiChoice(field, context) {
  const options = optionsOf(field.options);
  const boxes = options.map((_, position) => element("input", { type: "checkbox", id: `${context.id}-${position}` }));
  return {
    element: element(
      "div",
      { className: "options vertical" },
      ...options.map((option, position) => drawOption(boxes[position], option, context)),
    ),
    isGroup: true,
    read: () => options.filter((_, position) => boxes[position].checked).map(({ value }) => value),
    write: (answer) => {
      const chosen = Array.isArray(answer) ? answer : [];
      for (const [position, box] of boxes.entries()) box.checked = chosen.includes(options[position].value);
    },
  };
}

/**
 * Draws radio buttons, one for each option.
 *
 * @param {Option[]} options
 * @param {FieldContext} context
 * @param {{required?: boolean | undefined, className: string}} settings
 * @returns {Control}
 */
export function drawRadios(options, context, { required, className }) {
  const radios = options.map((_, position) =>
    element("input", {
      type: "radio",
      id: `${context.id}-${position}`,
      name: context.id,
      value: String(position),
      required: Boolean(required),
    }),
  );
  return {
    element: element(
      "div",
      { className },
      ...options.map((option, position) => drawOption(radios[position], option, context)),
    ),
    isGroup: true,
    read: () => options.find((_, position) => radios[position].checked)?.value ?? null,
    write: (answer) => {
      for (const [position, radio] of radios.entries()) radio.checked = options[position].value === answer;
    },
  };
}

/**
 * @param {HTMLInputElement} input
 * @param {Option} option
 * @param {FieldContext} context
 */
function drawOption(input, { label, description }, context) {
  const texts = [element("span", { dir: "auto", textContent: context.text(label) })];
  if (description) {
    texts.push(element("span", { dir: "auto", className: "description", textContent: context.text(description) }));
  }
  return element("label", { className: "option" }, input, element("span", { className: "option-text" }, ...texts));
}
