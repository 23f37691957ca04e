/**
 * Draws a form from its description: a list of fields, each with a `name`, a `type`, a `label`
 * and optionally `help` and `required`. The types and their options:
 *
 * | type       | options of its own                              | the answer's value       |
 * |------------|-------------------------------------------------|--------------------------|
 * | `scale`    | `min` (1), `max` (5), `min_label`, `max_label`  | a number                 |
 * | `choice`   | `options`                                       | the chosen option's value |
 * | `select`   | `options`                                       | the chosen option's value |
 * | `checkbox` |                                                 | true or false            |
 * | `text`     | `max_length`, `placeholder`                     | a string, of one line    |
 * | `textarea` | `max_length`, `placeholder`, `rows` (4)         | a string                 |
 * | `file`     | `accept`, `multiple`                            | an upload                |
 *
 * An option is a string, or `{"value": ..., "label": "..."}`. An optional field that was not
 * filled in has the value null.
 */

/** Creates an element with properties and children; null children are skipped. */
export function element(tag, properties = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "for") created.setAttribute(name, value);
    else if (value !== undefined) created[name] = value;
  }
  created.append(...children.filter((child) => child !== null));
  return created;
}

/** The function that draws each type, given the field's description and id. */
const CONTROLS = {
  scale: (field, id) => drawScale(field, id),
  choice: (field, id) => element("div", { className: "options vertical" }, ...radios(field, id, options(field))),
  select: (field, id) => drawSelect(field, id),
  checkbox: (field, id) => drawInput(field, id, { type: "checkbox" }),
  text: (field, id) => drawInput(field, id, { type: "text", ...textLimits(field) }),
  textarea: (field, id) => drawControl("textarea", field, id, { rows: field.rows ?? 4, ...textLimits(field) }),
  file: (field, id) =>
    drawInput(field, id, {
      type: "file",
      accept: field.accept ?? "",
      multiple: Boolean(field.multiple),
    }),
};

/** The function that reads the value of each type. */
const VALUES = {
  scale: (field, form) => chosen(field, form, scaleOptions(field)),
  choice: (field, form) => chosen(field, form, options(field)),
  select: (field, form) => options(field)[form.elements[field.name].value]?.value ?? null,
  checkbox: (field, form) => form.elements[field.name].checked,
  text: (field, form) => form.elements[field.name].value || null,
  textarea: (field, form) => form.elements[field.name].value || null,
};

/**
 * @param {object[]} fields
 * @returns {?string} the fault in the description, for its author; null if there is none
 */
export function describeFault(fields) {
  const names = new Set();
  for (const [position, field] of fields.entries()) {
    const where = `form field ${position + 1}`;
    if (!field.name) return `${where} has no name`;
    if (names.has(field.name)) return `${where}: the name "${field.name}" is taken`;
    names.add(field.name);
    if (!(field.type in CONTROLS)) {
      const known = Object.keys(CONTROLS).join(", ");
      return `${where} ("${field.name}"): the type "${field.type}" is none of ${known}`;
    }
    if (["choice", "select"].includes(field.type) && !field.options?.length) {
      return `${where} ("${field.name}") needs options`;
    }
  }
  return null;
}

/** Draws one field with its label and help, accessible by keyboard and screen reader. */
export function drawField(field) {
  const id = `field-${field.name}`;
  const several = field.type === "scale" || field.type === "choice";
  const help = field.help ? element("p", { id: `${id}-help`, className: "help", textContent: field.help }) : null;
  const mark = field.required ? element("span", { className: "required", textContent: " (required)" }) : null;
  const control = CONTROLS[field.type](field, id);
  if (field.type === "checkbox") {
    const label = element("span", {}, field.label ?? field.name, mark);
    return element("div", { className: "field" }, help, element("label", { className: "option" }, control, label));
  }
  const caption = several
    ? element("legend", {}, field.label ?? field.name, mark)
    : element("label", { for: id }, field.label ?? field.name, mark);
  const box = element(several ? "fieldset" : "div", { className: "field" }, caption, help, control);
  if (several && help) box.setAttribute("aria-describedby", help.id);
  return box;
}

/**
 * Reads a filled form.
 *
 * @returns {[object, Object<string, File[]>]} the values and the uploads, by field name
 */
export function readForm(fields, form) {
  const data = {};
  const files = {};
  for (const field of fields) {
    if (field.type === "file") files[field.name] = Array.from(form.elements[field.name].files);
    else data[field.name] = VALUES[field.type](field, form);
  }
  for (const [name, list] of Object.entries(files)) {
    if (list.length > 0) continue;
    delete files[name];
    data[name] = null;
  }
  return [data, files];
}

const options = (field) =>
  field.options.map((option) => (typeof option === "object" ? option : { value: option, label: String(option) }));

function scaleOptions({ min = 1, max = 5 }) {
  const count = max - min + 1;
  return Array.from({ length: count }, (_, step) => ({ value: min + step, label: `${min + step}` }));
}

function textLimits(field) {
  return { maxLength: field.max_length, placeholder: field.placeholder };
}

function drawControl(tag, field, id, properties) {
  const control = element(tag, {
    id,
    name: field.name,
    required: Boolean(field.required),
    ...properties,
  });
  if (field.help) control.setAttribute("aria-describedby", `${id}-help`);
  return control;
}

const drawInput = (field, id, properties) => drawControl("input", field, id, properties);

function drawScale(field, id) {
  const row = element("div", { className: "options" }, ...radios(field, id, scaleOptions(field)));
  const ends = element(
    "p",
    { className: "ends" },
    element("span", { textContent: field.min_label ?? "" }),
    element("span", { textContent: field.max_label ?? "" }),
  );
  return element("div", { className: "scale" }, row, field.min_label || field.max_label ? ends : null);
}

function drawSelect(field, id) {
  const select = drawControl("select", field, id, {});
  select.append(element("option", { value: "", textContent: "Please choose" }));
  for (const [position, option] of options(field).entries()) {
    select.append(element("option", { value: position, textContent: option.label }));
  }
  return select;
}

/** Draws radio buttons whose value is the option's position, so that options can be of any JSON type. */
function radios(field, id, choices) {
  return choices.map((option, position) =>
    element(
      "label",
      { className: "option" },
      element("input", {
        id: `${id}-${position}`,
        type: "radio",
        name: field.name,
        value: position,
        required: Boolean(field.required),
      }),
      element("span", { textContent: option.label }),
    ),
  );
}

function chosen(field, form, choices) {
  const checked = form.querySelector(`input[name="${CSS.escape(field.name)}"]:checked`);
  return checked ? choices[checked.value].value : null;
}
