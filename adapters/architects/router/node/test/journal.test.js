// @ts-check
import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";

import { crc32, tableCrc32 } from "../lib/crc32.js";
import { StartError } from "../lib/errors.js";
import { Journal } from "../lib/journal.js";
import { JournalFile } from "../lib/journal_file.js";
import { encodeLine } from "../lib/journal_lines.js";

const LARGE = "x".repeat(1024 * 1024);

/** @type {string} */
let directory;
/** @type {Journal[]} */
let opened;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "journal-"));
  opened = [];
});

afterEach(async () => {
  for (const journal of opened) await journal.close();
  rmSync(directory, { recursive: true });
});

/** @param {number} [maxOutboxBytes] */
async function openJournal(maxOutboxBytes = 1e9) {
  const journal = await Journal.open(directory, { maxOutboxBytes, newIncarnation: () => "first" });
  opened.push(journal);
  return journal;
}

/** @param {Journal} journal */
async function reopen(journal) {
  await journal.close();
  opened.splice(opened.indexOf(journal), 1);
  return openJournal();
}

/** @param {Journal} journal */
function contents(journal) {
  return journal.packetsFrom(0, Infinity).map(({ seq, text }) => [seq, JSON.parse(text)]);
}

function file() {
  return join(directory, "journal-first.jsonl");
}

function lines() {
  return readFileSync(file(), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line.slice(9)));
}

