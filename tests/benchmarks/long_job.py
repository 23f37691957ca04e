"""A log as a long job leaves it: workers take units, give some back, hand the others in, and are to be paid.

Made through the project's own decisions, so that every step is one that an operator could have taken.
Usage: long_job.py LOG EVENTS.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from random import Random

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.commands.admission import Applicant, AssignUnit
from mephisto_es.core.commands.agent import ReturnUnit, SubmitUnit
from mephisto_es.core.commands.base import Command
from mephisto_es.core.commands.review import ReviewWork, Verdict
from mephisto_es.core.commands.task_run import AssignmentPlan, CreateAssignments, LaunchUnits, UnitPlan
from mephisto_es.core.decisions.registry import DECISIONS
from mephisto_es.core.payloads import seal
from mephisto_es.core.ports import AppendRequest, NewEvent, Payload
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events import ids, streams
from mephisto_es.events.base import PayloadRef
from mephisto_es.events.records import RequesterRegistered, TaskRegistered
from mephisto_es.events.task_run import TaskRunCreated, TaskRunDeployed, TaskRunPrepared, TaskRunWentLive
from mephisto_es.events.worker import WorkerRegistered
from mephisto_es.projections.registry import PROJECTIONS

RUN = ids.TaskRunId(1)
WORKERS = 500
PAY_CENTS = 25
BUDGET_CENTS = 10_000_000
#: Units that are created and put on offer together.
BATCH_UNITS = 500
#: 2026-01-31, 14:00 UTC, in microseconds.
_BEGINNING = 1_769_868_000_000_000
_SHARE_GIVEN_BACK = 0.1
_VERDICTS = (Verdict.APPROVED, Verdict.APPROVED, Verdict.APPROVED, Verdict.SOFT_REJECTED, Verdict.REJECTED)


def make(path: str, count: int) -> None:
    """Write a log of at least so many events about one run, with its views."""
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        job = _Job(log)
        job.open()
        while log.head().seq < count:
            job.offer_more()


class _Job:
    """Writes what happens; a batch of units is one commit."""

    def __init__(self, log: SqliteLog) -> None:
        self._log = log
        self._market = DecisionState()
        self._chance = Random(7)
        self._at = _BEGINNING
        self._numbers = 0
        self._requests: list[AppendRequest] = []
        self._payloads: list[Payload] = []

    def open(self) -> None:
        """A live run, and everybody who will work in it."""
        task, requester = ids.TaskId(1), ids.RequesterId(1)
        created = TaskRunCreated(
            task_run=RUN,
            task=task,
            requester=requester,
            blueprint_type="static_task",
            architect_type="local",
            provider_type="mock",
            config="{}",
            budget_cents=BUDGET_CENTS,
        )
        registered = TaskRegistered(task=task, name="a long job", task_type="static_task")
        asking = RequesterRegistered(requester=requester, name="the lab", provider_type="mock")
        self._add([NewEvent(streams.task(task), registered), NewEvent(streams.requester(requester), asking)])
        for event in (created, TaskRunPrepared(), TaskRunDeployed(url="http://localhost:3000"), TaskRunWentLive()):
            self._add([NewEvent(streams.task_run(RUN), event)])
        for number in range(1, WORKERS + 1):
            worker = ids.WorkerId(number)
            name = self._sealed(f"worker {number}", worker)
            known = WorkerRegistered(worker=worker, provider_type="mock", name=name, identity=f"identity {number}")
            self._add([NewEvent(streams.worker(worker), known)])
        self._commit()

    def offer_more(self) -> None:
        """Put a batch of units on offer, have them all done, and review what was handed in."""
        plans = tuple(self._plan(self._next()) for _ in range(BATCH_UNITS))
        self._execute(CreateAssignments(task_run=RUN, assignments=plans))
        self._execute(LaunchUnits(task_run=RUN, units=tuple(plan.units[0].unit for plan in plans)))
        while self._market.runs[RUN].offered:
            self._visit(ids.WorkerId(self._chance.randint(1, WORKERS)))
        self._visit(ids.WorkerId(self._chance.randint(1, WORKERS)))  # for whom nothing is left
        self._commit()

    def _visit(self, worker: ids.WorkerId) -> None:
        number = self._next()
        agent = ids.AgentId(number)
        applicant = Applicant(worker, f"token {number}", f"registration {number}")
        visitor = f"worker/{worker}"
        self._execute(AssignUnit(task_run=RUN, applicant=applicant, agent=agent, concurrent=False), visitor)
        if self._market.agents.get(streams.agent(RUN, agent)) is None:
            return
        if self._chance.random() < _SHARE_GIVEN_BACK:
            self._execute(ReturnUnit(task_run=RUN, agent=agent, concurrent=False), visitor)
            return
        submission = self._sealed(f'{{"rating": {number % 5}}}', worker)
        self._execute(SubmitUnit(task_run=RUN, agent=agent, submission=submission), visitor)
        verdict, payments = self._chance.choice(_VERDICTS), (ids.PaymentId(number), ids.PaymentId(number + 1))
        review = ReviewWork(
            task_run=RUN, agent=agent, verdict=verdict, pay_payment=payments[0], bonus_payment=payments[1]
        )
        self._execute(review, "reviewer")

    def _execute(self, command: Command, actor: str = "operator") -> None:
        self._add(DECISIONS[type(command)](self._market, command), actor)

    def _plan(self, number: int) -> AssignmentPlan:
        data = self._sealed(f'{{"shared": {{"id": {number}}}, "unit_data": [{{}}]}}')
        return AssignmentPlan(ids.AssignmentId(number), number, data, (UnitPlan(ids.UnitId(number), 0, PAY_CENTS),))

    def _next(self) -> int:
        """A number that nothing has yet; the next one is left free for a bonus."""
        self._numbers += 2
        return self._numbers

    def _add(self, events: Sequence[NewEvent], actor: str = "operator") -> None:
        for stream, event in events:
            self._market.evolve(stream, event)
        payloads, self._payloads = tuple(self._payloads), []
        command = f"{len(self._requests):04x}-{self._log.head().seq:x}"
        self._requests.append(
            AppendRequest(command=command, actor=actor, at=self._at, events=tuple(events), payloads=payloads)
        )
        self._at += self._chance.randrange(1, 1_000_000)

    def _sealed(self, text: str, worker: ids.WorkerId | None = None) -> PayloadRef:
        salt = self._next().to_bytes(16, "big")
        payload = seal(text.encode(), salt, worker)
        self._payloads.append(payload)
        return payload.ref

    def _commit(self) -> None:
        self._log.commit(self._requests)
        self._requests.clear()


if __name__ == "__main__":
    make(sys.argv[1], int(sys.argv[2]))
