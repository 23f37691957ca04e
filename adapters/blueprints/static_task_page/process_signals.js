// @ts-check
/**
 * Counts how a form is filled in, and not what is written: no key, no text and no address leaves this module, numbers
 * do. Only for tasks that ask for it, and whose workers are told. `process_signals.py` bounds the numbers again.
 */

/** The name under which a submission has the numbers. */
export const PROCESS_SIGNALS = "process_signals";
const MOST = 1_000_000;

/** The signals of one piece of work. */
export class ProcessSignals {
  #begun = performance.now();
  #keys = 0;
  #pasted = 0;
  #switches = 0;
  /** @type {number | null} */
  #firstKey = null;

  /** @param {HTMLElement} form */
  constructor(form) {
    form.addEventListener("keydown", () => this.#countKey());
    form.addEventListener("paste", (event) => {
      this.#pasted += event.clipboardData?.getData("text").length ?? 0;
    });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") this.#switches += 1;
    });
  }

  /**
   * @param {Record<string, any>} answers
   * @returns {Record<string, number | null>}
   */
  read(answers) {
    const written = Object.values(answers)
      .filter((answer) => typeof answer === "string")
      .reduce((sum, answer) => sum + answer.length, 0);
    return {
      pasted_share: written === 0 ? null : Math.min(1, Math.round((100 * this.#pasted) / written) / 100),
      keys: Math.min(MOST, this.#keys),
      tab_switches: Math.min(MOST, this.#switches),
      seconds_to_first_key: this.#firstKey === null ? null : Math.min(MOST, this.#firstKey),
    };
  }

  #countKey() {
    this.#keys += 1;
    this.#firstKey ??= Math.round((performance.now() - this.#begun) / 100) / 10;
  }
}