test("the format is a checksum and a JSON text for each line", async () => {
  const journal = await openJournal();
  journal.setAgent("a", "waiting");
  await journal.append('{"x":"ä"}');
  assert.deepEqual(lines(), [
    { incarnation: "first", next_seq: 1 },
    { agent: "a", status: "waiting" },
    { seq: 1, packet: { x: "ä" } },
  ]);
  assert.match(readFileSync(file(), "utf8"), /^[0-9a-f]{8} \{/);
});

test("both checksums are the one of zlib", () => {
  for (const text of ["", "a", "123456789", "ä€😀"]) assert.equal(tableCrc32(text), crc32(text));
  assert.equal(tableCrc32("123456789"), 0xcbf43926);
});

test("what was not acknowledged is there again after a restart, under its number", async () => {
  let journal = await openJournal();
  await Promise.all(["1", "2", "3"].map((n) => journal.append(`{"n":${n}}`)));
  journal.acknowledge(1);
  journal.setAgent("a", "in task");
  journal.setAgent("b", "waiting");
  journal.forgetAgent("b");
  journal = await reopen(journal);
  assert.equal(journal.incarnation, "first");
  assert.deepEqual(contents(journal), [
    [2, { n: 2 }],
    [3, { n: 3 }],
  ]);
  assert.deepEqual([...journal.agents], [["a", "in task"]]);
  await journal.append('{"n":4}');
  assert.equal(journal.nextSeq, 5);
});

test("numbers go on where they were when everything is acknowledged", async () => {
  let journal = await openJournal();
  await journal.append("{}");
  journal.acknowledge(1);
  journal = await reopen(journal);
  assert.equal(journal.firstUnacked, null);
  assert.equal(journal.nextSeq, 2);
});

test("an acknowledgement of numbers that were lost here moves the numbering behind them", async () => {
  let journal = await openJournal();
  await journal.append('{"n":1}');
  journal.acknowledge(10);
  await journal.append('{"n":11}');
  assert.deepEqual(contents(journal), [[11, { n: 11 }]]);
  journal = await reopen(journal);
  assert.deepEqual(contents(journal), [[11, { n: 11 }]]);
});

test("a journal cut at any byte opens with the packets that were whole", async () => {
  let journal = await openJournal();
  for (const n of [1, 2, 3]) await journal.append(`{"n":${n}}`);
  await journal.close();
  opened = [];
  const whole = readFileSync(file());
  const start = whole.indexOf(10) + 1;
  for (let size = start; size < whole.length; size += 1) {
    writeFileSync(file(), whole.subarray(0, size));
    const complete = whole.subarray(start, size).filter((byte) => byte === 10).length;
    journal = await openJournal();
    assert.deepEqual(
      contents(journal).map(([seq]) => seq),
      [1, 2, 3].slice(0, complete),
    );
    await journal.append('{"next":true}');
    journal = await reopen(journal);
    assert.deepEqual(contents(journal).at(-1), [complete + 1, { next: true }]);
    await journal.close();
    opened = [];
  }
});

test("a damaged last line is cut off", async () => {
  let journal = await openJournal();
  await journal.append('{"n":1}');
  await journal.close();
  opened = [];
  appendFileSync(file(), encodeLine('{"seq":2,"packet":{}}').replace("seq", "sEq"));
  journal = await openJournal();
  assert.deepEqual(contents(journal), [[1, { n: 1 }]]);
});

test("damage before the last line stops with the file and the line", async () => {
  const journal = await openJournal();
  await journal.append('{"n":1}');
  await journal.append('{"n":2}');
  await journal.close();
  opened = [];
  writeFileSync(file(), readFileSync(file(), "utf8").replace('"n":1', '"n":7'));
  await assert.rejects(openJournal(), (error) => {
    assert.ok(error instanceof StartError);
    assert.match(error.message, /journal-first\.jsonl, line 2 is damaged/);
    return true;
  });
});

test("records that do not follow from those before are refused", async () => {
  writeFileSync(file(), encodeLine('{"incarnation":"first","next_seq":1}') + encodeLine('{"seq":5,"packet":{}}'));
  await assert.rejects(openJournal(), /line 2 is not a journal record that can stand there/);
  writeFileSync(file(), encodeLine('{"incarnation":"other","next_seq":1}'));
  await assert.rejects(openJournal(), /line 1 is not a journal record/);
});

test("two journals in a directory are one too many", async () => {
  await openJournal();
  writeFileSync(join(directory, "journal-second.jsonl"), encodeLine('{"incarnation":"second","next_seq":1}'));
  await assert.rejects(
    Journal.open(directory, { maxOutboxBytes: 1, newIncarnation: () => "third" }),
    /more than one journal/,
  );
});

test("a full outbox takes nothing until something is acknowledged", async () => {
  const journal = await openJournal(25);
  await journal.append('{"n":"0123456789"}');
  await assert.rejects(journal.append('{"n":"0123456789"}'), { status: 507 });
  journal.acknowledge(1);
  await journal.append('{"n":"0123456789"}');
  assert.equal(journal.nextSeq, 3);
});

test("after a failed write nothing of it counts, and the next one stands in its place", async () => {
  const healthy = await open(file(), "w+");
  let isFull = false;
  const disk = new Proxy(healthy, {
    get(target, name) {
      if (name === "write" && isFull) {
        return async (
          /** @type {Buffer} */ bytes,
          /** @type {number} */ start,
          /** @type {number} */ _length,
          /** @type {number} */ position,
        ) => {
          if (start > 0) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
          return target.write(bytes, start, 10, position);
        };
      }
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const start = encodeLine('{"incarnation":"first","next_seq":1}');
  await healthy.write(start);
  let journal = new Journal(new JournalFile(file(), disk, start.length), "first", 1e9);
  opened.push(journal);
  isFull = true;
  journal.setAgent("a", "waiting");
  await assert.rejects(journal.append('{"n":"lost, and longer than what follows"}'), { status: 503 });
  isFull = false;
  await journal.append('{"n":1}');
  journal = await reopen(journal);
  assert.deepEqual(contents(journal), [[1, { n: 1 }]]);
  assert.deepEqual([...journal.agents], [["a", "waiting"]]);
});

test("a large file shrinks to what still counts, and goes on", async () => {
  let journal = await openJournal();
  journal.setAgent("a", "in task");
  for (let n = 0; n < 20; n += 1) await journal.append(JSON.stringify({ LARGE }));
  await journal.append('{"kept":true}');
  journal.acknowledge(20);
  await journal.append('{"n":"last"}');
  assert.deepEqual(lines(), [
    { incarnation: "first", next_seq: 21 },
    { agent: "a", status: "in task" },
    { seq: 21, packet: { kept: true } },
    { ack: 20 },
    { seq: 22, packet: { n: "last" } },
  ]);
  assert.deepEqual(readdirSync(directory), ["journal-first.jsonl"]);
  journal = await reopen(journal);
  assert.deepEqual(contents(journal), [
    [21, { kept: true }],
    [22, { n: "last" }],
  ]);
  assert.deepEqual([...journal.agents], [["a", "in task"]]);
});

test("a draft that a crash left behind is removed", async () => {
  writeFileSync(join(directory, "journal-first.jsonl.new"), "half a he");
  await openJournal();
  assert.deepEqual(readdirSync(directory), ["journal-first.jsonl"]);
});

test("a header that was cut is written again", async () => {
  let journal = await openJournal();
  await journal.close();
  opened = [];
  truncateSync(file(), 5);
  journal = await openJournal();
  await journal.append("{}");
  journal = await reopen(journal);
  assert.deepEqual(contents(journal), [[1, {}]]);
});
