/** A static task on the published client library: preview, onboarding, one item, submission. */

import { useState } from "react";
import { createRoot } from "react-dom/client";
import { ErrorBoundary, useMephistoTask } from "mephisto-task";

function Item({ data, onSubmit }) {
  const [note, setNote] = useState("");
  return (
    <section>
      <p id="item">{data.text}</p>
      <label>
        Note
        <input id="note" value={note} onChange={(event) => setNote(event.target.value)} />
      </label>
      <button id="submit" onClick={() => onSubmit({ note })}>
        Submit
      </button>
    </section>
  );
}

/** The library shows nothing after a submission; the page itself has to. */
function Page() {
  const task = useMephistoTask();
  const [submitted, setSubmitted] = useState(false);

  function submit(data) {
    task.handleSubmit(data);
    setSubmitted(true);
  }

  if (task.blockedReason !== null) return <h1>{task.blockedExplanation}</h1>;
  if (task.isPreview) return <h1>Preview of {task.taskConfig?.task_title}</h1>;
  if (task.isLoading) return <h1>Loading</h1>;
  if (task.isOnboarding) {
    return (
      <section>
        <h1>Onboarding</h1>
        <p id="item">{task.initialTaskData.text}</p>
        <button id="pass" onClick={() => task.handleSubmit({ success: true })}>
          I have read it
        </button>
        <button id="fail" onClick={() => task.handleSubmit({ success: false })}>
          I have not
        </button>
      </section>
    );
  }
  if (submitted) return <h1>Handed in</h1>;
  return (
    <section>
      <h1>Task</h1>
      <Item data={task.initialTaskData} onSubmit={submit} />
      <button id="tip" onClick={() => task.handleMetadataSubmit({ type: "tips", header: "tip", text: "be kind" })}>
        Leave a tip
      </button>
      <button id="complain" onClick={() => task.handleFatalError({ error: "it broke" })}>
        Report
      </button>
    </section>
  );
}

createRoot(document.getElementById("app")).render(
  <ErrorBoundary>
    <Page />
  </ErrorBoundary>,
);
