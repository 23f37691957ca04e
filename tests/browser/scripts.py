"""Scripts for a scripted operator: a static task, and a chat for two."""

import itertools
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

Data = dict[str, object]

NOT_QUALIFIED = "You are not currently qualified to work on this task..."
CONSENT_MISSING = "This task needs your consent."
NO_WORK = "There is currently no available work, please try again later..."


@dataclass
class Visit:
    """One worker at one piece of work."""

    token: str
    worker: str
    init_data: Data
    status: str
    #: Which of the worker's units it is, for the page.
    progress: Data | None = None
    #: Seconds until its time is up, and the token of the worker's own page.
    seconds_left: int | None = None
    worker_page: str | None = None
    #: The provider's code for whoever is done.
    completion_code: str | None = None
    #: Whether there are receipts of submitted work.
    offers_receipts: bool = False
    #: Whether it was submitted after its time was up.
    is_late: bool = False


class Send(NamedTuple):
    """A packet for a page."""

    packet_type: str
    token: str
    data: Data


class Script:
    """A task without a life of its own; the scripts below say what is different."""

    def admit(self, worker: str) -> Visit | str:
        """Return a new visitor's work, or the reason for having none."""
        raise NotImplementedError

    def consented(self, worker: str, answer: Data) -> None:
        """React to an answer to the question for consent."""

    def receipt(self, token: str, agent: str) -> Data | None:
        """Return a receipt of an agent's work, for the worker whose own page has a token."""
        return None

    def arrived(self, visit: Visit) -> Iterable[Send]:
        """React after a new visitor got an answer."""
        return ()

    def onboarded(self, visit: Visit, data: object) -> Visit | str:
        """React to a submitted onboarding."""
        raise NotImplementedError

    def heard(self, visit: Visit, update: Data) -> Iterable[Send]:
        """React to a page's live update."""
        return ()

    def left(self, visit: Visit) -> Iterable[Send]:
        """React to a closed page."""
        return ()

    def worker_page(self, token: str) -> Data | None:
        """Return what a worker's own page shows."""
        return None

    def consent_withdrawn(self, token: str, run: int) -> None:
        """React to a worker who withdraws the consent to a run on their own page."""

    def appealed(self, visit: Visit, text: str) -> None:
        """React to an objection."""


def new_token() -> str:
    """Return an agent's id on the wire."""
    return secrets.token_hex(16)


class StaticScript(Script):
    """Gives each worker the next item, after an onboarding if there is one."""

    def __init__(self, items: Iterable[Data], onboarding: Data | None = None, progress: Data | None = None) -> None:
        self._items: Iterator[Data] = iter(items)
        self._onboarding = onboarding
        self._progress = progress

    def admit(self, worker: str) -> Visit | str:
        if self._onboarding is not None:
            return Visit(f"onboarding_{new_token()}", worker, self._onboarding, "onboarding")
        return self._give_item(worker)

    def onboarded(self, visit: Visit, data: object) -> Visit | str:
        if not isinstance(data, dict) or data.get("success") is not True:
            return NOT_QUALIFIED
        return self._give_item(visit.worker)

    def _give_item(self, worker: str) -> Visit | str:
        item = next(self._items, None)
        return NO_WORK if item is None else Visit(new_token(), worker, item, "accepted", self._progress)


@dataclass
class _Speaker:
    visit: Visit
    name: str
    #: What went to and fro, for a page that is loaded again.
    updates: list[Data] = field(default_factory=list)


class ChatScript(Script):
    """Two workers write to each other; after some messages it is enough."""

    def __init__(self, topic: str, messages: int) -> None:
        self._topic = topic
        self._messages_left = messages
        self._speakers: dict[str, _Speaker] = {}
        self._ids = itertools.count(1)

    def admit(self, worker: str) -> Visit | str:
        if len(self._speakers) == 2:
            return NO_WORK
        updates: list[Data] = []
        init_data: Data = {"task_data": {}, "past_live_updates": updates}
        visit = Visit(new_token(), worker, init_data, "waiting")
        name = f"Speaker {len(self._speakers) + 1}"
        self._speakers[visit.token] = _Speaker(visit, name, updates)
        return visit

    def arrived(self, visit: Visit) -> Iterable[Send]:
        if len(self._speakers) == 1:
            yield Send("update_status", visit.token, {"status": "waiting"})
            return
        for token, speaker in self._speakers.items():
            yield Send("update_status", token, {"status": "in task"})
            news = {"agent_display_name": speaker.name, "topic": self._topic}
            yield self._observe(speaker, {"task_data": news})

    def heard(self, visit: Visit, update: Data) -> Iterable[Send]:
        speaker = self._speakers[visit.token]
        speaker.updates.append(update)
        for other in self._others(visit):
            yield self._observe(other, {"text": update["text"], "id": speaker.name})
        self._messages_left -= 1
        if self._messages_left == 0:
            for each in self._speakers.values():
                yield self._observe(each, {"task_data": {"task_done": True}})

    def left(self, visit: Visit) -> Iterable[Send]:
        for other in self._others(visit):
            if other.visit.status == "in task":
                yield Send("update_status", other.visit.token, {"status": "partner disconnect"})

    def _others(self, visit: Visit) -> list[_Speaker]:
        return [each for each in self._speakers.values() if each.visit is not visit]

    def _observe(self, speaker: _Speaker, update: Data) -> Send:
        numbered = {**update, "update_id": f"update-{next(self._ids)}"}
        speaker.updates.append(numbered)
        return Send("client_bound_live_update", speaker.visit.token, numbered)


class OnboardedChatScript(ChatScript):
    """The same after a live onboarding, which is over when the worker has written something."""

    def admit(self, worker: str) -> Visit | str:
        return Visit(f"onboarding_{new_token()}", worker, {}, "onboarding")

    def arrived(self, visit: Visit) -> Iterable[Send]:
        if visit.status == "onboarding":
            return [Send("update_status", visit.token, {"status": "onboarding"})]
        return super().arrived(visit)

    def heard(self, visit: Visit, update: Data) -> Iterable[Send]:
        if visit.status == "onboarding":
            return [Send("update_status", visit.token, {"status": "waiting"})]
        return super().heard(visit, update)

    def onboarded(self, visit: Visit, data: object) -> Visit | str:
        return super().admit(visit.worker)


class EchoScript(Script):
    """A task whose procedures give back what they are called with; `refuse` always fails."""

    def admit(self, worker: str) -> Visit | str:
        return Visit(new_token(), worker, {"task_data": {}, "previous_requests": []}, "in task")

    def heard(self, visit: Visit, update: Data) -> Iterable[Send]:
        answer: Data = {"handles": update["request_id"], "update_id": new_token()}
        if update["target"] == "refuse":
            answer |= {"response": None, "error": "this procedure always refuses"}
        else:
            answer |= {"response": update["args"]}
        yield Send("client_bound_live_update", visit.token, answer)
