// @ts-check
/**
 * The rules that answers follow; `form_validation.py` has the same for the server, and one list of cases tests both.
 * No part of this touches the page.
 *
 * @typedef {object} Condition
 * @property {string} field  an earlier field
 * @property {any} is  its answer, or a list of answers of which any will do
 *
 * @typedef {object} Field
 * @property {string} name
 * @property {string} type
 * @property {string} [label]
 * @property {string} [help]
 * @property {boolean} [required]
 * @property {Condition} [show_if]
 * @property {number} [min]
 * @property {number} [max]
 * @property {number} [step]
 * @property {string} [min_label]
 * @property {string} [max_label]
 * @property {any[]} [options]
 * @property {any} [rows]  a matrix's rows, or a text area's number of lines
 * @property {any[]} [items]  names of columns
 * @property {{name: string, label?: string, description?: string, levels: any[]}[]} [criteria]
 * @property {string} [as]
 * @property {string} [tie]
 * @property {string} [best_label]
 * @property {string} [worst_label]
 * @property {number} [max_length]
 * @property {string} [placeholder]
 * @property {string} [accept]
 * @property {boolean} [multiple]
 * @property {number} [min_choices]
 * @property {number} [max_choices]
 *
 * @typedef {{value: any, label: string, description?: string}} Option
 * @typedef {Record<string, any>} Answers
 */

export const REQUIRED = "is required";
export const INCOMPLETE = "is not complete";
export const NOT_OFFERED = "is not one of the answers";
export const TOO_LONG = "is too long";
export const TOO_FEW = "has too few choices";
export const TOO_MANY = "has too many choices";
export const SAME_TWICE = "has the same item twice";

/** The answer to a pairwise choice if neither is better. */
export const TIE = "tie";
/** The name under which a submission says in which order things were presented. */
export const PRESENTED_ORDER = "presented_order";

const SLIDER_TOLERANCE = 1e-6;

/**
 * Gives options as objects; a plain value stands for an option that is labelled by it.
 *
 * @param {any[]} [options]
 * @returns {Option[]}
 */
export function optionsOf(options = []) {
  return options.map((option) => {
    const { value, label, description } =
      typeof option === "object" && option !== null ? option : { value: option, label: null, description: null };
    return { value, label: String(label ?? value), description };
  });
}

/** @param {any[]} [options] */
export const valuesOf = (options) => optionsOf(options).map(({ value }) => value);

/**
 * Says whether a field is shown, given the answers to the fields that it depends on.
 *
 * @param {Field} field
 * @param {Answers} answers
 * @param {Field[]} fields
 * @returns {boolean}
 */
export function isVisible(field, answers, fields) {
  const condition = field.show_if;
  if (!condition) return true;
  const other = fields.find(({ name }) => name === condition.field);
  if (other === undefined || !isVisible(other, answers, fields)) return false;
  const wanted = [condition.is].flat();
  return [answers[condition.field]].flat().some((answer) => wanted.includes(answer));
}

/**
 * Finds what is wrong with the answers to the fields that are shown.
 *
 * @param {Field[]} fields
 * @param {Answers} answers
 * @returns {Map<string, string>} problems by field name
 */
export function problemsOf(fields, answers) {
  const problems = new Map();
  for (const field of fields.filter((one) => isVisible(one, answers, fields))) {
    const problem = problemOf(field, answers[field.name] ?? null);
    if (problem !== null) problems.set(field.name, problem);
  }
  return problems;
}

/**
 * @param {Field} field
 * @param {any} value
 * @returns {string | null}
 */
function problemOf(field, value) {
  if (value === null || value === "" || (Array.isArray(value) && value.length === 0)) {
    return field.required ? REQUIRED : null;
  }
  return (RULES[field.type] ?? (() => null))(field, value);
}

/**
 * @param {boolean} isRight
 * @param {string} [problem]
 */
const unless = (isRight, problem = NOT_OFFERED) => (isRight ? null : problem);

/** @param {any} value */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** @param {any[]} values */
const hasDoubles = (values) => new Set(values).size < values.length;

/**
 * @param {Field} field
 * @param {any} value
 */
