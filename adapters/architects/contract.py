"""The contract of architects as a test suite. A package with its own architect runs it like this:

    class TestMyArchitect(PageServerContract):
        def make(self, folder: Path, resources: Resources) -> Architect:
            return MyArchitect(ArchitectContext(config, SharedTaskState(), TaskRunId(1), folder, resources))

They need pytest and pytest-trio.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
import trio

from ...core.abstractions.architect import Architect
from ...core.abstractions.channel import Channel
from ...core.abstractions.resources import RecordedResource, Resources
from ...core.errors import LaunchError, ProtocolError, UploadGoneError
from ...core.lifecycles.resource import ResourceState, ResourceStatus, evolve
from ...core.packets import (
    SYSTEM,
    Ack,
    AckData,
    AgentDetails,
    AgentDetailsData,
    Inbound,
    Packet,
    RegisterAgent,
    RouterState,
    SubmitUnitPacket,
)
from ...core.signal import Signal
from ...events.ids import TaskRunId
from ...events.resource import ResourceEvent
from ..composition.clock_and_ids import SystemIds

#: The number of packets that may wait for a test to read them.
RECEIVED_LIMIT = 1000
AnyPacket = TypeVar("AnyPacket", bound=Packet)

PAGE = "<p>The page of the contract.</p>"
AGENT = "an-agent-of-the-contract"


class ResourceBook(Resources):
    """Keeps the history of outside resources in memory, checked against their lifecycle.

    Attributes:
        states: the present state of each resource, by its number.
        changed: notified of each recorded event.
        names_at_limit: the provider's names of workers who may do no more of the task.
    """

    def __init__(self) -> None:
        self.names_at_limit: list[str] = []
        self.states: dict[int, ResourceState] = {}
        self.changed = Signal()
        self._ids = SystemIds({}, 1)
        self._run = TaskRunId(1)

    def count(self, status: ResourceStatus) -> int:
        """Return the number of resources with a status."""
        return sum(state.status is status for state in self.states.values())

    def held(self, resource_type: str, *, or_released: bool = False) -> list[RecordedResource]:
        """Return the resources of a type that are held, or were."""
        return [
            RecordedResource(number, state.status is not ResourceStatus.INTENDED, dict(state.details))
            for number, state in self.states.items()
            if state.resource_type == resource_type and (or_released or state.status is not ResourceStatus.RELEASED)
        ]

    def workers_at_limit(self, provider_type: str) -> list[str]:  # noqa: ARG002 - all are of one provider
        """Return the names of workers who may do no more of the task."""
        return self.names_at_limit

    def secret_for(self, purpose: str) -> str:
        """Return a text of hexadecimal digits that is always the same."""
        return sha256(purpose.encode()).hexdigest()[:32]

    async def _append(self, number: int, event: ResourceEvent) -> None:
        self.states[number] = evolve(self.states.get(number), event)
        self.changed.notify()
        await trio.lowlevel.checkpoint()


@dataclass
class Deployment:
    """A server that the test deployed, with its channels."""

    architect: Architect
    resources: ResourceBook
    static_dir: Path
    url: str
    channels: list[Channel]
    opened: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._sender, self.received = trio.open_memory_channel[Inbound](RECEIVED_LIMIT)
        self._incarnations: dict[str, str] = {}

    async def on_message(self, channel_id: str, packet: Inbound) -> None:
        """Store a packet for the test; acknowledge a submission, as an operator does."""
        if isinstance(packet, RouterState):
            self._incarnations[channel_id] = packet.data.incarnation
        elif isinstance(packet, SubmitUnitPacket):
            ack = Ack(subject_id=SYSTEM, data=AckData(self._incarnations[channel_id], packet.seq))
            for channel in self.channels:
                if channel.channel_id == channel_id:
                    channel.enqueue_send(ack)
        await self._sender.send(packet)

    async def next(self, kind: type[AnyPacket]) -> AnyPacket:
        """Return the next packet of a kind, skipping others."""
        async for packet in self.received:
            if isinstance(packet, kind):
                return packet
        raise EOFError  # the other end is ours, and stays open

    def client(self) -> httpx.AsyncClient:
        """Return an HTTP client, as a page would use one."""
        return httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=30)


async def answers(url: str) -> bool:
    """Return whether anything accepts connections at a URL."""
    address = urlsplit(url)
    try:
        stream = await trio.open_tcp_stream(
            address.hostname or "", address.port or (443 if address.scheme == "https" else 80)
        )
    except OSError:
        return False
    await stream.aclose()
    return True


@pytest.mark.trio
class ArchitectContract:
    """The contract of every architect that has a server."""

    #: The time limit of one test.
    limit_seconds: ClassVar[float] = 120
    #: True if the server was there before the run, and serves the next one.
    outlives_runs: ClassVar[bool] = False

    def make(self, folder: Path, resources: Resources) -> Architect:
        """Return a new architect that builds in a folder, with checked settings."""
        raise NotImplementedError

    @asynccontextmanager
    async def deployed(self, folder: Path) -> AsyncIterator[Deployment]:
        """Take an architect through its life like an operator; its channels are open inside the block."""
        resources = ResourceBook()
        with trio.fail_after(self.limit_seconds):
            await trio.Path(folder).mkdir(exist_ok=True)
            architect = self.make(folder, resources)
            try:
                static_dir = await architect.prepare()
                (static_dir / "index.html").write_text(PAGE)
                (static_dir / "wrap_crowd_source.js").write_text("")
                (static_dir / "task_config.json").write_text('{"task_title": "A contract"}')
                url = await architect.deploy()
                await architect.cleanup()
                deployment = Deployment(architect, resources, static_dir, url, [])
                deployment.channels = architect.get_channels(
                    deployment.opened.append, deployment.lost.append, deployment.on_message
                )
                async with trio.open_nursery() as nursery:
                    for channel in deployment.channels:
                        await nursery.start(channel.open)
                    yield deployment
                    for channel in deployment.channels:
                        channel.close()
            finally:
                with trio.CancelScope(shield=True):
                    await architect.shutdown()

    async def test_prepare_returns_a_folder_to_add_files_to(self, tmp_path: Path) -> None:
        """The folder exists, inside the build folder, and is writable."""
        architect = self.make(tmp_path, ResourceBook())
        with trio.fail_after(self.limit_seconds):
            try:
                static_dir = await architect.prepare()
            finally:
                await architect.shutdown()
        assert static_dir.is_dir()
        assert tmp_path in static_dir.parents

    async def test_every_resource_is_recorded(self, tmp_path: Path) -> None:
        """A resource is recorded as acquired while it is held, and as released afterwards."""
        async with self.deployed(tmp_path) as deployment:
            book = deployment.resources
            assert book.count(ResourceStatus.ACQUIRED) >= 1
            assert book.count(ResourceStatus.INTENDED) == 0
        assert book.count(ResourceStatus.RELEASED) == len(book.states)

    async def test_deploy_returns_a_url_that_answers(self, tmp_path: Path) -> None:
        """Workers can be sent there at once."""
        async with self.deployed(tmp_path) as deployment:
            assert deployment.url.startswith(("http://", "https://"))
            assert not deployment.url.endswith("/")
            assert await answers(deployment.url)

    async def test_deploy_before_prepare_is_refused(self, tmp_path: Path) -> None:
        """The steps have a fixed order."""
        architect = self.make(tmp_path, ResourceBook())
        with trio.fail_after(self.limit_seconds), pytest.raises(LaunchError):
            await architect.deploy()

    async def test_channels_are_alive_once_open(self, tmp_path: Path) -> None:
        """Each channel reports that it is open, and its first packet is the router's state."""
        async with self.deployed(tmp_path) as deployment:
            names = [channel.channel_id for channel in deployment.channels]
            assert names
            assert len(set(names)) == len(names)
            assert sorted(deployment.opened) == sorted(names)
            assert all(channel.is_alive() and not channel.is_closed() for channel in deployment.channels)
            for _ in names:
                assert isinstance(await deployment.received.receive(), RouterState)
        assert all(channel.is_closed() and not channel.is_alive() for channel in deployment.channels)
        assert deployment.lost == []

    async def test_shutdown_takes_the_server_offline_and_can_be_repeated(self, tmp_path: Path) -> None:
        """Nothing answers afterwards, or the page of the run is gone, and the second call does nothing."""
        async with self.deployed(tmp_path) as deployment:
            pass
        with trio.fail_after(self.limit_seconds):
            assert await answers(deployment.url) == self.outlives_runs
            if self.outlives_runs:
                async with deployment.client() as page:
                    assert PAGE not in (await page.get("/")).text
            before = dict(deployment.resources.states)
            await deployment.architect.shutdown()
        assert deployment.resources.states == before

    async def test_shutdown_is_possible_at_any_time(self, tmp_path: Path) -> None:
        """Before `prepare`, and between `prepare` and `deploy`."""
        resources = ResourceBook()
        architect = self.make(tmp_path, resources)
        with trio.fail_after(self.limit_seconds):
            await architect.shutdown()
            await architect.prepare()
            await architect.shutdown()
        assert resources.count(ResourceStatus.RELEASED) == len(resources.states)

    async def test_a_missing_file_is_an_error(self, tmp_path: Path) -> None:
        """Any name gives an error, and nothing is written."""
        save_dir = tmp_path / "saved"
        save_dir.mkdir()
        async with self.deployed(tmp_path / "build") as deployment:
            for filename in ("nothing", "", "..", "../index.html", "a/b", "/etc/passwd", "%2e%2e"):
                with pytest.raises(ProtocolError):
                    await deployment.architect.download_file(filename, save_dir)
        assert list(save_dir.iterdir()) == []


