/** A live task on the published client library: two people write to each other. */

import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { useMephistoLiveTask } from "mephisto-task";

function Page() {
  const [lines, setLines] = useState([]);
  const [name, setName] = useState("");
  const [text, setText] = useState("");
  const [done, setDone] = useState(false);
  const task = useMephistoLiveTask({
    onLiveUpdate(update) {
      if (update.task_data?.agent_display_name) setName(update.task_data.agent_display_name);
      if (update.task_data?.task_done) setDone(true);
      if (update.text) setLines((known) => [...known, `${update.id}: ${update.text}`]);
    },
    // Chat pages end their onboarding when the server says it is over.
    onStatusUpdate({ status }) {
      if (status === "waiting" && task.isOnboarding) task.handleSubmit();
    },
  });
  const { agentId, connect, sendLiveUpdate } = task;

  useEffect(() => {
    if (agentId) connect(agentId);
  }, [agentId]);

  function send() {
    sendLiveUpdate({ text, id: name, task_data: {} });
    setLines((known) => [...known, `${name}: ${text}`]);
    setText("");
  }

  function finish() {
    task.destroy();
    task.handleSubmit({ lines: lines.length });
  }

  if (task.blockedReason !== null) return <h1>{task.blockedExplanation}</h1>;
  if (task.isPreview) return <h1>Preview</h1>;
  return (
    <section>
      <h1 id="agent-status">{task.agentStatus}</h1>
      <p id="connection-status">{task.connectionStatus}</p>
      <p id="name">{name}</p>
      <ol id="lines">
        {lines.map((line, position) => (
          <li key={position}>{line}</li>
        ))}
      </ol>
      <input id="text" value={text} onChange={(event) => setText(event.target.value)} />
      <button id="send" onClick={send}>
        Send
      </button>
      {done && (
        <button id="finish" onClick={finish}>
          Finish
        </button>
      )}
    </section>
  );
}

createRoot(document.getElementById("app")).render(<Page />);
