"use strict";

/** Sends the work to the frame with the task's own page, and gives the frame its height. */

const frame = document.getElementById("task-page");
const raw = document.getElementById("raw");
const SMALLEST = 120;
const LARGEST = 6000;
const LATE_MS = 1000;

function send() {
  const work = document.getElementById("work").textContent;
  // The frame has an origin of its own, which cannot be named.
  frame.contentWindow.postMessage(work, "*");
}

/** Show a frame that works, and close what it makes needless. */
function resize(height) {
  frame.style.height = `${Math.min(Math.max(height, SMALLEST), LARGEST)}px`;
  if (!frame.dataset.shown) {
    frame.dataset.shown = "yes";
    raw.open = false;
  }
}

if (frame) {
  addEventListener("message", (event) => {
    if (event.source !== frame.contentWindow) return;
    try {
      const height = JSON.parse(event.data)?.IFRAME_DATA?.height;
      if (Number.isFinite(height)) resize(height);
    } catch {
      // Scripts of the task may send other messages.
    }
  });
  frame.addEventListener("load", () => {
    send();
    setTimeout(() => frame.dataset.shown || send(), LATE_MS); // a bundle may begin to listen after it was loaded
  });
  frame.hidden = false;
  frame.src = frame.dataset.src;
}
