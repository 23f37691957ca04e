"""A small operator behind a real router, for the crowd's tests."""

import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE

import msgspec
import trio

from mephisto_es.adapters.channels.websocket import WebsocketChannel
from mephisto_es.core.packets import (
    Ack,
    AckData,
    AgentDetails,
    AgentDetailsData,
    Inbound,
    LiveUpdatePacket,
    OutboxPacket,
    RegisterAgent,
    ReturnStatuses,
    ReturnUnitPacket,
    RouterState,
    SubmitOnboardingPacket,
    SubmitUnitPacket,
    provider_data_of,
)

SECRET = "known to operator and router"
NO_WORK = "There is currently no available work, please try again later..."


class _Listening(msgspec.Struct):
    listening: str


class FakeOperator:
    """Hands out numbered units through a real router and remembers what comes back."""

    def __init__(self, units: int, *, with_onboarding: bool = False) -> None:
        self.available = deque(range(units))
        self.with_onboarding = with_onboarding
        self.assigned: dict[str, int] = {}
        self.submitted: dict[int, object] = {}
        self.returned: list[int] = []
        self.disconnected: list[int] = []
        self.onboarded: list[object] = []
        self.registrations: list[str] = []
        self.workers: set[str] = set()
        self.url = ""
        #: Called with each submission before it is acknowledged.
        self.on_submitted: Callable[[], None] = lambda: None
        self._incarnation = ""
        self._channel: WebsocketChannel | None = None

    @asynccontextmanager
    async def open(self, tmp_path: Path, **settings: str) -> AsyncIterator["FakeOperator"]:
        """Start a router process and connect to it."""
        static = tmp_path / "static"
        static.mkdir()
        (static / "index.html").write_text("<!doctype html><title>Task</title>")
        (static / "wrap_crowd_source.js").write_text("// the provider's globals")
        (static / "task_config.json").write_text("{}")
        environment = {
            **os.environ,
            "MEPHISTO_ROUTER_SECRET": SECRET,
            "MEPHISTO_ROUTER_STATIC": str(static),
            "MEPHISTO_ROUTER_DATA": str(tmp_path / "router"),
            **settings,
        }
        command = [sys.executable, "-m", "mephisto_es.adapters.architects.router.python"]
        async with trio.open_nursery() as nursery:
            process = await nursery.start(partial(trio.run_process, command, env=environment, stdout=PIPE, check=False))
            self.url = msgspec.json.decode(await process.stdout.receive_some(), type=_Listening).listening
            self._channel = WebsocketChannel(
                "operator",
                self.url.replace("http", "ws", 1) + "/",
                SECRET,
                lambda _: None,
                lambda _: None,
                self._on_message,
                jitter=lambda: 0.0,
            )
            await nursery.start(self._channel.open)
            yield self
            self._channel.close()
            process.terminate()

    async def _on_message(self, _channel: str, packet: Inbound) -> None:
        match packet:
            case RouterState():
                self._incarnation = packet.data.incarnation
            case RegisterAgent():
                asked = provider_data_of(packet)
                self.registrations.append(asked.agent_registration_id)
                self.workers.add(asked.worker_name)
                if self.with_onboarding:
                    self._answer(packet.data.request_id, f"onboarding_{len(self.registrations)}", {})
                else:
                    self._assign(packet.data.request_id)
            case SubmitOnboardingPacket():
                self.onboarded.append(msgspec.json.decode(packet.data.onboarding_data))
                self._assign(packet.data.request_id)
            case SubmitUnitPacket() if packet.subject_id:
                self.submitted[self.assigned[packet.subject_id]] = msgspec.json.decode(packet.data.final_data)
                self.on_submitted()
            case ReturnUnitPacket() if packet.subject_id:
                self.returned.append(self.assigned[packet.subject_id])
                self.available.append(self.assigned[packet.subject_id])
            case ReturnStatuses():
                for token, status in packet.data.items():
                    if status == "disconnect":
                        self.disconnected.append(self.assigned[token])
                        self.available.append(self.assigned[token])
            case LiveUpdatePacket():
                raise AssertionError("a static task sends no live updates")
        if isinstance(packet, OutboxPacket):
            self._send(Ack(subject_id="mephisto", data=AckData(self._incarnation, packet.seq)))

    def _assign(self, request_id: str) -> None:
        if not self.available:
            self._answer(request_id, None, None)
            return
        token = f"agent-{len(self.assigned)}"
        self.assigned[token] = self.available.popleft()
        self._answer(request_id, token, {"number": self.assigned[token]})

    def _answer(self, request_id: str, token: str | None, data: object) -> None:
        details = AgentDetailsData(
            request_id=request_id,
            worker_id="1",
            agent_id=token,
            init_task_data=msgspec.Raw(msgspec.json.encode(data)),
            failure_reason=None if token else NO_WORK,
            status="in task" if token else None,
        )
        self._send(AgentDetails(subject_id=request_id, data=details))

    def _send(self, packet: Ack | AgentDetails) -> None:
        assert self._channel is not None
        assert self._channel.enqueue_send(packet)
