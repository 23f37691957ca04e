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
 *
 * Ends, and the browser with it, when standard input does.
 */

import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const ACTION_TIMEOUT_MS = 20_000;

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
    return dialog.accept();
  });
  page.on("pageerror", (error) => heard.errors.push(String(error)));
  pages.set(name, { page, heard });
}

async function perform(command) {
  if ("open" in command) return open(command.open, command.options);
  const { page, heard } = pages.get(command.page);
  if (command.heard) return heard;
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
