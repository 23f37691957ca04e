// @ts-check
/**
 * What pages that show work have in common. The page around the frame sends the work and is told the height, in the
 * messages of Mephisto's review app: `{REVIEW_DATA: {inputs, outputs}}` and `{IFRAME_DATA: {height}}`, as JSON.
 */

/** What the server tells of the task. */
export const facts = JSON.parse(document.getElementById("facts")?.textContent ?? "{}");

/**
 * Shows the work each time it is sent, and reports the height of the page.
 *
 * @param {(inputs: any, outputs: any) => void | Promise<void>} show
 */
export function onWork(show) {
  addEventListener("message", async (event) => {
    if (event.source !== parent) return;
    const { REVIEW_DATA: work } = JSON.parse(event.data);
    if (!work) return;
    await show(work.inputs, work.outputs);
    // Browsers do not tell observers in frames that are scrolled out of sight.
    reportHeight();
  });
  // Nothing is submitted from here, whatever a script of the task does.
  addEventListener("submit", (event) => event.preventDefault(), true);
  new ResizeObserver(reportHeight).observe(document.body);
}

function reportHeight() {
  const height = document.documentElement.scrollHeight;
  parent.postMessage(JSON.stringify({ IFRAME_DATA: { height } }), "*");
}

/**
 * Lets a reviewer read a page and change nothing on it.
 *
 * @param {ParentNode} root
 */
export function makeReadOnly(root) {
  for (const control of root.querySelectorAll("input, textarea, select, button")) {
    const isText = control.matches("textarea, input:is([type=text], [type=number], [type=email], :not([type]))");
    control.toggleAttribute(isText ? "readonly" : "disabled", true);
  }
}
