/**
 * What a rehearsal does on a worker's page, in the page itself: says what is to be seen, fills in fields, presses buttons.
 * Added to each page before its own scripts, as `globalThis.rehearsal`.
 */
"use strict";

globalThis.rehearsal = (() => {
  const QUIET_MS = 250;
  const SUBMITS = /submit|send|finish|done|continue|next|begin|start|agree/i;
  const CONTROLS = "input, textarea, select, button, [contenteditable=true]";
  const SHOWN = "img, svg, canvas, video, audio, iframe";
  /** @type {Set<Element>} */
  const pressed = new Set();

  const isVisible = (/** @type {Element} */ element) =>
    element.getClientRects().length > 0 && getComputedStyle(element).visibility !== "hidden";
  const visible = (/** @type {string} */ selector) => [...document.querySelectorAll(selector)].filter(isVisible);
  const nameOf = (/** @type {any} */ control) => control.name || control.id || "";

  /** Waits until nothing has changed on the page for a moment, or until the time is up. */
  function settle(/** @type {number} */ limitMs) {
    return new Promise((resolve) => {
      let timer = setTimeout(finish, QUIET_MS);
      const observer = new MutationObserver(() => {
        clearTimeout(timer);
        timer = setTimeout(finish, QUIET_MS);
      });
      const end = setTimeout(finish, limitMs);
      function finish() {
        observer.disconnect();
        clearTimeout(timer);
        clearTimeout(end);
        resolve(null);
      }
      observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    });
  }

  /** Waits until there is something to be seen, or until the time is up; says whether there is. */
  async function appears(/** @type {number} */ limitMs) {
    const until = Date.now() + limitMs;
    while (!hasContent() && Date.now() < until) await settle(Math.min(limitMs, 2 * QUIET_MS));
    return hasContent();
  }

  function hasContent() {
    const text = document.body?.innerText?.trim() ?? "";
    return text !== "" || visible(`${SHOWN}, ${CONTROLS}`).length > 0;
  }

  function setValue(/** @type {any} */ control, /** @type {string} */ value) {
    // As React and its like see it, only the prototype's setter is a change by a person.
    const setter = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(control), "value")?.set;
    setter?.call(control, value);
    control.dispatchEvent(new Event("input", { bubbles: true }));
    control.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function fillOne(/** @type {any} */ control, /** @type {string} */ mark) {
    const least = Number(control.min || 0);
    switch (control.type) {
      case "checkbox":
        if (!control.checked) control.click();
        return;
      case "radio":
        if (![...document.getElementsByName(control.name)].some((/** @type {any} */ one) => one.checked))
          control.click();
        return;
      case "select-one":
        setValue(control, ([...control.options].find((one) => one.value && !one.disabled) ?? {}).value ?? "");
        return;
      case "number":
      case "range":
        setValue(control, String(control.max ? Math.round((least + Number(control.max)) / 2) : least + 1));
        return;
      case "email":
        setValue(control, "rehearsal@example.org");
        return;
      case "date":
        setValue(control, "2026-01-31");
        return;
      default: {
        const limit = control.maxLength > 0 ? control.maxLength : Infinity;
        if (!control.value) setValue(control, mark.slice(0, limit));
      }
    }
  }

  /** Fills in what is visible and empty; returns the names of all fields, each with the text put into it, if any. */
  function fill(/** @type {string} */ text) {
    /** @type {Record<string, string | null>} */
    const filled = {};
    for (const control of /** @type {any[]} */ (visible("input, textarea, select"))) {
      if (control.disabled || ["submit", "button", "reset", "hidden", "image", "file"].includes(control.type)) continue;
      const name = nameOf(control);
      const mark = `${text} ${name}`.trim();
      fillOne(control, mark);
      if (name) filled[name] = ["text", "textarea", "search"].includes(control.type) ? String(control.value) : null;
    }
    return filled;
  }

  /** Presses the button that submits, or else those that were not pressed yet; says how many. */
  function press() {
    const buttons = /** @type {any[]} */ (visible("button, input[type=submit], input[type=button], [role=button]"));
    const enabled = buttons.filter((button) => !button.disabled);
    const submits = enabled.filter(
      (button) => button.type === "submit" || SUBMITS.test(button.innerText || button.value || ""),
    );
    const fresh = enabled.filter((button) => !pressed.has(button));
    const chosen = submits.length > 0 ? submits.slice(-1) : fresh;
    for (const button of chosen) {
      pressed.add(button);
      button.click();
    }
    return chosen.length;
  }

  const text = () => (document.body?.innerText ?? "").trim().slice(0, 300);
  const fileInputs = () => document.querySelectorAll("input[type=file]").length;

  return { settle, appears, fill, press, text, fileInputs };
})();
