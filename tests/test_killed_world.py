"""A chat written as a world, whose operator is killed in the middle of it; its model is asked each question once."""

import json
import math
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.crowd.page_client import PageClient, Visit
from mephisto_es.adapters.crowd.page_socket import PageSocket
from mephisto_es.projections.mephisto_db.reader import MephistoDB

from .processes import no_router_is_left, operator_process, report_of

__all__ = ["no_router_is_left"]

pytestmark = pytest.mark.usefixtures("no_router_is_left")

WORLDS = """
class Interview:
    def __init__(self, opt, agents):
        self.model, [self.agent], self.said = opt["model"], agents, []
        self.agent.agent_id = "Guest"

    def parley(self):
        self.said.append({"role": "user", "content": self.agent.act()["text"]})
        reply = self.model.reply_to(self.agent.mephisto_agent, self.said)
        self.said.append({"role": "assistant", "content": reply})
        self.agent.observe({"id": "Model", "text": reply})

    def episode_done(self):
        return len(self.said) == 6

    def shutdown(self):
        pass

    def prep_save_data(self, agents):
        return {"said": len(self.said)}


def make_world(opt, agents):
    return Interview(opt, agents)


def get_world_params():
    return {"agent_count": 1}
"""
SCRIPT = """
from mephisto_es import ChatModel, SharedParlAITaskState, task_script


@task_script(default_config_file="interview")
def main(operator, cfg):
    model = ChatModel(MODEL_URL, "small")
    run_id = operator.launch_task_run(cfg.mephisto, SharedParlAITaskState(world_opt={"model": model}))
    print("Open", operator.get_running_task_runs()[run_id].worker_url, flush=True)
    operator.wait_for_runs_then_shutdown()


main()
"""
CONFIG = """#@package _global_
defaults:
  - /mephisto/blueprint: parlai_chat
  - /mephisto/architect: local
  - /mephisto/provider: mock

mephisto:
  blueprint:
    world_file: ${task_dir}/worlds.py
    num_conversations: 1
  architect:
    port: 0
  task:
    task_name: interview
    task_title: Talk
    task_description: Talk in turns.
    task_reward: "0.30"
    task_tags: chat
    resume_incomplete_run: true
"""


class Model(ThreadingHTTPServer):
    """A server of a model on this machine; it says how often it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        #: What each question said last.
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/chat/completions"


class Answer(BaseHTTPRequestHandler):
    """Answers one question."""

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Model)
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.asked.append(question["messages"][-1]["content"])
        message = {"content": f"reply {len(server.asked)} to {server.asked[-1]}"}
        usage = {"prompt_tokens": 10, "completion_tokens": 10}
        body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Say nothing."""


@pytest.fixture
def model() -> Iterator[Model]:
    server = Model()
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def heard(socket: PageSocket, words: str) -> None:
    """Wait until somebody says something."""
    while (packet := await socket.receive(math.inf)) is None or packet.data.get("text") != words:
        pass


async def test_an_episode_continues_where_its_operator_was_killed(tmp_path: Path, model: Model) -> None:
    files = {
        "run_task.py": SCRIPT.replace("MODEL_URL", repr(model.url)),
        "hydra_configs/conf/interview.yaml": CONFIG,
        "worlds.py": WORLDS,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    data_dir = tmp_path / "mephisto_data"
    script = [sys.executable, str(tmp_path / "run_task.py")]
    command = [*script, f"mephisto.database.data_dir={data_dir}"]
    async with httpx.AsyncClient(timeout=60) as browser, operator_process(command) as operator:
        browser.base_url = httpx.URL(operator.url)
        page = PageClient(browser, Visit("ann", "1"), time.time)
        agent = (await page.request_agent()).agent_id
        assert agent is not None
        async with page.connect(agent) as socket:
            await socket.send_update({"id": "Guest", "text": "one", "update_id": "1"})
            await heard(socket, "reply 1 to one")
            await operator.kill()
            # The router takes it.
            await socket.send_update({"id": "Guest", "text": "two", "update_id": "2"})
            async with operator_process(command) as resumed:
                assert resumed.url == operator.url
                await heard(socket, "reply 2 to two")
                await socket.send_update({"id": "Guest", "text": "three", "update_id": "3"})
                await heard(socket, "reply 3 to three")
                await page.submit_task(agent, {"rating": 5})
                assert await resumed.process.wait() == 0
    assert model.asked == ["one", "two", "three"]
    report = report_of(data_dir)
    assert report.legal, report.findings
    with MephistoDB(data_dir / DATABASE_FILE) as db:
        [found] = db.find_agents()
        data = found.state.get_parsed_data()
    assert data["save_data"] == {"said": 6}
    said = [message["text"] for message in data["outputs"]["messages"] if message.get("text")]
    assert said == ["one", "reply 1 to one", "two", "reply 2 to two", "three", "reply 3 to three"]
    assert data["final_submission"] == {"rating": 5}
