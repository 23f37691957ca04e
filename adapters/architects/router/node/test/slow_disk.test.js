// @ts-check
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";

import { RunPage } from "../lib/http/run_page.js";
import { Journal } from "../lib/journal/journal.js";
import { headerLine, readContents } from "../lib/journal/journal_contents.js";
import { JournalFile } from "../lib/journal/journal_file.js";
import { raw } from "../lib/json_text.js";
import { Router } from "../lib/router.js";
import { Secret, readSettings } from "../lib/settings.js";
import { Connection } from "../lib/sockets/connection.js";

const TURNS = 20;

/** @typedef {import("node:test").TestContext} TestContext */
/** @typedef {Record<string, any>} Packet */

/**
 * A socket that is none.
 *
 * @param {string[]} [sent]
 */
function connection(sent = []) {
  const send = (/** @type {string} */ packet) => void sent.push(packet);
  const socket = { readyState: 1, OPEN: 1, bufferedAmount: 0, send, on() {}, close() {}, terminate() {}, ping() {} };
  return new Connection(/** @type {any} */ (socket));
}

/** A router that has the submission of an agent `a`, whose write is held; the operator is attached. */
class Held {
  isSubmitted = false;
  /** @type {string[]} */
  #sent = [];
  #operator = connection(this.#sent);

  /**
   * @param {Router} router
   * @param {string} path the journal's
   * @param {() => void} release lets the write end
   */
  constructor(router, path, release) {
    this.router = router;
    this.path = path;
    this.release = release;
    router.hub.connect(this.#operator);
    this.say("alive", { token: "secret" });
    this.say("agents", { agents: { a: "in task", b: "in task" } });
  }

  /**
   * Send a packet of the operator.
   *
   * @param {string} packet_type
   * @param {object} data
   */
  say(packet_type, data) {
    this.router.hub.onMessage(this.#operator, JSON.stringify({ packet_type, subject_id: "mephisto", data }));
  }

  /**
   * Send a live update of an agent's page.
   *
   * @param {string} subject_id
   */
  sayLiveUpdate(subject_id) {
    const page = connection();
    this.router.hub.connect(page);
    const packet = { packet_type: "mephisto_bound_live_update", subject_id, data: { update_id: "1" } };
    this.router.hub.onMessage(page, JSON.stringify(packet));
  }

  /** @param {string} text */
  async submit(text) {
    await this.router.pageRequests.submit("submit_unit", "a", raw({ final_data: text }), undefined);
    this.isSubmitted = true;
  }

  /** Return the packets that the operator was sent, once nothing more follows for a while. */
  async arrived() {
    for (let turn = 0; turn < TURNS; turn += 1) await setImmediate();
    return this.#sent.flatMap((frame) => /** @type {Packet[]} */ ([JSON.parse(frame)].flat()));
  }

  /** Return the types of these packets. */
  async types() {
    return (await this.arrived()).map(({ packet_type }) => packet_type);
  }

  /**
   * Answer the request that arrived last.
   *
   * @param {string | null} agent_id
   */
  async answer(agent_id) {
    const asked = (await this.arrived()).filter(({ packet_type }) => packet_type === "register_agent").at(-1);
    this.say("agent_details", { request_id: asked?.data.request_id, agent_id, status: "in task" });
  }

  /** Ask for an agent as a page does; the result says whether that was answered. */
  ask() {
    const request = { isAnswered: false };
    const { signal } = new AbortController();
    const answer = this.router.pageRequests.requestAgent(raw({}), undefined, signal);
    return Object.assign(request, { answered: answer.then(() => (request.isAnswered = true)) });
  }
}

/**
 * @param {TestContext} context
 * @param {string} [text] what is submitted
 * @returns {Promise<Held>}
 */
async function held(context, text = "x") {
  const directory = mkdtempSync(join(tmpdir(), "slow-disk-"));
  const path = join(directory, "journal-first.jsonl");
  writeFileSync(path, headerLine("first", 1));
  let release = () => {};
  const released = new Promise((resolve) => (release = () => resolve(undefined)));
  let begin = () => {};
  const begun = new Promise((resolve) => (begin = () => resolve(undefined)));
  const disk = new Proxy(await open(path, "r+"), {
    get(target, name) {
      if (name === "datasync") {
        begin();
        return () => released;
      }
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const contents = readContents(readFileSync(path));
  const journal = new Journal(new JournalFile(path, disk, contents.sizeBytes), contents, 1e9);
  let lastId = 0;
  const router = new Router({
    settings: readSettings({ MEPHISTO_ROUTER_DATA: directory }),
    secret: new Secret("secret"),
    page: new RunPage(null),
    journal,
    clock: () => 1,
    monotonic: () => 1,
    newId: () => String((lastId += 1)),
  });
  context.after(async () => {
    release();
    await router.closeJournal();
    rmSync(directory, { recursive: true });
  });
  router.run();
  const one = new Held(router, path, release);
  await journal.waitAgentsWritten();
  const submitted = one.submit(text);
  context.after(() => submitted);
  await begun;
  return one;
}

for (const agent of [null, "b"]) {
  test(`a request is answered while a submission of others is written: ${agent}`, async (context) => {
    const one = await held(context);
    const { answered } = one.ask();
    await one.answer(agent);
    await answered;
    assert.equal(one.isSubmitted, false);
    assert.ok(!(await one.types()).includes("submit_unit"));
    one.release();
    while (!one.isSubmitted) await setImmediate();
    assert.ok((await one.types()).includes("submit_unit"));
  });
}

test("an agent that was just given is told once it is written", async (context) => {
  const one = await held(context);
  const request = one.ask();
  await one.answer("c");
  await one.arrived();
  assert.equal(request.isAnswered, false);
  one.release();
  await request.answered;
  assert.ok(readFileSync(one.path, "utf8").includes('{"agent":"c","status":"in task"}'));
});

test("a request comes after the live updates before it", async (context) => {
  const one = await held(context);
  one.sayLiveUpdate("b");
  const { answered } = one.ask();
  assert.ok(!(await one.types()).includes("register_agent"));
  one.release();
  while (!(await one.types()).includes("register_agent"));
  const types = await one.types();
  assert.ok(types.indexOf("mephisto_bound_live_update") < types.indexOf("register_agent"));
  await one.answer("b");
  await answered;
});

for (const isCommitted of [true, false]) {
  test(`a large submission is answered once the operator has committed it: ${isCommitted}`, async (context) => {
    const one = await held(context, "x".repeat(2 ** 18));
    const { setTimeout } = globalThis;
    context.after(() => Object.assign(globalThis, { setTimeout }));
    /** @type {(() => void)[]} */
    const late = [];
    Object.assign(globalThis, { setTimeout: (/** @type {() => void} */ act) => late.push(act) });
    one.release();
    while (!(await one.types()).includes("submit_unit"));
    assert.equal(one.isSubmitted, false);
    if (isCommitted) one.say("ack", { incarnation: "first", seq: 1 });
    else for (const act of late) act();
    while (!one.isSubmitted) await setImmediate();
  });
}
