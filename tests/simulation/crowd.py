"""Simulated people: they come, work, talk, reload, leave in the middle, and send again what was not answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import trio

from mephisto_es.adapters.architects.memory.router import (
    Json,
    MemoryPageSocket,
    PageFile,
    PageGoneError,
    UnknownPageError,
)
from mephisto_es.core.decisions.refusals import refusal_text
from mephisto_es.events.engagement import RefusalReason

from .faults import BUSY, Router, RouterAwayError
from .job import LINES, JobPlan
from .quality import ANSWER, chosen_label

#: The way from a page to its router, there or back.
WAY_SECONDS = (0.0, 0.5)
#: How soon a page asks again that got no answer.
AGAIN_SECONDS = (1.0, 15.0)
#: How soon it asks another router.
ELSEWHERE_SECONDS = (0.1, 2.0)
#: A request must get through within this time, however long operators, routers and disks were away in between.
ANSWER_SECONDS = 3600.0
#: A page without news for this long opens its socket again.
SILENCE_SECONDS = 10.0
#: How long a worker thinks.
THINK_SECONDS = (1.0, 60.0)
#: How long somebody waits who was told that there is no work.
NO_WORK_SECONDS = (20.0, 90.0)
#: How often somebody in a hurry loads a page in two tabs, or again while its submission is on its way, and how often
#: a page looks elsewhere for news.
TWO_TABS, LOADS_AGAIN, GOES_ELSEWHERE = 0.4, 0.4, 0.05
#: How often somebody in a hurry makes way for another person after one visit.
MAKES_WAY = 0.4
#: Somebody who was sent away this often does not come back; another person comes.
PATIENCE = 3

_ENDED = frozenset({"completed", "disconnect", "timeout", "returned", "expired", "approved", "rejected"})
_FOR_GOOD = (refusal_text(RefusalReason.NOT_QUALIFIED), refusal_text(RefusalReason.MAX_FOR_TASK))


class UnansweredError(AssertionError):
    """A page was left without an answer."""


@dataclass
class PageRecord:
    """Everything that pages have seen, to be compared with the log."""

    #: The agents that each registration was given, in order.
    agents: dict[str, list[str]] = field(default_factory=dict)
    #: What each page of a chat heard that was there to the end.
    heard: dict[str, list[str]] = field(default_factory=dict)
    #: The agents whose pages were closed, but not those that were told before that their work had ended.
    left: set[str] = field(default_factory=set)
    moves: int = 0
    requests: int = 0


@dataclass
class Person:
    """One worker's browser."""

    name: str
    job: JobPlan
    routers_of: Callable[[JobPlan], Sequence[Router]]
    chance: Random
    page_record: PageRecord
    #: Returns the files of a submission.
    some_files: Callable[[], Sequence[PageFile]] = tuple
    #: Chooses when somebody in a hurry does things twice, at once or elsewhere; None: nobody is in a hurry.
    haste: Random | None = None
    #: The number of the router that is asked next.
    place: int = 0
    #: Waits for whomever the person comes with, and returns who comes this time; None: they come alone.
    meet: Callable[[], Awaitable[int]] | None = None

    @property
    def router(self) -> Router:
        """The router that is asked next."""
        return self.routers_of(self.job)[self.place]

    @property
    def can_move(self) -> bool:
        """True if there are several routers."""
        return len(self.routers_of(self.job)) > 1

    def hurries(self, share: float) -> bool:
        """Return whether the next thing is done in a hurry, as it is in a share of all cases."""
        return self.haste is not None and self.haste.random() < share

    def move(self) -> None:
        """Ask another router from now on."""
        self.place = (self.place + 1) % len(self.routers_of(self.job))
        self.page_record.moves += 1

    async def work(self) -> None:
        """Come again and again until the run is over."""
        visit, refusals, persons = 0, 0, 1
        with suppress(PageGoneError):
            while True:
                if self.meet is not None:
                    persons = await self.meet()
                visit += 1
                name = f"{self.name}-{persons}"
                refused = await Visit(self, name, f"{visit}-{name}").make()
                if self.hurries(MAKES_WAY):
                    persons, refusals = persons + 1, 0
                if refused is not None:
                    refusals += 1
                    if refused in _FOR_GOOD or refusals >= PATIENCE:
                        persons, refusals = persons + 1, 0
                    await trio.sleep(self.chance.uniform(*NO_WORK_SECONDS))

    async def ask(self, request: Callable[[Router], Awaitable[Json]]) -> Json:
        """Make a request until it is answered.

        Raises:
            PageGoneError: the run is over.
            Unanswered: nobody answers.
        """
        self.page_record.requests += 1
        with trio.move_on_after(ANSWER_SECONDS):
            while True:
                with suppress(RouterAwayError):
                    await self.way()
                    answer = await self.router.reached(request)
                    await self.way()
                    return answer
                if self.can_move:
                    self.move()
                await trio.sleep(self.chance.uniform(*(ELSEWHERE_SECONDS if self.can_move else AGAIN_SECONDS)))
        raise UnansweredError(f"{self.name} got no answer in {ANSWER_SECONDS:g} s")

    async def tell(self, action: Callable[[Router], None]) -> None:
        """Make a request whose answer is only that it was taken."""

        async def request(router: Router) -> Json:
            action(router)
            return {}

        await self.ask(request)

    async def way(self) -> None:
        """Be on the way; one packet in a while does not arrive."""
        await trio.sleep(self.chance.uniform(*WAY_SECONDS))
        if self.chance.random() < 0.03:
            raise RouterAwayError("lost on the way")