function checkText({ max_length: limit }, value) {
  if (typeof value !== "string") return NOT_OFFERED;
  return unless(!limit || value.length <= limit, TOO_LONG);
}

/**
 * @param {Field} field
 * @param {any} value
 */
function checkSlider({ min = 0, max = 100, step = 1 }, value) {
  if (!Number.isFinite(value)) return NOT_OFFERED;
  const steps = (value - min) / step;
  return unless(min <= value && value <= max && Math.abs(steps - Math.round(steps)) < SLIDER_TOLERANCE);
}

/**
 * @param {Field} field
 * @param {any} value
 */
function checkMultiChoice({ options, min_choices: least = 0, max_choices: most }, value) {
  const offered = valuesOf(options);
  if (!Array.isArray(value) || !value.every((one) => offered.includes(one))) return NOT_OFFERED;
  if (hasDoubles(value)) return SAME_TWICE;
  if (value.length < least) return TOO_FEW;
  return unless(most === undefined || most === null || value.length <= most, TOO_MANY);
}

/**
 * Checks answers by row, each of which is one of the row's values, or null.
 *
 * @param {Field} field
 * @param {any} value
 * @param {Map<string, any[]>} offered
 */
function checkRows({ required }, value, offered) {
  if (!isObject(value)) return NOT_OFFERED;
  const given = Object.entries(value).filter(([, answer]) => answer !== null);
  if (!Object.keys(value).every((row) => offered.has(row))) return NOT_OFFERED;
  if (!given.every(([row, answer]) => offered.get(row)?.includes(answer))) return NOT_OFFERED;
  return unless(!required || given.length === offered.size, INCOMPLETE);
}

/**
 * @param {Field} field
 * @param {any} value
 */
function checkRanking({ items }, value) {
  const offered = valuesOf(items);
  if (!Array.isArray(value) || !value.every((one) => offered.includes(one))) return NOT_OFFERED;
  if (hasDoubles(value)) return SAME_TWICE;
  return unless(value.length === offered.length, INCOMPLETE);
}

/**
 * @param {Field} field
 * @param {any} value
 */
function checkBestWorst({ items }, value) {
  if (!isObject(value) || !Object.keys(value).every((key) => key === "best" || key === "worst")) return NOT_OFFERED;
  const given = [value.best, value.worst].filter((one) => one !== null && one !== undefined);
  const offered = valuesOf(items);
  if (!given.every((one) => offered.includes(one))) return NOT_OFFERED;
  if (given.length < 2) return INCOMPLETE;
  return unless(given[0] !== given[1], SAME_TWICE);
}

/**
 * @param {Field} field
 * @param {any} value
 */
function checkFile({ multiple }, value) {
  const files = [value].flat();
  if (files.length > 1 && !multiple) return TOO_MANY;
  return unless(files.every(isObject));
}

/** @type {Record<string, (field: Field, value: any) => string | null>} */
const RULES = {
  text: checkText,
  textarea: checkText,
  checkbox: ({ required }, value) => {
    if (typeof value !== "boolean") return NOT_OFFERED;
    return unless(!required || value, REQUIRED);
  },
  file: checkFile,
  scale: ({ min = 1, max = 5 }, value) => unless(Number.isInteger(value) && min <= value && value <= max),
  slider: checkSlider,
  choice: ({ options }, value) => unless(valuesOf(options).includes(value)),
  select: ({ options }, value) => unless(valuesOf(options).includes(value)),
  multi_choice: checkMultiChoice,
  matrix: (field, value) => {
    const offered = valuesOf(field.options);
    return checkRows(field, value, new Map(valuesOf(field.rows).map((row) => [String(row), offered])));
  },
  rubric: (field, value) => {
    const criteria = field.criteria ?? [];
    return checkRows(field, value, new Map(criteria.map(({ name, levels }) => [name, valuesOf(levels)])));
  },
  ranking: checkRanking,
  best_worst: checkBestWorst,
  pairwise: ({ items, tie }, value) => {
    const hasTie = tie !== undefined && tie !== null;
    return unless(valuesOf(items).includes(value) || (hasTie && value === TIE));
  },
};
