import * as Mephisto from "/mephisto_client.js";
import { shown } from "/missing.js";

const form = document.getElementById("form");
const task = await Mephisto.start({ onTask: (data) => shown(data, form) });
form.addEventListener("submit", (event) => {
  event.preventDefault();
  task.submit({ rating: form.rating.value });
});
