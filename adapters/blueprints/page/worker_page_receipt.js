// @ts-check
/**
 * Offers a receipt for one piece of work: a file that shows what the log has of it, signed by the log's key.
 *
 * The worker's own page has one for each piece of work, and the other pages offer it after the submission.
 */

import { text } from "./mephisto_texts.js";

/**
 * Draws a button that gets a receipt, and then the sentence about it and the link to the file.
 *
 * @param {string} page  the token in the address of the worker's own page
 * @param {string} agent  the token of the agent whose work it is
 * @returns {HTMLElement}
 */
export function drawReceipt(page, agent) {
  const place = document.createElement("div");
  place.className = "receipt";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = text("receipt.get");
  const said = document.createElement("p");
  said.setAttribute("role", "status");
  place.append(button, said);
  button.addEventListener("click", async () => {
    button.disabled = true;
    said.textContent = text("receipt.making");
    const receipt = await askForReceipt(page, agent);
    button.disabled = false;
    if (receipt === null) {
      said.textContent = text("receipt.none");
      return;
    }
    said.textContent = text(receipt.proved === receipt.events ? "receipt.proved" : "receipt.promised");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([receipt.text], { type: "application/json" }));
    link.download = receipt.file;
    link.textContent = text("receipt.save");
    button.replaceWith(link);
    link.focus();
  });
  return place;
}

/**
 * Draws the button of a page whose work has been submitted; null if there are no receipts.
 *
 * @param {{workerPage: string | null, offersReceipts: boolean, agentId: string | null}} task
 */
export function drawReceiptOf(task) {
  const token = task.workerPage?.split("#")[1] ?? null;
  return task.offersReceipts && token !== null && task.agentId !== null ? drawReceipt(token, task.agentId) : null;
}

/**
 * @param {string} page
 * @param {string} agent
 * @returns {Promise<{file: string, text: string, events: number, proved: number} | null>}
 */
async function askForReceipt(page, agent) {
  try {
    const response = await fetch("/worker_page", {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ worker_page: page, receipt: agent }),
    });
    return response.ok ? ((await response.json()).data.receipt ?? null) : null;
  } catch (problem) {
    console.warn(problem);
    return null;
  }
}
