from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing
from omegaconf import DictConfig, OmegaConf

from mephisto_es.adapters.architects.contract import ArchitectContract, Deployment, ResourceBook
from mephisto_es.adapters.architects.memory.router import PageFile
from mephisto_es.adapters.architects.mock import MockArchitect
from mephisto_es.adapters.architects.mock_server import MockServer
from mephisto_es.adapters.channels.websocket import WebsocketChannel
from mephisto_es.core.abstractions.architect import Architect, ArchitectContext
from mephisto_es.core.abstractions.blueprint import SharedTaskState
from mephisto_es.core.abstractions.resources import Resources
from mephisto_es.core.errors import ProtocolError, UploadGoneError
from mephisto_es.core.operations.hydra_config import MephistoConfig
from mephisto_es.core.packets import (
    SYSTEM,
    Ack,
    AckData,
    AgentDetails,
    AgentDetailsData,
    ClientBoundLiveUpdate,
    LiveUpdatePacket,
    RegisterAgent,
    ReturnStatuses,
    SubmitOnboardingPacket,
    SubmitUnitPacket,
    UpdateStatus,
    UpdateStatusData,
)
from mephisto_es.events.ids import TaskRunId


def mock(folder: Path, resources: Resources, *, should_run_server: bool) -> MockArchitect:
    config: DictConfig = OmegaConf.structured(MephistoConfig)
    config.architect = OmegaConf.structured(MockArchitect.ArgsClass(_architect_type="mock"))
    config.architect.should_run_server = should_run_server
    MockArchitect.assert_task_args(config, SharedTaskState())
    return MockArchitect(ArchitectContext(config, SharedTaskState(), TaskRunId(1), folder, resources))


def answer(request_id: str, agent_id: str) -> AgentDetails:
    data = AgentDetailsData(request_id=request_id, worker_id="1", agent_id=agent_id, status="in task")
    return AgentDetails(subject_id=request_id, data=data)


