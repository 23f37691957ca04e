// @ts-check
import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";

import { JournalUnwritableError, OutboxFullError, StartError } from "../lib/errors.js";
import { crc32, tableCrc32 } from "../lib/journal/crc32.js";
import { Journal } from "../lib/journal/journal.js";
import { readContents } from "../lib/journal/journal_contents.js";
import { JournalFile } from "../lib/journal/journal_file.js";
import { encodeLine } from "../lib/journal/journal_lines.js";

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
  return started(journal);
}

/** @param {Journal} journal */
function started(journal) {
  journal.writeBatches(
    () => {},
    () => {},
  );
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
  return journal.outbox.entriesFrom(0, Infinity).map(({ seq, packet }) => [seq, JSON.parse(packet)]);
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
  journal.noteAgent("a", "waiting");
  await journal.record('{"x":"ä"}');
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
  await Promise.all(["1", "2", "3"].map((n) => journal.record(`{"n":${n}}`)));
  journal.acknowledge(1);
  journal.noteAgent("a", "in task");
  journal.noteAgent("b", "waiting");
  journal.noteAgent("b", null);
  journal = await reopen(journal);
  assert.equal(journal.incarnation, "first");
  assert.deepEqual(contents(journal), [
    [2, { n: 2 }],
    [3, { n: 3 }],
  ]);
  assert.deepEqual([...journal.agents], [["a", "in task"]]);
  await journal.record('{"n":4}');
  assert.equal(journal.outbox.nextSeq, 5);
});

test("numbers go on where they were when everything is acknowledged", async () => {
  let journal = await openJournal();
  await journal.record("{}");
  journal.acknowledge(1);
  journal = await reopen(journal);
  assert.equal(journal.outbox.firstUnacknowledged, null);
  assert.equal(journal.outbox.nextSeq, 2);
});

test("an acknowledgement of numbers that were lost here moves the numbering behind them", async () => {
  let journal = await openJournal();
  await journal.record('{"n":1}');
  journal.acknowledge(10);
  await journal.record('{"n":11}');
  assert.deepEqual(contents(journal), [[11, { n: 11 }]]);
  journal = await reopen(journal);
  assert.deepEqual(contents(journal), [[11, { n: 11 }]]);
});

test("a journal cut at any byte opens with the packets that were whole", async () => {
  let journal = await openJournal();
  for (const n of [1, 2, 3]) await journal.record(`{"n":${n}}`);
  await journal.close();
  opened = [];
  const whole = readFileSync(file());
  const start = whole.indexOf(10) + 1;
  for (let size = start; size < whole.length; size += 1) {
    writeFileSync(file(), whole.subarray(0, size));
    const lines = whole.toString("utf8", start, size).split("\n").slice(0, -1);
    const complete = lines.filter((line) => line.includes('"packet"')).length;
    journal = await openJournal();
    assert.deepEqual(
      contents(journal).map(([seq]) => seq),
      [1, 2, 3].slice(0, complete),
    );
    await journal.record('{"next":true}');
    journal = await reopen(journal);
    assert.deepEqual(contents(journal).at(-1), [complete + 1, { next: true }]);
    await journal.close();
    opened = [];
  }
});

test("a damaged last line is cut off", async () => {
  let journal = await openJournal();
  await journal.record('{"n":1}');
  await journal.close();
  opened = [];
  appendFileSync(file(), encodeLine('{"seq":2,"packet":{}}').replace("seq", "sEq"));
  journal = await openJournal();
  assert.deepEqual(contents(journal), [[1, { n: 1 }]]);
});

test("what a power cut damaged is cut off with all behind it", async () => {
  let journal = await openJournal();
  await journal.record('{"n":1}');
  await journal.close();
  opened = [];
  const [torn, whole] = [2, 3].map((seq) => encodeLine(`{"seq":${seq},"packet":{}}`));
  appendFileSync(file(), torn.replace("seq", "sEq") + whole);
  journal = await openJournal();
  assert.deepEqual(contents(journal), [[1, { n: 1 }]]);
});

