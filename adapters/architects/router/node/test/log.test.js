// @ts-check
import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";

import { BoundedLog } from "../lib/log.js";

let seconds = 0;
let directory = "";
let fd = 0;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "log-"));
  fd = openSync(join(directory, "router.log"), "a+");
  seconds = 0;
});

afterEach(() => {
  closeSync(fd);
  rmSync(directory, { recursive: true });
});

function lines() {
  return readFileSync(join(directory, "router.log"), "utf8").trimEnd().split("\n");
}

test("a file that grows too large keeps its end, in whole lines", () => {
  const log = new BoundedLog(fd, () => seconds, 1000, 100);
  for (let number = 0; number < 250; number += 1) log.write(`line ${number}\n`);
  assert.equal(lines().at(-1), "line 249");
  assert.ok(lines().every((line) => /^line \d+$/.test(line)));
  assert.ok(readFileSync(join(directory, "router.log")).length <= 1000);
});

test("lines beyond those of a minute are counted", () => {
  const log = new BoundedLog(fd, () => seconds);
  for (let number = 0; number < 1000; number += 1) log.write(`line ${number}\n`);
  assert.equal(lines().length, 300);
  seconds = 60;
  log.write("later\n");
  assert.deepEqual(lines().slice(-2), ['{"event":"lines_suppressed","count":700}', "later"]);
});

test("a log that cannot be written is no error", () => {
  const closed = openSync(join(directory, "router.log"), "r");
  closeSync(closed);
  new BoundedLog(closed, () => seconds).write("nobody reads this\n");
});
