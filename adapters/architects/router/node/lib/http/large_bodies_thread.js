// @ts-check
/** Runs in the thread of `LargeBodies`: reads the bodies that it is sent, and answers each. */
import { parentPort } from "node:worker_threads";

import { MalformedJsonError } from "../errors.js";
import { strictJson } from "../json_text.js";
import * as readers from "./request_bodies.js";

/** @type {Record<string, (text: string) => unknown>} */
const SHAPES = { ...readers };

parentPort?.on("message", (/** @type {import("./large_bodies.js").BodyOrder} */ { id, shape, content }) => {
  try {
    parentPort?.postMessage({
      id,
      body: SHAPES[shape](strictJson(Buffer.from(content.buffer, content.byteOffset, content.byteLength))),
    });
  } catch (error) {
    if (!(error instanceof MalformedJsonError)) throw error;
    parentPort?.postMessage({ id, refusal: error.message });
  }
});
