// @ts-check
/** A training: practice items one after the other, with feedback. The rules are those of `onboarding/training.py`. */

/** @typedef {{data: Record<string, any>, answers: Record<string, any>, feedback?: string | null}} PracticeItem */

/**
 * @param {any} given
 * @param {any} wanted
 * @returns {boolean}
 */
function matches(given, wanted) {
  if (Array.isArray(wanted) && !Array.isArray(given)) return wanted.some((one) => matches(given, one));
  if (Array.isArray(given) && Array.isArray(wanted)) {
    return given.length === wanted.length && given.every((one) => wanted.includes(one));
  }
  if (typeof given === "object" || typeof wanted === "object") return JSON.stringify(given) === JSON.stringify(wanted);
  return given === wanted;
}

/** The place of a worker in a training. */
export class Training {
  /** @type {PracticeItem[]} */
  #items;
  #retries;
  #tries = 0;
  /** @type {{answers: Record<string, any>, tries: number}[]} what is submitted: the last answers to each item */
  results = [];

  /** @param {{items: PracticeItem[], retries?: number}} settings */
  constructor({ items, retries = 1 }) {
    this.#items = items;
    this.#retries = retries;
  }

  /** The item that is practiced. */
  get item() {
    return this.#items[this.number - 1];
  }

  /** Its number, from 1 on. */
  get number() {
    return this.results.length + 1;
  }

  get count() {
    return this.#items.length;
  }

  /**
   * Judges the answers to the item.
   *
   * @param {Record<string, any>} answers
   * @returns {{isRight: boolean, mayRetry: boolean}}
   */
  judge(answers) {
    this.#tries += 1;
    const isRight = Object.entries(this.item.answers).every(([name, wanted]) => matches(answers[name], wanted));
    return { isRight, mayRetry: !isRight && this.#tries <= this.#retries };
  }

  /**
   * Takes the answers to the item as they are, and goes to the next one.
   *
   * @param {Record<string, any>} answers
   * @returns {boolean} whether there is one
   */
  advance(answers) {
    this.results.push({ answers, tries: this.#tries });
    this.#tries = 0;
    return this.results.length < this.#items.length;
  }
}
