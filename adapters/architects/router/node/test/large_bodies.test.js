// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { MalformedJsonError } from "../lib/errors.js";
import { LARGE_BODY_BYTES, LargeBodies } from "../lib/http/large_bodies.js";
import { readSubmitTask } from "../lib/http/request_bodies.js";
import { strictJson } from "../lib/json_text.js";

/** @param {unknown} finalData */
function body(finalData) {
  return Buffer.from(JSON.stringify({ USED_AGENT_ID: "agent", final_data: finalData, client_timestamp: 1.5 }));
}

test("what the thread reads is what reading it here gives, each to who sent it", async () => {
  const bodies = new LargeBodies();
  const large = body({ text: "ä\n".repeat(LARGE_BODY_BYTES), number: 1 });
  const expected = readSubmitTask(strictJson(Buffer.from(large)));
  const read = await Promise.all([
    bodies.read(large, readSubmitTask),
    assert.rejects(bodies.read(Buffer.from("{"), readSubmitTask), MalformedJsonError),
    bodies.read(body([]), readSubmitTask),
  ]);
  assert.deepEqual(read[0], expected);
  assert.equal(read[2].final_data, "[]");
});

test("a body of another shape is refused with the reason", async () => {
  const refused = new LargeBodies().read(Buffer.from('{"USED_AGENT_ID":1}'), readSubmitTask);
  await assert.rejects(refused, { constructor: MalformedJsonError, message: "USED_AGENT_ID: a text is expected" });
});

test("the event loop turns while a large body is read", async () => {
  let turns = 0;
  const turning = setInterval(() => (turns += 1), 0);
  await new LargeBodies().read(body(new Array(LARGE_BODY_BYTES).fill({ value: 1.5 })), readSubmitTask);
  clearInterval(turning);
  assert.ok(turns > 0);
});

test("a body that is too much for the thread is refused, and the next one is read", async () => {
  const bodies = new LargeBodies();
  // A thread without such a reader breaks.
  const unknown = (/** @type {string} */ text) => text;
  await assert.rejects(bodies.read(body([]), unknown), TypeError);
  assert.equal((await bodies.read(body([]), readSubmitTask)).final_data, "[]");
});

test("arrays inside each other are refused before they are built, and brackets in a text are none", () => {
  const tooDeep = { constructor: MalformedJsonError, message: "the data is nested too deeply" };
  assert.throws(() => strictJson("[".repeat(1e6)), tooDeep);
  assert.throws(() => strictJson(`${'[{"a":'.repeat(100)}[1]${"}]".repeat(100)}`), tooDeep);
  for (const text of [`${'[{"a":'.repeat(100)}1${"}]".repeat(100)}`, `["${'[{\\"'.repeat(300)}", "\\\\", "{"]`]) {
    assert.equal(strictJson(text), text);
  }
});
