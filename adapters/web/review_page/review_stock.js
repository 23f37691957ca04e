// @ts-check
/** The stock page of static tasks with an answer filled in. */

import { element, fillIn } from "/elements.js";
import { Form, describeFault } from "/form.js";
import { PRESENTED_ORDER } from "/form_rules.js";
import { ItemView } from "/item_view.js";
import { facts, makeReadOnly, onWork } from "/review_frame.js";

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

onWork((inputs, outputs) => {
  const { title, instructions, show, media, form: fields } = facts;
  const view = new ItemView(inputs ?? {}, media, (fault) => console.warn(fault));
  byId("title").textContent = title;
  const paragraphs = fillIn(instructions ?? "", view.values)
    .split(/\n\s*\n/)
    .filter((paragraph) => paragraph.trim());
  byId("instructions").replaceChildren(...paragraphs.map((textContent) => element("p", { dir: "auto", textContent })));
  byId("instructions").hidden = paragraphs.length === 0;
  const list = view.draw(show ?? undefined);
  byId("item").replaceChildren(...(list ? [list] : []));
  byId("item").hidden = list === null;
  const shown = fields ?? [{ name: "answer", type: "textarea", label: "Your answer" }];
  if (describeFault(shown) !== null) return;
  const answers = outputs ?? {};
  const form = new Form(shown, view, "", () => {}, answers[PRESENTED_ORDER]);
  form.restore(answers);
  byId("form").replaceChildren(...form.elements);
  makeReadOnly(byId("form"));
});
