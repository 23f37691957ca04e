"""The chat example as a user has it: its script, a real router, and people with browsers who write to each other."""

from __future__ import annotations

import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import trio
from trio_websocket import WebSocketConnection

from mephisto_es.adapters.channels.dial import dial
from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.crowd.page_client import PageClient, Visit
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.events.assignment import AssignmentCreated
from mephisto_es.projections.registry import PROJECTIONS

from .scripts import launched

MESSAGES = 3


def chats(data_dir: Path, topics: int) -> AbstractAsyncContextManager[str]:
    """The script with some topics."""
    csv = data_dir.parent / "topics.csv"
    csv.write_text("topic\n" + "".join(f"Topic {number}\n" for number in range(topics)))
    data, messages = f"mephisto.blueprint.data_csv={csv}", f"mephisto.blueprint.messages_per_worker={MESSAGES}"
    return launched("paired_chat", data_dir, data, messages)


class Person:
    """Somebody who opens the page and chats."""

    def __init__(self, url: str, name: str, leaves_after: int = MESSAGES) -> None:
        self._url = url
        self._name = name
        self._leaves_after = leaves_after
        #: What was read, with who wrote it.
        self.read: list[tuple[str, str]] = []
        self.statuses: list[str] = []
        self.task_data: dict[str, Any] = {}

    async def chat(self) -> None:
        """Come, chat to the end or leave, and hand in."""
        async with httpx.AsyncClient(base_url=self._url, timeout=60, trust_env=False) as client:
            page = PageClient(client, Visit(self._name, "1"), time.time)
            await page.load()
            details = await page.request_agent()
            assert details.agent_id is not None, details.failure_reason
            assert msgspec.json.decode(details.init_task_data)["past_live_updates"] == []
            async with dial(self._url.replace("http", "ws", 1)) as socket:
                is_over = await self._talk(socket, details.agent_id)
                again = msgspec.json.decode((await page.request_agent()).init_task_data)
                if is_over:
                    await page.submit_task(details.agent_id, {"read": len(self.read)})
                else:
                    await page.return_task(details.agent_id)
            self._check_replay(again["past_live_updates"])

    async def _talk(self, socket: WebSocketConnection, token: str) -> bool:
        """Return whether the chat was finished: by both, or by one whose partner left."""
        written = 0
        await self._say(socket, {"packet_type": "alive", "subject_id": token, "data": {"update_id": f"{token}-alive"}})
        while True:
            packet = msgspec.json.decode(await socket.get_message())
            if packet["packet_type"] == "update_status":
                self.statuses.append(packet["data"]["status"])
                if self.statuses[-1] == "partner disconnect":
                    return True
            elif packet["packet_type"] == "client_bound_live_update":
                self._hear(packet["data"])
                if self.task_data.get("task_done"):
                    return True
                if written == self._leaves_after < MESSAGES:
                    return False
                if written < MESSAGES:
                    written += 1
                    data = {"text": f"{self._name} {written}", "update_id": f"{self._name}-{written}"}
                    for _ in range(2):  # as after a reconnection
                        update = {"packet_type": "mephisto_bound_live_update", "subject_id": token, "data": data}
                        await self._say(socket, update)

    def _hear(self, update: dict[str, Any]) -> None:
        if "text" in update:
            self.read.append((update["id"], update["text"]))
        self.task_data |= update.get("task_data", {})

    def _check_replay(self, past: list[dict[str, Any]]) -> None:
        """A page that is loaded again finds the same conversation, and knows its own messages."""
        texts = [update for update in past if "text" in update]
        heard = [(update["id"], update["text"]) for update in texts if "id" in update]
        assert heard[: len(self.read)] == self.read
        # Who left before the end was written to meanwhile.
        assert len(heard) == len(self.read) or "task_done" not in self.task_data
        own = [update["text"] for update in texts if "id" not in update]
        assert own == [f"{self._name} {number}" for number in range(1, len(own) + 1)]

    async def _say(self, socket: WebSocketConnection, packet: dict[str, Any]) -> None:
        await socket.send_message(msgspec.json.encode(packet).decode())

    def partners(self) -> list[str]:
        """Return what the others wrote."""
        return [text for speaker, text in self.read if speaker != "Host"]


async def test_two_people_chat_to_the_end(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with chats(data_dir, topics=1) as url:
        people = [Person(url, "ann"), Person(url, "bob")]
        async with trio.open_nursery() as nursery:
            for person in people:
                nursery.start_soon(person.chat)
    ann, bob = people
    assert ann.partners() == [f"bob {number}" for number in (1, 2, 3)]
    assert bob.partners() == [f"ann {number}" for number in (1, 2, 3)]
    names = {person.task_data["agent_display_name"] for person in people}
    assert names == {"Speaker 1", "Speaker 2"}
    assert {speaker for speaker, _ in ann.read} == {"Host", bob.task_data["agent_display_name"]}
    assert ann.task_data["topic"] == "Topic 0"
    assert "in task" in ann.statuses
    report = replay(data_dir / DATABASE_FILE, PROJECTIONS)
    assert report.legal, report.findings
    assert report.units == {"completed": 2}


async def test_a_chat_that_somebody_left_is_offered_to_two_others(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with chats(data_dir, topics=1) as url:
        ann, bob = Person(url, "ann", leaves_after=1), Person(url, "bob")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ann.chat)
            nursery.start_soon(bob.chat)
        assert bob.statuses[-1] == "partner disconnect"
        cyd, dan = Person(url, "cyd"), Person(url, "dan")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cyd.chat)
            nursery.start_soon(dan.chat)
        assert cyd.partners() == [f"dan {number}" for number in (1, 2, 3)]
    report = replay(data_dir / DATABASE_FILE, PROJECTIONS)
    assert report.legal, report.findings
    assert report.units == {"completed": 3, "expired": 1}
    with LogReader(data_dir / DATABASE_FILE) as log:
        created = [one.envelope.event for one in log.read() if isinstance(one.envelope.event, AssignmentCreated)]
    assert [event.number for event in created] == [0, 0]
    assert created[0].data == created[1].data