class PageServerContract(ArchitectContract):
    """The additional contract of an architect whose server is a router for workers' pages."""

    async def test_the_prepared_files_are_served(self, tmp_path: Path) -> None:
        """They are still served after `cleanup`."""
        async with self.deployed(tmp_path) as deployment, deployment.client() as page:
            assert (await page.get("/?worker_id=x&assignment_id=1")).text == PAGE
            config = (await page.get("/task_config.json", params={"mephisto_task_version": "2.0.3"})).json()
            assert config["task_title"] == "A contract"
            assert (await page.get("/nothing.html")).status_code == httpx.codes.NOT_FOUND

    async def test_a_page_and_the_operator_reach_each_other(self, tmp_path: Path) -> None:
        """A page's request becomes a packet, and the operator's answer reaches the page."""
        async with self.deployed(tmp_path) as deployment, deployment.client() as page:
            details = await self._register(deployment, page)
            assert details["agent_id"] == AGENT
            assert details["init_task_data"] == {"text": "x"}

    async def test_an_uploaded_file_can_be_downloaded(self, tmp_path: Path) -> None:
        """Byte for byte, under the name in the submission, until it is dropped."""
        content = bytes(range(256)) * 1000
        save_dir = tmp_path / "saved"
        save_dir.mkdir()
        async with self.deployed(tmp_path / "build") as deployment, deployment.client() as page:
            await self._register(deployment, page)
            answer = await page.post(
                "/submit_task",
                data={"USED_AGENT_ID": AGENT, "final_string_data": "{}"},
                files={"attachment": ("../sample.bin", content)},
            )
            assert answer.status_code == httpx.codes.OK
            submitted = await deployment.next(SubmitUnitPacket)
            [file] = submitted.data.files or []
            saved = await deployment.architect.download_file(file.filename, save_dir)
            assert saved.parent == save_dir
            assert saved.read_bytes() == content
            await deployment.architect.drop_file(file.filename)
            with pytest.raises(UploadGoneError):
                await deployment.architect.download_file(file.filename, save_dir)

    async def _register(self, deployment: Deployment, page: httpx.AsyncClient) -> dict[str, object]:
        """Request an agent as a page, and answer as an operator; return the page's answer."""
        provider_data = {"worker_name": "W", "agent_registration_id": "A-W", "assignment_id": "A"}
        details: dict[str, object] = {}

        async def ask() -> None:
            answer = await page.post("/request_agent", json={"provider_data": provider_data})
            details.update(answer.json()["data"])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            request_id = (await deployment.next(RegisterAgent)).data.request_id
            answer = AgentDetailsData(
                request_id=request_id, worker_id="1", agent_id=AGENT, init_task_data=msgspec.Raw(b'{"text":"x"}')
            )
            for channel in deployment.channels:
                assert channel.enqueue_send(AgentDetails(subject_id=request_id, data=answer))
        return details
