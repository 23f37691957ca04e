/**
 * The mock crowd provider's side of a page: who the worker is comes from the
 * address, `?worker_id=W&assignment_id=A`. Without one of the two the page is a
 * preview. Loaded before the task's own scripts, which call these four globals.
 */
"use strict";

function addressParameter(name) {
  return new URLSearchParams(window.location.search).get(name) || null;
}

/** The worker's name at the provider, or null in a preview. */
function getWorkerName() {
  return addressParameter("worker_id");
}

/** The piece of work that was accepted, or null in a preview. */
function getAssignmentId() {
  return addressParameter("assignment_id");
}

/** What the server needs to find or make this worker's agent. */
function getAgentRegistration() {
  const worker = getWorkerName();
  const assignment = getAssignmentId();
  return {
    worker_name: worker,
    agent_registration_id: `${assignment}-${worker}`,
    assignment_id: assignment,
    provider_type: "mock",
  };
}

/** Where the worker's next unit is: for the mock provider, another piece of work is another number in the address. */
function getNextUnitAddress() {
  const address = new URL(window.location.href);
  const [, work, count] = /^(.*?)(?:-(\d+))?$/s.exec(getAssignmentId() ?? "1") ?? [];
  address.searchParams.set("assignment_id", `${work}-${Number(count ?? 1) + 1}`);
  return address.href;
}

/** Called once the server has the work: a real provider would pay from here on. */
function handleSubmitToProvider(data) {
  const sentence = window.MEPHISTO_TEXTS.texts["visit.mock_submitted"];
  alert(sentence.replace("{data}", () => JSON.stringify(data)));
}
