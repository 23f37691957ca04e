// @ts-check
/** Draws values of an item: as text, or as the image, sound or film that they are the address of. */

import { asText, element } from "/elements.js";
import { TEXTS } from "/page_texts.js";

/**
 * @typedef {object} Shown
 * @property {string} name
 * @property {string} [label]
 * @property {string} [as]
 */

/** Draws the values of one item. */
export class ItemView {
  #item;
  #mediaAddress;
  #onFault;

  /**
   * @param {any} item
   * @param {string | null} mediaAddress  where the server has the task's own media, if it has some
   * @param {(fault: string) => void} onFault  told of media that cannot be loaded
   */
  constructor(item, mediaAddress, onFault) {
    this.#item = typeof item === "object" && item !== null && !Array.isArray(item) ? item : { item };
    this.#mediaAddress = mediaAddress;
    this.#onFault = onFault;
  }

  /** The values by name. */
  get values() {
    return this.#item;
  }

  /**
   * Draws the values that `show` lists, or all of them.
   *
   * @param {(string | Shown)[] | undefined} show
   * @returns {HTMLElement | null} null if there is nothing to show
   */
  draw(show) {
    const list = element("dl");
    for (const entry of show ?? Object.keys(this.#item)) {
      const { name, label, as } = typeof entry === "string" ? { name: entry } : entry;
      if (this.#item[name] === undefined) continue;
      list.append(element("dt", { dir: "auto", textContent: label ?? name }));
      list.append(element("dd", {}, ...this.drawValue(name, as, label ?? name)));
    }
    return list.children.length > 0 ? list : null;
  }

  /**
   * @param {string} name  of the value
   * @param {string} [as]  `text`, `image`, `audio` or `video`
   * @param {string} [label]  says what it is to whoever cannot see it
   * @returns {HTMLElement[]} one for each value of a list of media
   */
  drawValue(name, as = "text", label = name) {
    const value = this.#item[name];
    if (value === undefined || value === null || value === "") return [element("span", { textContent: TEXTS.noValue })];
    if (as === "text") return [element("span", { dir: "auto", textContent: asText(value) })];
    return [value].flat().map((file) => this.#drawMedium(String(file), as, label));
  }

  /**
   * @param {string} file
   * @param {string} as
   * @param {string} label
   */
  #drawMedium(file, as, label) {
    const src = this.#addressOf(file);
    /** @type {HTMLElement} */
    const medium =
      as === "image"
        ? element("img", { src, alt: label })
        : element(as === "audio" ? "audio" : "video", {
            src,
            controls: true,
            preload: "metadata",
            "aria-label": label,
          });
    medium.addEventListener("error", () => {
      this.#onFault(`cannot load ${src}`);
      medium.replaceWith(element("p", { className: "problem", textContent: TEXTS.mediaFailed }));
    });
    return medium;
  }

  /** @param {string} file */
  #addressOf(file) {
    if (file.startsWith("/") || /^[a-z][a-z0-9+.-]+:/i.test(file) || this.#mediaAddress === null) return file;
    return this.#mediaAddress + file.split("/").map(encodeURIComponent).join("/");
  }
}
