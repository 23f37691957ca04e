/**
 * Drives a browser by lines on standard input, for tests in another language.
 *
 * Started as `node driver.mjs PATH_OF_CHROMIUM`. Each line in is one command, each line
 * out its answer, in order: {"value": ...} or {"error": "..."}.
 *
 *   {"open": "ann", "options": {...}}                   a page in a browser context of its own
 *   {"page": "ann", "call": "click", "args": ["#go"]}   a method of playwright's Page
 *   {"page": "ann", "heard": true}                      what the page said by itself so far:
 *                                                       {"dialogs": [...], "errors": [...]}
 *   {"page": "ann", "audit": true}                      what axe finds to keep people out
 *   {"reset": true}                                     no pages, for the next test
 *
 * Ends, and the browser with it, when standard input does.
 */

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const ACTION_TIMEOUT_MS = 90_000;
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

const browser = await chromium.launch({
  executablePath: process.argv[2],
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});
const pages = new Map();

async function open(name, options) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(ACTION_TIMEOUT_MS);
  const page = await context.newPage();
  const heard = { dialogs: [], errors: [] };
  page.on("dialog", (dialog) => {
    heard.dialogs.push(dialog.message());
    // The page may be closed before its dialog is: then there is nothing left to answer.
    dialog.accept().catch(() => {});
  });
  page.on("pageerror", (error) => heard.errors.push(String(error)));
  pages.set(name, { page, heard });
}

/** Accessibility faults of a page as it is now, each with the elements that have it. */
async function audit(page) {
  await page.addScriptTag({ path: AXE });
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
}

async function reset() {
  await Promise.all(browser.contexts().map((context) => context.close()));
  pages.clear();
}

async function perform(command) {
  if ("open" in command) return open(command.open, command.options);
  if (command.reset) return reset();
  const { page, heard } = pages.get(command.page);
  if (command.heard) return heard;
  if (command.audit) return audit(page);
  const result = await page[command.call](...command.args);
  return ["string", "number", "boolean"].includes(typeof result) ? result : null;
}

function answer(line) {
  process.stdout.write(JSON.stringify(line) + "\n");
}

answer({ value: browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  try {
    answer({ value: (await perform(JSON.parse(line))) ?? null });
  } catch (error) {
    answer({ error: String(error) });
  }
}
await browser.close();