class TestScriptedServer(ArchitectContract):
    def make(self, folder: Path, resources: Resources) -> Architect:
        return mock(folder, resources, should_run_server=True)

    async def test_an_uploaded_file_can_be_downloaded(self, tmp_path: Path) -> None:
        save_dir = tmp_path / "saved"
        save_dir.mkdir()
        async with self.deployed(tmp_path / "build") as deployment:
            server = server_of(deployment)
            [channel] = deployment.channels
            channel.enqueue_send(UpdateStatus(subject_id="agent", data=UpdateStatusData("in task")))
            with trio.fail_after(120):
                while "agent" not in server.router.statuses:
                    await trio.lowlevel.checkpoint()
                server.submit_mock_unit("agent", {"a": 1}, [PageFile("photo", "me.png", b"PNG", "image/png")])
                submitted = await deployment.next(SubmitUnitPacket)
            [file] = submitted.data.files or []
            assert (file.fieldname, file.originalname, file.mimetype) == ("photo", "me.png", "image/png")
            saved = await deployment.architect.download_file(file.filename, save_dir)
            assert saved.read_bytes() == b"PNG"
            await deployment.architect.drop_file(file.filename)
            with pytest.raises(UploadGoneError):
                await deployment.architect.download_file(file.filename, save_dir)

    async def test_a_visit_is_played_from_first_to_last_step(self, tmp_path: Path) -> None:
        async with self.deployed(tmp_path) as deployment, trio.open_nursery() as nursery:
            server = server_of(deployment)
            [channel] = deployment.channels

            async def operate() -> None:
                channel.enqueue_send(answer((await deployment.next(RegisterAgent)).data.request_id, "onboarding_1"))
                channel.enqueue_send(answer((await deployment.next(SubmitOnboardingPacket)).data.request_id, "agent_1"))

            nursery.start_soon(operate)
            onboarding = await server.register_mock_agent("W", "A-W")
            assert onboarding["agent_id"] == "onboarding_1"
            task = await server.register_mock_agent_after_onboarding("onboarding_1", {"success": True})
            assert task["agent_id"] == "agent_1"

            server.send_agent_act("agent_1", {"text": "hello"})
            update = await deployment.next(LiveUpdatePacket)
            assert (update.subject_id, b'"text":"hello"' in bytes(update.data)) == ("agent_1", True)

            channel.enqueue_send(UpdateStatus(subject_id="agent_1", data=UpdateStatusData("waiting")))
            channel.enqueue_send(
                ClientBoundLiveUpdate(subject_id="agent_1", data=msgspec.Raw(b'{"update_id":"u","text":"hi"}'))
            )
            for_the_page = [await server.next_packet_for("agent_1") for _ in range(3)]
            assert [packet["data"].get("status") for packet in for_the_page] == ["in task", "waiting", None]
            assert server.get_last_message() == for_the_page[-1]

            server.submit_mock_unit("agent_1", {"rating": 5})
            assert bytes((await deployment.next(SubmitUnitPacket)).data.final_data) == b'{"rating":5}'
            server.disconnect_mock_agent("agent_1")
            assert (await deployment.next(ReturnStatuses)).data == {"agent_1": "disconnect"}

    async def test_what_was_not_acknowledged_comes_again(self, tmp_path: Path) -> None:
        async with self.deployed(tmp_path) as deployment, trio.open_nursery() as nursery:
            server = server_of(deployment)
            [channel] = deployment.channels
            nursery.start_soon(server.register_mock_agent, "W", "A-W")
            channel.enqueue_send(answer((await deployment.next(RegisterAgent)).data.request_id, "agent_1"))
            await trio.testing.wait_all_tasks_blocked(0.05)
            for number in range(3):
                server.send_agent_act("agent_1", {"number": number})
            first = await deployment.next(LiveUpdatePacket)
            channel.enqueue_send(Ack(subject_id=SYSTEM, data=AckData("mock_1", first.seq)))
            again = Deployment(deployment.architect, deployment.resources, tmp_path, deployment.url, [])
            [second] = deployment.architect.get_channels(again.opened.append, again.lost.append, again.on_message)
            channel.close()
            await nursery.start(second.open)
            assert [(await again.next(LiveUpdatePacket)).seq for _ in range(2)] == [first.seq + 1, first.seq + 2]
            second.close()

    async def test_strangers_are_no_operators(self, tmp_path: Path) -> None:
        async with self.deployed(tmp_path) as deployment:
            url = f"ws{deployment.url.removeprefix('http')}/"
            stranger = WebsocketChannel(
                "stranger", url, "a guess", print, print, deployment.on_message, jitter=lambda: 1.0
            )
            with pytest.raises(ProtocolError, match="refuses us"):
                await stranger.open()
            assert deployment.channels[0].is_alive()


def server_of(deployment: Deployment) -> MockServer:
    assert isinstance(deployment.architect, MockArchitect)
    return deployment.architect.server


def steps(architect: MockArchitect) -> list[bool]:
    return [architect.prepared, architect.deployed, architect.cleaned, architect.did_shutdown]


async def test_without_a_server_the_steps_are_noted(tmp_path: Path) -> None:
    resources = ResourceBook()
    architect = mock(tmp_path, resources, should_run_server=False)
    assert steps(architect) == [False, False, False, False]
    static_dir = await architect.prepare()
    assert tmp_path in static_dir.parents
    assert steps(architect) == [True, False, False, False]
    assert (await architect.deploy()).startswith("http://localhost:")
    assert steps(architect) == [True, True, False, False]
    await architect.cleanup()
    assert architect.get_channels(print, print, ignore) == []
    await architect.shutdown()
    assert steps(architect) == [True, True, True, True]
    assert resources.states == {}


async def ignore(channel_id: str, packet: object) -> None:
    await trio.lowlevel.checkpoint()
