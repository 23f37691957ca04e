/**
 * The mock crowd provider's part of a page: the worker and the assignment are in the URL,
 * `?worker_id=W&assignment_id=A`. Without one of them the page is a preview. It is loaded
 * before the task's own scripts, which call these four globals.
 */
"use strict";

function urlParameter(name) {
  return new URLSearchParams(window.location.search).get(name) || null;
}

/** Returns the worker's name at the provider, or null in a preview. */
function getWorkerName() {
  return urlParameter("worker_id");
}

/** Returns the accepted assignment, or null in a preview. */
function getAssignmentId() {
  return urlParameter("assignment_id");
}

/** Returns the data by which the server finds or creates this worker's agent. */
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

/** Called once the server has stored the work; a real provider would complete the assignment. */
function handleSubmitToProvider(data) {
  alert("The task has been submitted! Data: " + JSON.stringify(data));
}
