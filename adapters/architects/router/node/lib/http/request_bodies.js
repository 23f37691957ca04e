// @ts-check
/**
 * The JSON bodies of requests: their shapes, and readers that refuse anything else.
 *
 * The readers take strict JSON and throw `MalformedJsonError`. What a task put into a body stays text.
 */
import { MalformedJsonError } from "../errors.js";
import { anything, optional, read, readInteger, readObject, readText, readTimestamp } from "../json_text.js";

/** A name as a provider's page gives it: not only spaces, without control characters. */
// eslint-disable-next-line no-control-regex -- these are what is refused
const NAME = /^(?=[^\x00-\x1f\x7f-\x9f]+$)[^]*\S/;
const MAX_NAME_LENGTH = 255;
const MAX_APPEAL_LENGTH = 4000;

/** @typedef {import("../json_text.js").Raw} Raw */
/** @typedef {import("../packets.js").Timestamp} Timestamp */

/**
 * POST /request_agent.
 *
 * @typedef {object} RequestAgentBody
 * @property {Raw} provider_data
 * @property {Timestamp} client_timestamp
 */

/**
 * The part of the `provider_data` of POST /request_agent that says who asks.
 *
 * @typedef {object} WorkerNames
 * @property {string} worker_name
 * @property {string} agent_registration_id
 */

/**
 * The `provider_data` of POST /submit_onboarding.
 *
 * @typedef {object} OnboardingSubmission
 * @property {string} USED_AGENT_ID
 * @property {Raw} onboarding_data
 */

/**
 * POST /submit_onboarding.
 *
 * @typedef {object} SubmitOnboardingBody
 * @property {OnboardingSubmission} provider_data
 * @property {Timestamp} client_timestamp
 */

/**
 * POST /submit_task as JSON.
 *
 * @typedef {object} SubmitTaskBody
 * @property {string} USED_AGENT_ID
 * @property {Raw} final_data
 * @property {Timestamp} client_timestamp
 */

/**
 * POST /submit_metadata.
 *
 * @typedef {object} SubmitMetadataBody
 * @property {string} USED_AGENT_ID
 * @property {Raw} metadata
 * @property {Timestamp} client_timestamp
 */

/**
 * POST /return_task, an addition of ours that no page of Mephisto's sends.
 *
 * @typedef {object} ReturnTaskBody
 * @property {string} USED_AGENT_ID
 * @property {Timestamp} client_timestamp
 */

/**
 * POST /agent_status, an addition of ours.
 *
 * @typedef {object} AgentStatusBody
 * @property {string} USED_AGENT_ID
 */

/**
 * POST /submit_appeal, an addition of ours: a worker objects to the rejection of their work.
 *
 * @typedef {object} SubmitAppealBody
 * @property {string} USED_AGENT_ID
 * @property {string} text
 * @property {Timestamp} client_timestamp
 */

/**
 * POST /worker_page, an addition of ours.
 *
 * @typedef {object} WorkerPageBody
 * @property {string} worker_page the token in the page's address
 * @property {number | null} withdraw_consent a run; the worker withdraws the consent to it
 * @property {string | null} receipt the token of an agent of the worker, who wants a receipt of that work
 * @property {Timestamp} client_timestamp
 */

/**
 * POST /log_error; the agent is null until the page has one.
 *
 * @typedef {object} LogErrorBody
 * @property {string | null} USED_AGENT_ID
 * @property {Raw} error_data
 * @property {Timestamp} client_timestamp
 */

/**
 * @param {Raw} text
 * @returns {RequestAgentBody}
 */
export function readRequestAgent(text) {
  return read(text, { provider_data: readObject, client_timestamp: readTimestamp });
}

/**
 * @param {Raw} text
 * @returns {WorkerNames}
 */
export function readWorkerNames(text) {
  return read(text, { worker_name: readName, agent_registration_id: readName });
}

/**
 * @param {Raw} text
 * @returns {SubmitOnboardingBody}
 */
export function readSubmitOnboarding(text) {
  const body = read(text, { provider_data: readObject, client_timestamp: readTimestamp });
  const submission = read(body.provider_data, { USED_AGENT_ID: readText, onboarding_data: anything("{}") });
  return { ...body, provider_data: submission };
}

/**
 * @param {Raw} text
 * @returns {SubmitTaskBody}
 */
export function readSubmitTask(text) {
  return read(text, { USED_AGENT_ID: readText, final_data: anything("null"), client_timestamp: readTimestamp });
}

/**
 * @param {Raw} text
 * @returns {SubmitMetadataBody}
 */
export function readSubmitMetadata(text) {
  return read(text, { USED_AGENT_ID: readText, metadata: readObject, client_timestamp: readTimestamp });
}

/**
 * The field of a form sent to POST /submit_metadata.
 *
 * @param {Raw} text
 * @returns {Raw}
 */
export function readMetadata(text) {
  return readObject(text);
}

/**
 * @param {Raw} text
 * @returns {ReturnTaskBody}
 */
export function readReturnTask(text) {
  return read(text, { USED_AGENT_ID: readText, client_timestamp: readTimestamp });
}

/**
 * @param {Raw} text
 * @returns {AgentStatusBody}
 */
export function readAgentStatus(text) {
  return read(text, { USED_AGENT_ID: readText });
}

/**
 * @param {Raw} text
 * @returns {SubmitAppealBody}
 */
export function readSubmitAppeal(text) {
  return read(text, { USED_AGENT_ID: readText, text: readAppeal, client_timestamp: readTimestamp });
}

/**
 * @param {Raw} text
 * @returns {WorkerPageBody}
 */
export function readWorkerPage(text) {
  return read(text, {
    worker_page: readName,
    withdraw_consent: optional(readRun),
    receipt: optional(readName),
    client_timestamp: readTimestamp,
  });
}

/**
 * @param {Raw} text
 * @returns {LogErrorBody}
 */
export function readLogError(text) {
  return read(text, {
    USED_AGENT_ID: optional(readText),
    error_data: anything("null"),
    client_timestamp: readTimestamp,
  });
}

/** @type {import("../json_text.js").MemberReader<string>} */
function readName(text) {
  const name = readText(text);
  if (!NAME.test(name) || [...name].length > MAX_NAME_LENGTH) {
    throw new MalformedJsonError(`a name has 1 to ${MAX_NAME_LENGTH} characters and no control characters`);
  }
  return name;
}

/** @type {import("../json_text.js").MemberReader<string>} */
function readAppeal(text) {
  const appeal = readText(text);
  if (!/\S/.test(appeal) || [...appeal].length > MAX_APPEAL_LENGTH) {
    throw new MalformedJsonError(`an objection has 1 to ${MAX_APPEAL_LENGTH} characters`);
  }
  return appeal;
}

/** @type {import("../json_text.js").MemberReader<number>} */
function readRun(text) {
  const run = readInteger(text);
  if (run < 1) throw new MalformedJsonError("the number of a run is 1 or more");
  return run;
}
