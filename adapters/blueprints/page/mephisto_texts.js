// @ts-check
/**
 * All texts that the client library and the stock page show to workers: in English here, and in the language of the
 * run in its configuration. English is copied from the catalogue, `core/operations/texts/languages/en.json`.
 */

/** @type {Record<string, string>} */
const ENGLISH = {
  "client.no_phones": "Sorry, this task cannot be completed on mobile devices. Please use a computer.",
  "client.late":
    "Your work came after its time was up. It is kept, and the people who run the task will see it, but it may not count.",
  "client.no_work": "There is no work for you here at the moment.",
  "client.may_send":
    "You can still send your work now. It will be kept, and the people who run the task decide whether it counts.",
  "client.send_anyway": "Send it anyway",
  "client.ok": "OK",
  "client.try_again": "Try again",
  "client.connection_lost": "The connection to the server is lost.",
  "client.not_submitted": "Your work is not submitted yet.",
  "client.unreachable": "The server cannot be reached. Please check your connection and try again.",
  "client.session_unknown": "The server does not know this session any more. Please reload the page.",
  "client.too_large": "This is more than the server can take. Please use a smaller file or a shorter text.",
  "client.failed": "The server could not do this just now. Please try again.",
  "consent.title": "Your consent",
  "consent.agree": "I agree",
  "consent.decline": "I do not agree",
  "training.practice": "Practice {number} of {count}",
  "training.right": "That is right.",
  "training.again": "That is not right. Please try again.",
  "training.wrong": "That is not right.",
  "training.next": "Continue",
  "status.expired": "This task is no longer available. Please return it and take another one.",
  "status.timeout": "The time for this task has run out. Please return it.",
  "status.disconnect": "You were away from this task for too long, and it has ended. Please return it.",
  "status.returned": "You have returned this task.",
  "status.partner_disconnect": "Your partner has left. This is not your fault: please hand in the task as it is.",
  "outcome.completed": "You have submitted this work. It has not been reviewed yet.",
  "outcome.approved": "Your work was approved. Thank you!",
  "outcome.soft_rejected": "Your work was reviewed and is paid. Thank you!",
  "outcome.rejected": "Your work was reviewed and not accepted.",
  "ended.expired": "This task was withdrawn.",
  "ended.timeout": "The time for this task has run out.",
  "ended.disconnect": "You were away from this task for too long, and it has ended.",
  "ended.returned": "You have returned this task.",
  "page.preview": "This is a preview. Accept the task to begin.",
  "page.submit": "Submit",
  "page.submitting": "Submitting…",
  "page.not_submitted": "Your work is not submitted yet. It is kept on this page and will be sent again.",
  "page.submitted": "Submitted. Thank you! You can close this page.",
  "page.own_page": "Your work, the verdicts on it and your pay",
  "page.broken": "This task is not set up correctly. Please return it; we have been notified.",
  "page.page_failed":
    "Something went wrong on this page, and your work is not submitted. Please try again; we have been notified.",
  "page.please_correct": "Please check the highlighted questions.",
  "page.files_again": "Your answers were restored. Please choose your files again.",
  "page.restored": "Your answers were restored.",
  "page.process_signals":
    "This page counts how you fill it in, and not what you write: the share of pasted text, the number of keys, how often you leave the tab, and the time to the first key. No work is rejected for that alone.",
  "page.required": "required",
  "page.please_choose": "Please choose",
  "page.not_set": "not set yet",
  "page.answer": "Your answer",
  "page.consent": "I have read the instructions and want to begin.",
  "page.media_failed": "This file could not be loaded.",
  "page.no_value": "(nothing)",
  "page.best": "Best",
  "page.worst": "Worst",
  "page.choose": "Choose {letter}",
  "page.rank_next": "Rank as number {rank}",
  "page.unrank": "Number {rank} (undo)",
  "page.ranked_of": "{ranked} of {all} ranked",
  "page.progress": "Task {unit}",
  "page.progress_of": "Task {unit} of up to {of}",
  "page.next_unit": "Next task",
  "page.tips": "Tips for this work",
  "own.title": "Your work",
  "own.reload": "Load again",
  "own.loading": "Loading your work…",
  "own.unknown": "There is no page at this address. Please open the whole address that you were given.",
  "own.unreachable": "Your work cannot be loaded at the moment. Please try again in a minute.",
  "own.none": "You have no work here yet.",
  "own.more": "Only your latest work is shown.",
  "own.task": "Task",
  "own.sums": "Paid so far: {paid}. Still to be paid: {owed}.",
  "own.offered": "Pay for this task: {amount}.",
  "own.started": "Started {from}",
  "own.submitted": "Started {from}, submitted {to}",
  "own.at_work": "You have this task now.",
  "own.waiting": "You are waiting for your partner.",
  "own.partner_left": "Your partner has left. You can still submit your work.",
  "own.note": "What the reviewer wrote:",
  "own.may_appeal":
    "If you think that this is a mistake, you can object once. Say why; another person will look at it.",
  "own.objection": "Your objection",
  "own.send_objection": "Send the objection",
  "own.sending_objection": "Sending your objection…",
  "own.objection_not_sent": "Your objection was not sent. Please try again.",
  "own.your_objection": "You objected:",
  "appeal.open": "Nobody has answered your objection yet.",
  "appeal.dismissed": "The answer to your objection: the decision stands.",
  "appeal.accepted": "Your objection was accepted.",
  "purpose.pay": "Pay",
  "purpose.bonus": "Bonus",
  "payment.owed": "to be paid",
  "payment.requested": "on its way",
  "payment.sent": "sent",
  "payment.in_doubt": "being looked into",
  "payment.confirmed": "paid",
  "payment.failed": "could not be paid yet",
  "receipt.get": "Get a receipt",
  "receipt.making": "Making your receipt…",
  "receipt.promised":
    "Your work is in the records, and this receipt is signed. Keep it: it shows what was recorded, should anybody change that later.",
  "receipt.proved": "Your work is in the sealed records, and this receipt proves it to anybody. Keep it.",
  "receipt.save": "Save the receipt",
  "receipt.none": "There is no receipt at the moment. Please try again later.",
  "withdrawal.given": "You agreed to take part in “{task}”.",
  "withdrawal.explain":
    "You can withdraw your consent. What you sent is then deleted and not used, and you are paid for it all the same.",
  "withdrawal.ask": "Withdraw my consent",
  "withdrawal.sure": "Withdraw your consent and delete what you sent? This cannot be undone.",
  "withdrawal.yes": "Yes, withdraw it",
  "withdrawal.no": "Keep my consent",
  "withdrawal.sending": "Withdrawing your consent…",
  "withdrawal.failed": "Your consent is not withdrawn. Please try again.",
  "withdrawal.done":
    "You have withdrawn your consent to “{task}”. What you sent is deleted, and what you are owed is still paid.",
  "withdrawal.at_work": "You are at work on this task. Finish or return it first; then you can withdraw your consent.",
  "chat.title": "Chat",
  "chat.conversation": "Conversation",
  "chat.message": "Your message",
  "chat.send": "Send",
  "chat.finish": "Finish and submit",
  "chat.you": "{speaker} (you)",
  "chat.me": "You",
  "chat.waiting": "Waiting for the others. Please keep this page open.",
  "chat.their_turn": "Please wait for the next message.",
  "chat.your_turn": "It is your turn.",
  "chat.done": "That was the whole conversation. Please finish and submit.",
  "chat.reconnecting": "The connection was lost. Reconnecting…",
  "chat.server_away": "The task does not answer at the moment. Please wait.",
  "chat.lost": "Not connected.",
  "page.not_loaded": "A part of this page could not be loaded. Please reload the page.",
  "problem.required": "Please answer this question.",
  "problem.not_complete": "Please complete this answer.",
  "problem.not_one": "Please choose one of the answers.",
  "problem.too_long": "Please shorten this answer.",
  "problem.too_few": "Please choose more.",
  "problem.too_many": "Please choose fewer.",
  "problem.same_twice": "Please choose two different ones.",
};

/** @type {Record<string, string>} */
let chosen = {};

/**
 * Takes the texts of a run.
 *
 * @param {Record<string, any>} config  the page's configuration
 */
export function useTexts({ language, direction, texts }) {
  chosen = texts ?? {};
  if (language) document.documentElement.lang = language;
  if (direction) document.documentElement.dir = direction;
}

/**
 * Gives a text, with its placeholders filled in.
 *
 * @param {string} key
 * @param {Record<string, any>} [values]
 */
export function text(key, values = {}) {
  const found = chosen[key] ?? ENGLISH[key] ?? key;
  return found.replace(/\{(\w+)\}/g, (all, name) => String(values[name] ?? all));
}

/**
 * Gives a text of a group, for instance `status.timeout`; null if the group has none of that name.
 *
 * @param {string} group
 * @param {string} name
 */
export function textOf(group, name) {
  const key = `${group}.${name.replaceAll(" ", "_")}`;
  return key in ENGLISH ? text(key) : null;
}
