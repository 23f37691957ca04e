"""The operator as people reach it, and what it told them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import trio

from mephisto_es.core.commands.review import Verdict
from mephisto_es.core.errors import MephistoError
from mephisto_es.core.operations.control.executor import RequestExecutor
from mephisto_es.core.operations.control.requests import AnyRequest, Reply
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events.ids import TaskRunId, WorkerId

from .site import SiteAwayError


class LostError(Exception):
    """The operator died before it answered; nobody knows if it did what was asked."""


@dataclass(frozen=True)
class Office:
    """The operator that lives now, as far as people can reach it."""

    executor: RequestExecutor
    state: DecisionState
    nursery: trio.Nursery

    async def ask(self, request: AnyRequest, key: str, author: str) -> Reply:
        """Make a request of the operator's process.

        Raises:
            LostError: the process ended first.
            MephistoError: it was refused.
            SiteAwayError: the site was, and what became of the request shows later.
        """
        answered = trio.Event()
        outcome: list[Reply | Exception] = []

        async def execute() -> None:
            try:
                outcome.append(await self.executor.execute(request, author, key))
            except (MephistoError, SiteAwayError) as error:
                outcome.append(error)
            finally:
                answered.set()

        self.nursery.start_soon(execute)
        await answered.wait()
        if not outcome:
            raise LostError
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return outcome[0]


@dataclass
class Requests:
    """Everything that the requester was told had been done, to be compared with the log."""

    #: The last verdict on each agent; None: it was taken back.
    verdicts: dict[tuple[int, int], Verdict | None] = field(default_factory=dict)
    #: Bonuses by key: worker and cents.
    bonuses: dict[str, tuple[WorkerId, int]] = field(default_factory=dict)
    erased: set[WorkerId] = field(default_factory=set)
    #: Labels that were decided, by key: the number of decisions that the reviewer knew.
    labels: dict[str, int] = field(default_factory=dict)
    #: Items that were added to each run.
    added: dict[TaskRunId, int] = field(default_factory=dict)
    #: Runs that were to end before all was done.
    ended: set[TaskRunId] = field(default_factory=set)
    #: Those of them that may have ended where there is no script that could be told of work.
    unscripted: set[TaskRunId] = field(default_factory=set)
    #: How often each kind of request was made and not refused.
    done: Counter[str] = field(default_factory=Counter)