class Visit:
    """One load of the page, from the request for an agent to the end of the work."""

    def __init__(self, person: Person, name: str, registration: str) -> None:
        self.person = person
        self.chance = person.chance
        self.name = name
        self.registration = registration

    async def make(self) -> str | None:
        """Do what there is to do; the reason if there was nothing."""
        details = await self._request_agent()
        if details["agent_id"] is not None and details["agent_id"].startswith("onboarding"):
            details = await self._be_onboarded(details["agent_id"])
        token: str | None = details["agent_id"]
        if token is None or token.startswith("onboarding"):
            return str(details["failure_reason"])
        return await self._be_agent(token)

    @property
    def _provider_data(self) -> Json:
        return {
            "worker_name": self.name,
            "agent_registration_id": self.registration,
            "assignment_id": "1",
            "provider_type": "simulated",
        }

    async def _request_agent(self) -> Json:
        while True:
            details = await (self._ask_twice() if self.person.hurries(TWO_TABS) else self._ask())
            if details["failure_reason"] != BUSY:
                return self._given(details)
            await trio.sleep(self.chance.uniform(*AGAIN_SECONDS))

    async def _ask(self) -> Json:
        return await self.person.ask(lambda router: router.request_agent(self._provider_data))

    async def _ask_twice(self) -> Json:
        """Load the page in two tabs; return the answer that says most."""
        answers: list[Json] = []
        over: list[PageGoneError] = []

        async def load() -> None:
            try:
                answers.append(self._given(await self._ask()))
            except PageGoneError as error:
                over.append(error)

        async with trio.open_nursery() as tabs:
            tabs.start_soon(load)
            tabs.start_soon(load)
        if over:
            raise over[0]
        return max(answers, key=lambda details: (details["agent_id"] is not None, details["failure_reason"] != BUSY))

    def _given(self, details: Json) -> Json:
        token = details["agent_id"]
        given = self.person.page_record.agents.setdefault(f"{self.person.job.name}/{self.registration}", [])
        if token is not None and token not in given:
            given.append(token)
        return details

    async def _be_onboarded(self, token: str) -> Json:
        screen = Screen(self, token)
        with suppress(UnknownPageError):
            await screen.wait_for("ready?")
            await self.person.tell(lambda router: router.send_live_update(token, {"text": "yes", "update_id": "yes"}))
            await screen.wait_for("you said yes")
            await self._think(screen)
            if self.chance.random() < 0.1:
                self._leave(screen)
                await self.person.tell(lambda router: router.disconnect(token))
                return {"agent_id": None, "failure_reason": "left the onboarding"}
            answer = {"passes": self.chance.random() < 0.8}
            details = await self.person.ask(lambda router: router.submit_onboarding(token, answer))
            if details["failure_reason"] != BUSY:
                return self._given(details)
        self._leave(screen)
        return await self._request_agent()

    async def _be_agent(self, token: str) -> str | None:
        screen = Screen(self, token)
        with suppress(UnknownPageError):
            match self.chance.randrange(12):
                case 0:
                    await self._think(screen)
                    self._leave(screen)
                    await self.person.tell(lambda router: router.disconnect(token))
                    return None
                case 1:
                    await self._think(screen)
                    await self.person.tell(lambda router: router.return_task(token))
                    return None
                case 2:
                    self._leave(screen)
                    return None  # just walks away, and says nothing
                case 3:
                    await self._request_agent()  # a reload
                case _:
                    pass
            if self.person.job.is_chat:
                if not await self._talk(screen):
                    screen.close()
                    return None
            else:
                await self._think(screen)
            if self.person.hurries(LOADS_AGAIN):
                await self._submit_and_load(token)
            else:
                await self._submit(token)
            if self.chance.random() < 0.1:
                await self._submit(token)  # a double click
            if self.chance.random() < 0.1:
                await self._request_agent()
            return None
        self._leave(screen)
        return None

    async def _think(self, screen: Screen) -> None:
        """Take a while; with several routers, the page is open meanwhile and may move."""
        with trio.move_on_after(self.chance.uniform(*THINK_SECONDS)):
            while self.person.can_move:
                await screen.look()
            await trio.sleep_forever()

    def _leave(self, screen: Screen) -> None:
        """Close the page."""
        self.person.page_record.left.add(screen.token)
        screen.close()

    async def _talk(self, screen: Screen) -> bool:
        """Talk with the partner; whether there is something to hand in at the end."""
        said, ended = 0, False
        while not ended:
            await screen.look()
            if screen.status in _ENDED:
                return False
            ended = screen.is_done or screen.status == "partner disconnect"
            while screen.status == "in task" and said < LINES:
                said += 1
                line: Json = {"text": f"{self.registration}: {said}", "update_id": f"{self.registration}-{said}"}
                await trio.sleep(self.chance.uniform(0, 2))
                await self.person.tell(lambda router, line=line: router.send_live_update(screen.token, line))  # type: ignore[misc]  # mypy does not see the type of a lambda's default
        if screen.is_done:
            self.person.page_record.heard[screen.token] = screen.heard
        return True

    async def _submit(self, token: str) -> None:
        work, files = self._work(), self.person.some_files()
        await self.person.tell(lambda router: router.submit_task(token, work, files))

    async def _submit_and_load(self, token: str) -> None:
        """Submit, and load the page again at once: it shows that the work has arrived."""
        work, files = self._work(), self.person.some_files()

        async def request(router: Router) -> Json:
            router.submit_task(token, work, files)
            return await router.request_agent(self._provider_data)

        details = await self.person.ask(request)
        if details["agent_id"] == token:
            status = details["status"]
            assert status not in {"in task", "partner disconnect"}, f"{token} submitted, and its page says {status}"

    def _work(self) -> Json:
        work: Json = {"by": self.registration, "click": self.chance.getrandbits(32)}
        if self.person.job.quality is not None:
            work[ANSWER] = chosen_label(self.chance)
        return work


