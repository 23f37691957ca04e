// @ts-check
/** All sentences that the stock page itself says to workers, in one place. */

export const TEXTS = {
  preview: "This is a preview. Accept the task to begin.",
  submit: "Submit",
  submitting: "Submitting…",
  notSubmitted: "Your work is not submitted yet. It is kept on this page and will be sent again.",
  submitted: "Submitted. Thank you! You can close this page.",
  ownPage: "Your work, the verdicts on it and your pay",
  broken: "This task is not set up correctly. Please return it; we have been notified.",
  pageFailed:
    "Something went wrong on this page, and your work is not submitted. Please try again; we have been notified.",
  pleaseCorrect: "Please check the highlighted questions.",
  filesAgain: "Your answers were restored. Please choose your files again.",
  restored: "Your answers were restored.",
  required: "required",
  pleaseChoose: "Please choose",
  notSet: "not set yet",
  answer: "Your answer",
  consent: "I have read the instructions and want to begin.",
  mediaFailed: "This file could not be loaded.",
  noValue: "(nothing)",
  best: "Best",
  worst: "Worst",
  /** @param {string} letter */
  choose: (letter) => `Choose ${letter}`,
  /** @param {number} rank */
  rankNext: (rank) => `Rank as number ${rank}`,
  /** @param {number} rank */
  unrank: (rank) => `Number ${rank} (undo)`,
  /** @param {number} ranked @param {number} all */
  rankedOf: (ranked, all) => `${ranked} of ${all} ranked`,
  /** @param {number} unit @param {number | null} of */
  progress: (unit, of) => (of === null ? `Task ${unit}` : `Task ${unit} of up to ${of}`),
  /** What is wrong with an answer, by the problem's name in form_rules.js. */
  problems: {
    "is required": "Please answer this question.",
    "is not complete": "Please complete this answer.",
    "is not one of the answers": "Please choose one of the answers.",
    "is too long": "Please shorten this answer.",
    "has too few choices": "Please choose more.",
    "has too many choices": "Please choose fewer.",
    "has the same item twice": "Please choose two different ones.",
  },
};
