// @ts-check
/** Makes elements of the page, and fills in what texts say of the item. */

/**
 * Makes an element. Among the properties, names with a hyphen and `for` are attributes.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [properties]  those that are undefined are left out
 * @param {(Node | string | null)[]} children  null is left out
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (name.includes("-") || name === "for") made.setAttribute(name, value);
    else Object.assign(made, { [name]: value });
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/**
 * Replaces each `{{column}}` in a text by the item's value.
 *
 * @param {string} text
 * @param {Record<string, any>} item
 */
export function fillIn(text, item) {
  return text.replace(/\{\{\s*([^{}]+?)\s*\}\}/g, (whole, name) => {
    const value = item[name];
    return value === undefined ? whole : asText(value);
  });
}

/** @param {any} value */
export const asText = (value) => (typeof value === "object" ? JSON.stringify(value, null, 2) : String(value));
