// @ts-check
/** Requests of a page to its server: what is sent, and what a failure means to the worker. */

import { untilRetry } from "./mephisto_notice.js";
import { text } from "./mephisto_texts.js";

const ATTEMPTS = 5;
const FIRST_RETRY_MS = 500;
/** Longer than the server takes at most to answer a registration. Uploads have no limit. */
const REQUEST_TIMEOUT_MS = 60_000;

/** A request that the server did not answer with success; `status` is 0 when it was not reached. */
export class ServerProblem extends Error {
  /** @param {number} status  of HTTP; 0 if the server was not reached */
  constructor(status) {
    super(`the server answered ${status || "nothing"}`);
    this.status = status;
  }

  /** Whether asking again later may help without any change. */
  get mayPass() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }

  /** What to tell the worker. */
  get sentence() {
    switch (this.status) {
      case 0:
        return text("client.unreachable");
      case 403:
        return text("client.session_unknown");
      case 413:
        return text("client.too_large");
      default:
        return text("client.failed");
    }
  }
}

/** The clock of the wire: seconds since the epoch. */
export const wireTime = () => Date.now() / 1000;

/** A random id; `crypto.randomUUID` itself exists only on secure origins. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * GETs a JSON document.
 *
 * @param {string} path
 * @param {Record<string, string>} parameters  of the address
 * @returns {Promise<any>}
 */
export const getJSON = (path, parameters) => request(path, { parameters });

/**
 * POSTs an object, with the time of the page's clock added.
 *
 * @param {string} path
 * @param {object} body
 * @returns {Promise<any>}
 */
export function postJSON(path, body) {
  return request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...body, client_timestamp: wireTime() }),
  });
}

/**
 * Submits an answer with files: the answer travels as JSON beside them and names them.
 *
 * @param {string} agentId
 * @param {object} data
 * @param {Record<string, File[]>} files  by field name
 * @returns {Promise<any>}
 */
export function postFiles(agentId, data, files) {
  const form = new FormData();
  form.append("USED_AGENT_ID", agentId);
  form.append("final_string_data", JSON.stringify({ ...data, ...describeFiles(files) }));
  for (const [field, list] of Object.entries(files)) {
    for (const file of list) form.append(field, file, file.name);
  }
  return request("/submit_task", { method: "POST", body: form, signal: null });
}

/**
 * Gives a form as `[data, files]`: a field that occurs several times becomes a list.
 *
 * @param {FormData} form
 * @returns {[Record<string, any>, Record<string, File[]>]}
 */
export function splitForm(form) {
  /** @type {Record<string, any>} */
  const data = {};
  /** @type {Record<string, File[]>} */
  const files = {};
  for (const [name, value] of form) {
    if (!(value instanceof File)) {
      data[name] = name in data ? [data[name], value].flat() : value;
    } else if (value.name) {
      (files[name] ??= []).push(value); // without a name it is an empty file field
    }
  }
  return [data, files];
}

/**
 * Asks until there is an answer: a few times by itself, then whenever the worker says so.
 *
 * @template T
 * @param {() => Promise<T>} ask
 * @returns {Promise<T>}
 */
export async function persistently(ask) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask();
    } catch (problem) {
      if (!(problem instanceof ServerProblem)) throw problem;
      if (problem.mayPass && attempt < ATTEMPTS) {
        const wait = FIRST_RETRY_MS * 2 ** (attempt - 1);
        await new Promise((resolve) => setTimeout(resolve, wait));
      } else {
        await untilRetry(problem.sentence);
        attempt = 0;
      }
    }
  }
}

/**
 * @param {string} path
 * @param {RequestInit & {parameters?: Record<string, string>}} options
 * @returns {Promise<any>}
 */
async function request(path, { parameters = {}, headers = {}, ...options }) {
  const url = new URL(path, window.location.origin);
  for (const [name, value] of Object.entries({ ...parameters, ...providerParameters() })) {
    url.searchParams.set(name, value);
  }
  const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  let response;
  try {
    response = await fetch(url, {
      signal,
      headers: { Accept: "application/json", ...headers },
      ...options,
    });
    if (response.ok) return await response.json();
  } catch (unreachable) {
    console.warn(unreachable);
    throw new ServerProblem(0);
  }
  throw new ServerProblem(response.status);
}

/** What the crowd provider wants in every address, if anything. */
function providerParameters() {
  const given = window.getProviderURLParams;
  return (typeof given === "function" ? given() : given) ?? {};
}

/**
 * Gives what the answer keeps of its files: a description, or a list where a field has several.
 *
 * @param {Record<string, File[]>} files
 */
function describeFiles(files) {
  const describe = (/** @type {File} */ { name, size, type, lastModified }) => ({ name, size, type, lastModified });
  const described = Object.entries(files).map(([field, list]) => [
    field,
    list.length === 1 ? describe(list[0]) : list.map(describe),
  ]);
  return Object.fromEntries(described);
}