test("damage before the last line stops with the file and the line", async () => {
  const journal = await openJournal();
  await journal.record('{"n":1}');
  await journal.record('{"n":2}');
  await journal.close();
  opened = [];
  writeFileSync(file(), readFileSync(file(), "utf8").replace('"n":1', '"n":7'));
  await assert.rejects(openJournal(), (error) => {
    assert.ok(error instanceof StartError);
    assert.match(error.message, /journal-first\.jsonl cannot be used: line 2 is damaged/);
    return true;
  });
});

test("records that do not follow from those before are refused", async () => {
  writeFileSync(file(), encodeLine('{"incarnation":"first","next_seq":1}') + encodeLine('{"seq":5,"packet":{}}'));
  await assert.rejects(openJournal(), /line 2 is not a record that can stand there/);
  writeFileSync(file(), encodeLine('{"ack":1}'));
  await assert.rejects(openJournal(), /line 1 is not a record/);
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
  await journal.record('{"n":"0123456789"}');
  await assert.rejects(journal.record('{"n":"0123456789"}'), OutboxFullError);
  journal.acknowledge(1);
  await journal.record('{"n":"0123456789"}');
  assert.equal(journal.outbox.nextSeq, 3);
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
  const whole = readContents(Buffer.from(start));
  let journal = started(new Journal(new JournalFile(file(), disk, start.length), whole, 1e9));
  isFull = true;
  journal.noteAgent("a", "waiting");
  await assert.rejects(journal.record('{"n":"lost, and longer than what follows"}'), JournalUnwritableError);
  isFull = false;
  await journal.record('{"n":1}');
  journal = await reopen(journal);
  assert.deepEqual(contents(journal), [[1, { n: 1 }]]);
  assert.deepEqual([...journal.agents], [["a", "waiting"]]);
});

test("a large file shrinks to what still counts, and goes on", async () => {
  let journal = await openJournal();
  journal.noteAgent("a", "in task");
  for (let n = 0; n < 20; n += 1) await journal.record(JSON.stringify({ LARGE }));
  await journal.record('{"kept":true}');
  journal.acknowledge(20);
  await journal.record('{"n":"last"}');
  journal = await reopen(journal);
  assert.equal(lines().length, 4);
  assert.deepEqual(lines(), [
    { incarnation: "first", next_seq: 21 },
    { agent: "a", status: "in task" },
    { seq: 21, packet: { kept: true } },
    { seq: 22, packet: { n: "last" } },
  ]);
  assert.deepEqual(readdirSync(directory), ["journal-first.jsonl"]);
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

test("a header that was cut is damage: it was written whole or not at all", async () => {
  const journal = await openJournal();
  await journal.close();
  opened = [];
  truncateSync(file(), 5);
  await assert.rejects(openJournal(), /line 1, the header, is missing or torn/);
});

test("numbers that an operator has seen are not given to what is being written", async () => {
  writeFileSync(file(), encodeLine('{"incarnation":"first","next_seq":1}'));
  const healthy = await open(file(), "r+");
  const disk = new Proxy(healthy, {
    get(target, name) {
      if (name === "datasync" && journal.outbox.nextSeq === 1) journal.outbox.acknowledge(10);
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const whole = readContents(readFileSync(file()));
  let journal = started(new Journal(new JournalFile(file(), disk, whole.sizeBytes), whole, 1e9));
  await journal.record('{"n":1}');
  assert.deepEqual(contents(journal), [[11, { n: 1 }]]);
  journal = await reopen(journal);
  assert.deepEqual(contents(journal), [[11, { n: 1 }]]);
});

test("a packet keeps its text", async () => {
  let journal = await openJournal();
  const packet = '{"n":9007199254740993,"m":1.0,"x":"\\u00e4"}';
  await journal.record(packet);
  journal = await reopen(journal);
  assert.equal(journal.outbox.entriesFrom(0, Infinity)[0].packet, packet);
});
