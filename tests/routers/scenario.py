"""A run through two routers elsewhere, which are killed, and a network to them, which is cut, while people work."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import TypeVar

import httpx
import msgspec
import trio

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.crowd.page_client import PageClient, Visit
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.core.errors import ProtocolError
from mephisto_es.events.agent import AgentDisconnected, AgentSubmitted, AgentSubmittedAgain, AgentSubmittedLate

from ..adapters.architects.remote_routers import ServedRouter
from ..processes import EXAMPLE, SCRIPT, OperatorProcess, operator_process, report_of
from .network import Forwarder

RETRY_SECONDS = 0.1
#: A run whose work is done ends within this time, also on a busy machine.
END_SECONDS = 200.0
#: The long form takes several minutes.
LIMIT_SECONDS = 3600.0

T = TypeVar("T")


@dataclass
class People:
    """Those who work on the run, each on one unit, through a load balancer.

    Attributes:
        answered: the agents whose submission was answered, and what they submitted.
    """

    url: str
    answered: dict[str, int] = field(default_factory=dict)
    holding: int = 0
    changed: trio.Event = field(default_factory=trio.Event)

    async def work(self, number: int, may_submit: trio.Event) -> None:
        """Take a unit, keep its page open until the person may submit, and submit."""
        async with httpx.AsyncClient(base_url=self.url, verify=False, timeout=60, trust_env=False) as client:
            page = PageClient(client, Visit(f"person-{number}", f"visit-{number}"), time.time)
            agent = None
            while agent is None:
                agent = (await self._retry(page.request_agent)).agent_id
            self._note(holding=1)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._stay, partial(page.stay_connected, agent, LIMIT_SECONDS))
                await may_submit.wait()
                nursery.cancel_scope.cancel()
            await self._retry(partial(page.submit_task, agent, {"rating": number}))
            self.answered[agent] = number
            self._note(holding=-1)

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition holds, checked whenever somebody begins or submits."""
        while not holds():
            await self.changed.wait()

    async def _stay(self, stay_connected: Callable[[], Awaitable[None]]) -> None:
        """Keep a page's socket open, and open another one whenever it is lost."""
        while True:
            await self._retry(stay_connected)

    def _note(self, *, holding: int) -> None:
        self.holding += holding
        self.changed.set()
        self.changed = trio.Event()

    async def _retry(self, request: Callable[[], Awaitable[T]]) -> T:
        """Send a request until it is answered: the router may be away, or not have heard of the agent yet."""
        while True:
            try:
                return await request()
            except ProtocolError:
                await trio.sleep(RETRY_SECONDS)


@dataclass
class Scene:
    """A live run with two routers and the network between them and the operator."""

    data_dir: Path
    routers: Sequence[ServedRouter]
    links: Sequence[Forwarder]
    people: People
    operator: OperatorProcess

    async def end(self, units: int) -> None:
        """Wait until the run is over, which it is not as long as somebody's unit is on offer again; then check."""
        with trio.move_on_after(END_SECONDS):
            assert await self.operator.process.wait() == 0
        self.check(units)

    def check(self, units: int) -> None:
        """Check that nothing that was answered is lost or there twice, and that nobody was thought to have left."""
        events, submitted = Counter[type](), Counter[int]()
        with LogReader(self.data_dir / DATABASE_FILE) as log:
            for recorded in log.read():
                event = recorded.envelope.event
                events[type(event)] += 1
                if isinstance(event, AgentSubmitted):
                    body = log.payload(event.submission)
                    assert body is not None
                    submitted[msgspec.json.decode(body)["rating"]] += 1
        assert len(self.people.answered) == units
        assert submitted == Counter(self.people.answered.values())
        assert [events[kind] for kind in (AgentDisconnected, AgentSubmittedAgain, AgentSubmittedLate)] == [0, 0, 0]
        assert report_of(self.data_dir).legal
        for router in self.routers:
            assert "There is no task here" in httpx.get(router.url, trust_env=False, timeout=60).text


@asynccontextmanager
async def scene(folder: Path, units: int, options: Sequence[Sequence[str]], chance: Random) -> AsyncIterator[Scene]:
    """A live run; whoever enters ends it by letting everybody submit."""
    data_dir, secret_file = folder / "data", folder / "router.secret"
    with ExitStack() as stack:
        routers = [
            ServedRouter(folder / f"vm-{number}", *chosen, secret_file=secret_file)
            for number, chosen in enumerate(options)
        ]
        for router in routers:
            stack.callback(router.stop, signal.SIGKILL)
            router.start()
            router.wait_until_ready()  # the first one writes the secret
        async with trio.open_nursery() as nursery:
            links = [Forwarder([router.port], chance) for router in routers]
            balancer = Forwarder([router.port for router in routers], chance)
            for forwarder in (*links, balancer):
                await nursery.start(forwarder.run)
            command = [
                *SCRIPT,
                "mephisto/architect=remote",
                f"mephisto.architect.urls=[{','.join(link.url for link in links)}]",
                f"mephisto.architect.public_url={balancer.url}",
                f"mephisto.architect.secret_file={secret_file}",
                f"mephisto.database.data_dir={data_dir}",
                f"mephisto.task.assignment_duration_in_seconds={LIMIT_SECONDS:.0f}",
                f"mephisto.blueprint.data_csv={_sentences(folder, units)}",
            ]
            async with operator_process(command, limit_seconds=LIMIT_SECONDS) as operator:
                yield Scene(data_dir, routers, links, People(balancer.url), operator)
            nursery.cancel_scope.cancel()


def _sentences(folder: Path, count: int) -> Path:
    """Write a file with as many sentences; those of the example are repeated if there are too few."""
    header, *lines = (EXAMPLE / "data" / "sentences.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    path = folder / "sentences.csv"
    path.write_text("".join([header, *islice(cycle(lines), count)]), encoding="utf-8")
    return path


async def restart(router: ServedRouter) -> None:
    """Start a router that was killed, and wait until it listens."""
    router.start()
    await trio.to_thread.run_sync(router.wait_until_ready)
