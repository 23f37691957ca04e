"""Haste: everything that a person in a hurry, a busy machine and a program with mistakes add to a simulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from random import Random

import trio

from mephisto_es.core.commands.base import CommandRequest
from mephisto_es.core.errors import CommandRefusedError, IllegalStepError, LogError, StaleCommandError, leaves
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.lifecycles.unit import UnitState
from mephisto_es.core.operations.control.requests import (
    AnyRequest,
    BlockRequest,
    BonusRequest,
    EndRequest,
    ExtendRequest,
    LabelRequest,
    Reply,
    VerdictRequest,
)
from mephisto_es.core.ports import Expect, NewEvent
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.core.state.label_model import StopRule
from mephisto_es.events import streams
from mephisto_es.events.ids import QualificationId, TaskRunId, UnitId
from mephisto_es.events.records import QualificationCreated

from ..commands import CHECKED_DECISIONS, TEST_DECISIONS, AppendEvents
from .faults import PowerCutError
from .job import Environment, JobPlan
from .office import LostError, Office
from .requester import Requester
from .site import HASTY_PROVIDER_TYPES, Site, SiteAwayError

#: Connections that are lost for a moment, and how often.
FLICKERS = 40
FLICKER_SECONDS = 8.0
#: How long the network between the operator and all routers is down.
OUTAGE_SECONDS = (0.5, 20.0)
#: Seconds between two commands of the program with mistakes.
PROGRAM_SECONDS = (5.0, 40.0)
#: Longer than anybody waits for the next submission in order to end a run just then.
SUBMISSION_SECONDS = 60.0
#: How often a request is made a second time before the first is answered.
AT_ONCE = 0.5
#: Requests that do something each time that they are executed.
REPEATED = (BlockRequest, BonusRequest, ExtendRequest, LabelRequest, VerdictRequest)
#: How often runs are ended before all is done.
RARELY, OFTEN = 0.005, 0.06
#: When an item gets no more answers, if its job has no rule of its own.
LABEL_RULE = StopRule(0.95, 1, 4)
#: A bonus that no money is reserved for.
LARGE_BONUS_CENTS = 25
#: A unit and its highest bonus cost 28 cents with these fees, each rounded up: money for a unit and nearly a second
#: one, and for two and nearly a third one.
TIGHT_BUDGETS_CENTS = (None, 55, 83)
FEE_PERCENT = 33
#: How often routers look for pages that have left.
SOON_SECONDS = 0.5
#: How long the script thinks about a submission, where the disk is quick.
SCRIPT_SECONDS = 3.0
#: One of so many answers of the site is lost.
SITE_ANSWERS = 3
#: Qualifications of the program with mistakes, which nobody else has.
FIRST_QUALIFICATION = 1_000_000

HASTY_DECISIONS = {**TEST_DECISIONS, **CHECKED_DECISIONS}


def with_tight_budget(job: JobPlan, chance: Random) -> JobPlan:
    """Return a job whose budget covers a little less than a whole number of units."""
    return replace(
        job,
        provider_type=chance.choice(HASTY_PROVIDER_TYPES),
        budget_cents=chance.choice(TIGHT_BUDGETS_CENTS),
        fee_percent=FEE_PERCENT,
    )


def with_labels(job: JobPlan) -> JobPlan:
    """Return a job about quality whose items get answers until their labels are sure."""
    assert job.quality is not None
    quality = replace(job.quality, rule=job.quality.rule or LABEL_RULE)
    return replace(job, is_chat=False, assignments=2, quality=quality)


class HastyRequester(Requester):
    """Asks twice at once, decides on what was so a while ago, and ends runs at bad moments."""

    PAUSE_SECONDS = (1.0, 12.0)
    LABEL_WEIGHT = 12

    def __init__(
        self,
        chance: Random,
        site: Site,
        jobs: Mapping[JobPlan, int],
        job_count: int,
        submission: Callable[[], trio.Event],
        *,
        lets_work_end: bool,
    ) -> None:
        """Initialize.

        Args:
            chance: chooses what is done next.
            site: as for every requester.
            jobs: as for every requester.
            job_count: as for every requester.
            submission: returns what is set when the script is asked about the next submission.
            lets_work_end: True to end runs rarely.
        """
        super().__init__(chance, site, jobs, job_count)
        self.end_share = RARELY if lets_work_end else OFTEN
        self._submission = submission

    def _bonus(self) -> int:
        return self._chance.choice([0, LARGE_BONUS_CENTS])

    def _looked_at(self, unit: UnitState, done: Sequence[UnitState]) -> tuple[UnitId, ...]:
        """Return the unit, and now and then another one, which may be work on something else."""
        others = [self._chance.choice(done).unit] if self._chance.random() < 0.3 else []
        return tuple({unit.unit, *others})

    def _known(self, decisions: int) -> int:
        """Return the number of decisions, or the one that a page showed which was not loaded again."""
        return max(0, decisions - self._chance.choice([0, 0, 1]))

    async def _answer(self, office: Office, request: AnyRequest, key: str, author: str) -> Reply:
        """Ask, or ask twice at once: that does what was asked once."""
        if not isinstance(request, REPEATED) or self._chance.random() >= AT_ONCE:
            return await super()._answer(office, request, key, author)
        replies: list[Reply] = []
        errors: list[Exception] = []

        async def ask() -> None:
            try:
                replies.append(await office.ask(request, key, author))
            except (LostError, LogError, CommandRefusedError, SiteAwayError) as error:
                errors.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
        if not replies:
            raise errors[0]
        assert len({reply.seq for reply in replies}) == 1, f"{request} was done twice"
        return replies[0]

    async def _end(self, _: DecisionState, run: TaskRunId) -> None:
        """End a run just when something was submitted: at once, or at once after all."""
        self.told.ended.add(run)
        with trio.move_on_after(SUBMISSION_SECONDS):
            await self._submission().wait()
        at_once = EndRequest(task_run=run, reason="enough", at_once=True)
        if self._chance.random() < 0.7:
            await self._ask(at_once)
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ask, EndRequest(task_run=run, reason="enough", at_once=False))
            await trio.sleep(self._chance.uniform(0, 20))
            nursery.start_soon(self._ask, at_once)


async def write_wrongly(ledger: Ledger, chance: Random) -> None:
    """Be a program that writes to the log, and is wrong: nothing of its commands happens."""
    for number in count():
        await trio.sleep(chance.uniform(*PROGRAM_SECONDS))
        if not ledger.state.versions:
            continue
        qualification = QualificationId(FIRST_QUALIFICATION + number)
        stream = streams.qualification(qualification)
        created = NewEvent(stream, QualificationCreated(qualification=qualification, name=f"wrong-{number}"))
        is_half = chance.random() < 0.5
        request = CommandRequest(
            id=f"wrong/{chance.getrandbits(64):x}",
            actor="program",
            # The second event is illegal, or the command is meant for an empty log.
            command=AppendEvents(events=(created, created) if is_half else (created,)),
            expected={} if is_half else {next(iter(ledger.state.versions)): Expect.NONE},
        )
        try:
            await ledger.execute(request)
        except (IllegalStepError, StaleCommandError):
            continue
        raise AssertionError(f"{'half a command' if is_half else 'a command on a state that has changed'} was executed")


async def flicker(environment: Environment, chance: Random) -> None:
    """Lose one connection after another for a moment, or all of them until the network is back."""
    for _ in range(FLICKERS):
        await trio.sleep(chance.expovariate(1 / FLICKER_SECONDS))
        if not environment.channels:
            continue
        if chance.random() < 0.5:
            chance.choice(environment.channels).cut()
            continue
        seconds = chance.uniform(*OUTAGE_SECONDS)
        for channel in environment.channels:
            channel.cut(seconds)


def check_stopped(group: BaseExceptionGroup[PowerCutError | LogError]) -> None:
    """Check that an operator stopped for a fault of its disk or process, and not because log and state differ."""
    for error in leaves(group):
        assert "the log refused" not in str(error), f"an operator stopped: {error}"
