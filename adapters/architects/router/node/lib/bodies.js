// @ts-check
// Bodies of requests: read under a limit, and checked before anything is done with them.
import { isUtf8 } from "node:buffer";

import express from "express";

import { Refused } from "./errors.js";
import { isNestedTooDeeply, isObject } from "./packets.js";
import { NOT_JSON } from "./refusals.js";

/**
 * What reads a request's body if it is JSON, whatever the request says that it is. A form is left to the route.
 *
 * @param {{maxBodyBytes: number, maxUploadBytes: number}} limits for JSON, and for a form
 * @returns {import("express").RequestHandler[]}
 */
export function readingBody({ maxBodyBytes, maxUploadBytes }) {
  return [
    refuseOversized(maxBodyBytes, maxUploadBytes),
    express.json({
      limit: maxBodyBytes,
      strict: false,
      type: (request) => !isForm(request),
      verify: refuseNonText,
    }),
  ];
}

/**
 * The JSON object that a request has for a body.
 *
 * @param {import("express").Request} request
 * @returns {Record<string, any>}
 * @throws {Refused} when it is something else
 */
export function bodyOf(request) {
  if (!isObject(request.body)) throw new Refused(400, "The body must be a JSON object.");
  return checked(request.body);
}

/**
 * Check what is to be passed on.
 *
 * @template T
 * @param {T} content what a worker sent
 * @returns {T}
 * @throws {Refused} when it cannot be passed on
 */
export function checked(content) {
  if (isNestedTooDeeply(content)) throw new Refused(400, "The data is nested too deeply.");
  return content;
}

/**
 * @param {import("node:http").IncomingMessage} _request
 * @param {import("node:http").ServerResponse} _response
 * @param {Buffer} body
 */
function refuseNonText(_request, _response, body) {
  if (body.length === 0 || !isUtf8(body)) throw Object.assign(new Error("not a text"), { type: NOT_JSON });
}

/**
 * Tell whether a request's body is a form.
 *
 * @param {import("node:http").IncomingMessage} request
 */
export function isForm(request) {
  return /^multipart\/form-data\b/i.test(request.headers["content-type"] ?? "");
}

/**
 * Refuse a body by its announced size, before any of it is read: nothing waits for what may never come.
 *
 * @param {number} maxBytes
 * @param {number} maxFormBytes
 * @returns {import("express").RequestHandler}
 */
function refuseOversized(maxBytes, maxFormBytes) {
  return (request, _response, next) => {
    const announced = Number(request.headers["content-length"] ?? 0);
    if (announced > (isForm(request) ? maxFormBytes : maxBytes)) throw new Refused(413, "The body is too large.");
    next();
  };
}
