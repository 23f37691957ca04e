// @ts-check
/**
 * Keeps what a worker has filled in until it is submitted, so that a reload loses nothing. It stays in the worker's own
 * browser. A browser that keeps nothing (some forbid it to pages in frames) does no harm.
 */

const PREFIX = "mephisto-draft-";
const KEPT_MS = 7 * 24 * 60 * 60 * 1000;
const PAUSE_MS = 300;

/** The draft of one agent. */
export class Draft {
  #key;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #isOver = false;

  /** @param {string} agentId */
  constructor(agentId) {
    this.#key = PREFIX + agentId;
    removeOld();
  }

  /**
   * Saves the answers in a moment, unless they change again before that.
   *
   * @param {() => Record<string, any>} answers
   */
  save(answers) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.#isOver) quietly((storage) => storage.setItem(this.#key, stored(answers())));
    }, PAUSE_MS);
  }

  /** @returns {Record<string, any> | null} the answers of an earlier load of the page */
  read() {
    const text = quietly((storage) => storage.getItem(this.#key));
    try {
      return JSON.parse(text ?? "null")?.answers ?? null;
    } catch {
      return null;
    }
  }

  /** Forgets the draft, for good. */
  remove() {
    this.#isOver = true;
    clearTimeout(this.#timer);
    quietly((storage) => storage.removeItem(this.#key));
  }
}

/** @param {Record<string, any>} answers */
const stored = (answers) => JSON.stringify({ answers, at: Date.now() });

/** Removes the drafts of work that was never submitted. */
function removeOld() {
  quietly((storage) => {
    const keys = Array.from({ length: storage.length }, (_, position) => storage.key(position) ?? "");
    for (const key of keys.filter((one) => one.startsWith(PREFIX))) {
      const { at = 0 } = JSON.parse(storage.getItem(key) ?? "{}");
      if (Date.now() - at > KEPT_MS) storage.removeItem(key);
    }
    return null;
  });
}

/**
 * Does something with the browser's storage; null if it has none, or it is full.
 *
 * @template T
 * @param {(storage: Storage) => T} action
 * @returns {T | null}
 */
function quietly(action) {
  try {
    return action(window.localStorage);
  } catch (problem) {
    console.warn("the draft cannot be kept", problem);
    return null;
  }
}
