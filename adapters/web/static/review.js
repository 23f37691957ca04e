"use strict";

/** Counts the chosen verdicts, approves all with one button, and gives each unit the keys A, S, R and N. */

const form = document.getElementById("review");
const approveAll = document.getElementById("approve-all");
const KEYS = { a: "approved", s: "soft_rejected", r: "rejected", n: "" };

function count() {
  const chosen = [...form.querySelectorAll("input[type=radio]:checked")].filter((radio) => radio.value).length;
  document.getElementById("chosen").textContent = chosen ? `${chosen} chosen` : "";
}

function choose(work, verdict) {
  const radio = work.querySelector(`input[type=radio][value="${verdict}"]`);
  if (radio) {
    radio.checked = true;
    count();
  }
}

if (form && approveAll) {
  approveAll.hidden = false;
  approveAll.addEventListener("click", () => {
    for (const work of form.querySelectorAll(".work")) choose(work, "approved");
  });
  form.addEventListener("change", count);
  form.addEventListener("keydown", (event) => {
    const work = event.target.closest(".work");
    const isTyping = event.target.matches("input:not([type=radio])");
    if (work && !isTyping && event.key in KEYS && !event.ctrlKey && !event.metaKey && !event.altKey) {
      choose(work, KEYS[event.key]);
      work.querySelector("input[type=radio]:checked").focus();
      event.preventDefault();
    }
  });
  count();
}
