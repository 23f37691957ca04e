// @ts-check
/** The texts of the stock page by name, in the language of the run; they are in the catalogue of `mephisto_texts.js`. */

import { text } from "/mephisto_texts.js";

/**
 * The texts of problems with an answer, by the problem's name in form_rules.js.
 *
 * @type {Record<string, string>}
 */
const PROBLEMS = {
  "is required": "required",
  "is not complete": "not_complete",
  "is not one of the answers": "not_one",
  "is too long": "too_long",
  "has too few choices": "too_few",
  "has too many choices": "too_many",
  "has the same item twice": "same_twice",
};

export const TEXTS = {
  get preview() {
    return text("page.preview");
  },
  get submit() {
    return text("page.submit");
  },
  get submitting() {
    return text("page.submitting");
  },
  get notSubmitted() {
    return text("page.not_submitted");
  },
  get submitted() {
    return text("page.submitted");
  },
  get ownPage() {
    return text("page.own_page");
  },
  get broken() {
    return text("page.broken");
  },
  get pageFailed() {
    return text("page.page_failed");
  },
  get pleaseCorrect() {
    return text("page.please_correct");
  },
  get filesAgain() {
    return text("page.files_again");
  },
  get restored() {
    return text("page.restored");
  },
  get processSignals() {
    return text("page.process_signals");
  },
  get required() {
    return text("page.required");
  },
  get pleaseChoose() {
    return text("page.please_choose");
  },
  get notSet() {
    return text("page.not_set");
  },
  get answer() {
    return text("page.answer");
  },
  get consent() {
    return text("page.consent");
  },
  get mediaFailed() {
    return text("page.media_failed");
  },
  get noValue() {
    return text("page.no_value");
  },
  get best() {
    return text("page.best");
  },
  get worst() {
    return text("page.worst");
  },
  get practiceRight() {
    return text("training.right");
  },
  get practiceAgain() {
    return text("training.again");
  },
  get practiceWrong() {
    return text("training.wrong");
  },
  get practiceNext() {
    return text("training.next");
  },
  get nextUnit() {
    return text("page.next_unit");
  },
  /** @param {number} number @param {number} count */
  practice: (number, count) => text("training.practice", { number, count }),
  /** @param {string} letter */
  choose: (letter) => text("page.choose", { letter }),
  /** @param {number} rank */
  rankNext: (rank) => text("page.rank_next", { rank }),
  /** @param {number} rank */
  unrank: (rank) => text("page.unrank", { rank }),
  /** @param {number} ranked @param {number} all */
  rankedOf: (ranked, all) => text("page.ranked_of", { ranked, all }),
  /** @param {number} unit @param {number | null} of */
  progress: (unit, of) => text(of === null ? "page.progress" : "page.progress_of", { unit, of }),
  /** @param {string} problem  by its name in form_rules.js */
  problem: (problem) => (problem in PROBLEMS ? text(`problem.${PROBLEMS[problem]}`) : problem),
};