class Screen:
    """The content of a page. It holds a socket, and opens it again when it is lost."""

    def __init__(self, visit: Visit, token: str) -> None:
        self.token = token
        self.status = ""
        self.heard: list[str] = []
        self.is_done = False
        self._person = visit.person
        self._socket: MemoryPageSocket | None = None
        self._router: Router | None = None
        self._seen: set[str] = set()

    async def look(self) -> None:
        """Take the next packet, or find out that the socket is dead."""
        if self._person.can_move and self._person.hurries(GOES_ELSEWHERE):
            self._person.move()
            await self._person.tell(self._connect)
        if self._socket is None or self._person.chance.random() < 0.03:
            await self._person.tell(self._connect)
        assert self._socket is not None
        with trio.move_on_after(SILENCE_SECONDS) as silence:
            self._take(await self._socket.receive())
        if silence.cancelled_caught:
            self._socket = None

    async def wait_for(self, text: str) -> None:
        """Wait until something was said, or there is nothing more to wait for."""
        while text not in self.heard and self.status not in _ENDED:
            await self.look()

    def close(self) -> None:
        """Close the socket, if there is one."""
        if self._router is not None and self._person.can_move:
            self._router.leave(self.token)
        self._router = self._socket = None

    def _connect(self, router: Router) -> None:
        if self._router is not router:
            self.close()
        router.hang_up(self.token)
        self._socket = router.connect(self.token)
        self._router = router

    def _take(self, packet: Mapping[str, Json]) -> None:
        data = packet["data"]
        if "status" in data:
            self.status = data["status"]
        elif data["update_id"] not in self._seen:
            self._seen.add(data["update_id"])
            if "text" in data:
                self.heard.append(data["text"])
            self.is_done = self.is_done or "task_data" in data
