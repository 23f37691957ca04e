// @ts-check
/**
 * A form from its description: draws the fields, shows those that apply, and says what is wrong before it is submitted.
 * The types of fields and their settings are described in `form_spec.py`.
 */

import { element, fillIn } from "/elements.js";
import { drawCheckbox, drawChoice, drawFile, drawMultiChoice, drawSelect, drawText } from "/fields_basic.js";
import { drawBestWorst, drawPairwise, drawRanking } from "/fields_comparison.js";
import { drawMatrix, drawRubric, drawScale, drawSlider } from "/fields_scales.js";
import { PRESENTED_ORDER, isVisible, problemsOf, valuesOf } from "/form_rules.js";
import { TEXTS } from "/page_texts.js";
import { shuffled } from "/presented_order.js";

/**
 * @typedef {import("/form_rules.js").Field} Field
 * @typedef {import("/fields_basic.js").Control} Control
 * @typedef {import("/fields_basic.js").FieldContext} FieldContext
 */

/** @type {Record<string, (field: Field, context: FieldContext) => Control>} */
const DRAWN = {
  text: drawText,
  textarea: drawText,
  checkbox: drawCheckbox,
  file: drawFile,
  select: drawSelect,
  choice: drawChoice,
  multi_choice: drawMultiChoice,
  scale: drawScale,
  slider: drawSlider,
  matrix: drawMatrix,
  rubric: drawRubric,
  pairwise: drawPairwise,
  best_worst: drawBestWorst,
  ranking: drawRanking,
};

/**
 * Says what is wrong with a description, for whoever wrote it. The launch checks more, but a script may pass a form that
 * it never sees.
 *
 * @param {Field[]} fields
 * @returns {string | null}
 */
export function describeFault(fields) {
  const names = new Set();
  for (const [position, { name, type }] of fields.entries()) {
    const where = `form field ${position + 1}`;
    if (!name) return `${where} has no name`;
    if (names.has(name)) return `${where}: the name "${name}" is taken`;
    names.add(name);
    if (!Object.hasOwn(DRAWN, type)) {
      return `${where} ("${name}"): the type "${type}" is none of ${Object.keys(DRAWN).join(", ")}`;
    }
  }
  return null;
}

/** One form on the page. */
export class Form {
  #fields;
  #parts;
  /** @type {Map<string, any[]>} */
  #orders = new Map();
  #changed;
  #presented;

  /**
   * @param {Field[]} fields
   * @param {import("/item_view.js").ItemView} view
   * @param {string} seed  decides the order in which things are presented
   * @param {() => void} changed  called whenever an answer may have changed
   * @param {Record<string, any[]>} [presented]  the orders of an earlier presentation, by field
   */
  constructor(fields, view, seed, changed, presented = {}) {
    this.#presented = presented;
    this.#fields = fields;
    this.#changed = changed;
    this.#parts = fields.map((field) => this.#draw(field, view, seed));
    this.refresh();
  }

  /** The boxes of all fields. */
  get elements() {
    return this.#parts.map(({ box }) => box);
  }

  /** Whether files have to be chosen. */
  get hasFiles() {
    return this.#fields.some(({ type }) => type === "file");
  }

  /** The answers as they are now, for a draft or to be submitted; null for fields without one. */
  answers() {
    const filled = Object.fromEntries(this.#parts.map(({ field, control }) => [field.name, control.read()]));
    const answers = Object.fromEntries(
      this.#parts.map(({ field }) => {
        const answer = isVisible(field, filled, this.#fields) ? filled[field.name] : null;
        return [field.name, Array.isArray(answer) && answer.length === 0 ? null : answer];
      }),
    );
    return this.#orders.size > 0 ? { ...answers, [PRESENTED_ORDER]: Object.fromEntries(this.#orders) } : answers;
  }

  /** The uploads, by field name. */
  files() {
    const chosen = this.#parts
      .filter(({ control, box }) => control.files && !box.hidden)
      .map(({ field, control }) => [field.name, control.files?.() ?? []]);
    return Object.fromEntries(chosen.filter(([, files]) => files.length > 0));
  }

  /**
   * Fills in the answers of a draft.
   *
   * @param {Record<string, any>} answers
   */
  restore(answers) {
    for (const { field, control } of this.#parts) {
      if (Object.hasOwn(answers, field.name)) control.write(answers[field.name]);
    }
    this.refresh();
  }

  /** Shows the fields that apply to the answers, and hides the others. */
  refresh() {
    const filled = Object.fromEntries(this.#parts.map(({ field, control }) => [field.name, control.read()]));
    for (const { field, box } of this.#parts) box.hidden = !isVisible(field, filled, this.#fields);
  }

  /**
   * Marks what is wrong with the answers, and puts the focus on the first of it.
   *
   * @returns {boolean} whether all is well
   */
  check() {
    const problems = problemsOf(this.#fields, this.answers());
    for (const { field, box, control, problem } of this.#parts) {
      const found = problems.get(field.name);
      problem.textContent = found ? TEXTS.problem(found) : "";
      box.classList.toggle("wrong", found !== undefined);
      const input = control.isGroup ? box : (box.querySelector("input, textarea, select") ?? box);
      if (found) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
    const first = this.#parts.find(({ field }) => problems.has(field.name));
    /** @type {HTMLElement | null | undefined} */ (
      first?.box.querySelector("input, textarea, select, button")
    )?.focus();
    return first === undefined;
  }

  /**
   * @param {Field} field
   * @param {import("/item_view.js").ItemView} view
   * @param {string} seed
   */
  #draw(field, view, seed) {
    const id = `field-${field.name}`;
    const text = (/** @type {string} */ raw) => fillIn(raw, view.values);
    const order = () => {
      const values = this.#presented[field.name] ?? shuffled(valuesOf(field.items), `${seed}/${field.name}`);
      this.#orders.set(field.name, values);
      return values;
    };
    const control = DRAWN[field.type](field, { id, view, text, order, changed: () => this.#changed() });
    const problem = element("p", { id: `${id}-problem`, className: "problem", role: "alert" });
    return { field, control, problem, box: drawBox(field, id, text, control, problem) };
  }
}

/**
 * Draws a field's box: its label, its help, its control, and room for what is wrong with it.
 *
 * @param {Field} field
 * @param {string} id
 * @param {(text: string) => string} text
 * @param {Control} control
 * @param {HTMLElement} problem
 * @returns {HTMLElement}
 */
function drawBox(field, id, text, control, problem) {
  const label = element("span", { dir: "auto", textContent: text(field.label ?? field.name) });
  const mark = field.required ? element("span", { className: "required", textContent: ` (${TEXTS.required})` }) : null;
  const help = field.help
    ? element("p", { id: `${id}-help`, dir: "auto", className: "help", textContent: text(field.help) })
    : null;
  if (field.type === "checkbox") {
    const caption = element("span", { className: "option-text" }, label, mark);
    const option = element("label", { className: "option" }, control.element, caption);
    return element("div", { className: "field" }, help, option, problem);
  }
  if (!control.isGroup) {
    const caption = element("label", { for: id }, label, mark);
    return element("div", { className: "field" }, caption, help, control.element, problem);
  }
  const describedBy = help ? `${id}-help ${id}-problem` : `${id}-problem`;
  const legend = element("legend", {}, label, mark);
  const properties = { className: "field", "aria-describedby": describedBy };
  return element("fieldset", properties, legend, help, control.element, problem);
}
