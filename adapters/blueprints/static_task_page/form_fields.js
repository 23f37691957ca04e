/**
 * A form from its description: a list of fields, each with a `name`, a `type`, a `label`
 * and, as wished, `help` and `required`. The types and what else they take:
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
 * An option is a string, or `{"value": ..., "label": "..."}`. A field that is not required
 * and was left alone has the value null.
 */

/** Makes an element with properties and children; what is null among the children is left out. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "for") made.setAttribute(name, value);
    else if (value !== undefined) made[name] = value;
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** How each type is drawn: from its description and its id to the control or controls. */
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

/** How the value of each type is read; where several options are one field, the checked one. */
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
 * @returns {?string} what is wrong with the description, for whoever wrote it
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

/** Draws one field with its label and help, ready for the keyboard and for screen readers. */
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

/** Radio buttons carry the option's position: values of any JSON type survive that way. */
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
