"""A simulated requester, who reviews, pays, blocks, erases, pauses, ends and extends while operators live and die."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random

import trio

from mephisto_es.core.commands.review import Verdict
from mephisto_es.core.errors import CommandRefusedError, LogError
from mephisto_es.core.lifecycles.agent import AgentRecord, AgentStatus
from mephisto_es.core.lifecycles.payment import UNPAID_STATUSES, PaymentState, PaymentStatus
from mephisto_es.core.lifecycles.task_run import ENDED_RUN_STATUSES
from mephisto_es.core.lifecycles.unit import DONE_UNIT_STATUSES, UnitState, UnitStatus
from mephisto_es.core.lifecycles.worker import WorkerStatus
from mephisto_es.core.operations.control.requests import (
    AcceptLateRequest,
    AnyRequest,
    AppealRequest,
    BlockRequest,
    BonusRequest,
    DismissAppealRequest,
    EndRequest,
    EraseRequest,
    ExtendRequest,
    LabelRequest,
    OpinionRequest,
    PauseRequest,
    PayRequest,
    ReopenRequest,
    Reply,
    RetryRequest,
    RevokeVerdictsRequest,
    SettleRequest,
    UnblockRequest,
    VerdictRequest,
    WithdrawVerdictRequest,
)
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events import streams
from mephisto_es.events.ids import TaskRunId, UnitId

from .job import JobPlan, item_of
from .office import LostError, Office, Requests
from .quality import ANSWER, CLASSES
from .site import Site, SiteAwayError

#: How soon a request is made again that was not answered.
AGAIN_SECONDS = (0.5, 20.0)
BUDGET_STEP_CENTS = 60
BONUS_CENTS = 7
PAUSE_REASON = "lunch"
AUTHORS = ("user/requester", "user/second")


class Requester:
    """A person, and what they see of the operator that lives."""

    #: Seconds between two requests.
    PAUSE_SECONDS = (2.0, 30.0)
    #: How often a label is decided, compared with other things.
    LABEL_WEIGHT = 3

    def __init__(self, chance: Random, site: Site, jobs: Mapping[JobPlan, int], job_count: int) -> None:
        """Initialize.

        Args:
            chance: chooses what is done next.
            site: looked at before a payment in doubt is settled by hand.
            jobs: the run of each job, once there is one.
            job_count: the number of jobs.
        """
        self._chance = chance
        self._site = site
        self._jobs = jobs
        self._job_count = job_count
        self._office: Office | None = None
        self._opened = trio.Event()
        self._number = 0
        #: How often a run is ended before all is done.
        self.end_share = 0.01
        self.told = Requests()
        #: Set once everything is reviewed and paid.
        self.done = trio.Event()
        #: Set, and replaced, whenever something was done.
        self.acted = trio.Event()

    def open(self, office: Office) -> None:
        """Let the requester reach an operator."""
        self._office = office
        self._opened.set()

    def close(self) -> None:
        """Take the operator away."""
        self._office = None
        self._opened = trio.Event()

    async def work(self) -> None:
        """Do one thing after another until the runs have ended; then review and pay what is left."""
        while not self._is_over(await self._state()) or await self._reopen():
            await trio.sleep(self._chance.uniform(*self.PAUSE_SECONDS))
            await self._do_something()
            self._tell()
        self._site.is_calm = True
        for run, agent in self._agents(await self._state(), AgentStatus.COMPLETED):
            await self._give_verdict(run, agent, Verdict.APPROVED)
        while unpaid := self._payments(await self._state(), UNPAID_STATUSES):
            for run in sorted({run for run, _ in unpaid}):
                await self._pay(run)
            for run, payment in self._payments(await self._state(), frozenset({PaymentStatus.IN_DOUBT})):
                await self._settle(run, payment)
            await trio.sleep(600)
        self.done.set()
        self._tell()

    def _tell(self) -> None:
        self.acted.set()
        self.acted = trio.Event()

    def _is_over(self, state: DecisionState) -> bool:
        """Return True once every job has a run, and no run is to be worked on."""
        runs = [state.task_runs.get(streams.task_run(TaskRunId(run))) for run in self._jobs.values()]
        return len(runs) == self._job_count and all(
            run is not None and run.status in ENDED_RUN_STATUSES for run in runs
        )

    # Choices --------------------------------------------------------------------------------------------------------

    async def _do_something(self) -> None:
        state = await self._state()
        if not (runs := self._runs()):
            return
        run = self._chance.choice(runs)
        choices: list[tuple[int, Callable[[DecisionState, TaskRunId], Awaitable[None]]]] = [
            (8, self._review_something),
            (5, self._pay_something),
            (2, self._settle_something),
            (3, self._raise_budget),
            (2, self._grant_bonus),
            (2, self._give_opinion),
            (2, self._take_verdict_back),
            (2, self._appeal_or_answer),
            (2, self._accept_late),
            (2, self._block_or_unblock),
            (1, self._erase),
            (1, self._pause),
            (1, self._add_item),
            (1, self._retry),
            (1, self._revoke_verdicts),
            *([(self.LABEL_WEIGHT, self._decide_label)] if self._job_of(run).quality is not None else []),
        ]
        if self._chance.random() < self.end_share:
            choices = [(1, self._end)]
        weights = [weight for weight, _ in choices]
        _, act = self._chance.choices(choices, weights)[0]
        await act(state, run)

    async def _review_something(self, state: DecisionState, _: TaskRunId) -> None:
        if agents := self._agents(state, AgentStatus.COMPLETED, AgentStatus.REJECTED, AgentStatus.SOFT_REJECTED):
            run, agent = self._chance.choice(agents)
            verdicts = [Verdict.APPROVED, Verdict.APPROVED, Verdict.SOFT_REJECTED, Verdict.REJECTED]
            await self._give_verdict(run, agent, self._chance.choice(verdicts))

    async def _give_verdict(self, run: TaskRunId, agent: AgentRecord, verdict: Verdict) -> None:
        note = "the answer is empty" if verdict is Verdict.REJECTED else None
        bonus = self._bonus() if verdict is Verdict.APPROVED else 0
        request = VerdictRequest(
            agent=agent.agent, verdict=verdict, note=note, bonus_cents=bonus, adjudicates=len(agent.opinions) > 1
        )
        # Whoever gave the first opinion does not give the second.
        author = AUTHORS[1] if agent.opinions and agent.opinions[0].reviewer == AUTHORS[0] else AUTHORS[0]
        reply = await self._ask(request, author=author)
        if reply is not None and not reply.differs:
            self.told.verdicts[run, agent.agent] = verdict

    def _bonus(self) -> int:
        return self._chance.choice([0, 0, BONUS_CENTS])

    async def _give_opinion(self, state: DecisionState, _: TaskRunId) -> None:
        if agents := self._agents(state, AgentStatus.COMPLETED):
            _, agent = self._chance.choice(agents)
            verdict = self._chance.choice([Verdict.APPROVED, Verdict.REJECTED])
            await self._ask(
                OpinionRequest(agent=agent.agent, verdict=verdict, note="unsure"), author=self._chance.choice(AUTHORS)
            )

    async def _take_verdict_back(self, state: DecisionState, _: TaskRunId) -> None:
        if agents := self._agents(state, AgentStatus.APPROVED, AgentStatus.REJECTED, AgentStatus.SOFT_REJECTED):
            run, agent = self._chance.choice(agents)
            if await self._ask(WithdrawVerdictRequest(agent=agent.agent)) is not None:
                self.told.verdicts[run, agent.agent] = None

    async def _appeal_or_answer(self, state: DecisionState, _: TaskRunId) -> None:
        if agents := self._agents(state, AgentStatus.REJECTED):
            _, agent = self._chance.choice(agents)
            if agent.appeal is None:
                await self._ask(AppealRequest(agent=agent.agent, objection="it is not empty"))
            else:
                await self._ask(DismissAppealRequest(agent=agent.agent, answer="it is"))

    async def _accept_late(self, state: DecisionState, _: TaskRunId) -> None:
        late = (AgentStatus.DISCONNECT, AgentStatus.TIMEOUT, AgentStatus.RETURNED, AgentStatus.EXPIRED)
        if agents := self._agents(state, *late):
            run, agent = self._chance.choice(agents)
            if await self._ask(AcceptLateRequest(agent=agent.agent)) is not None:
                self.told.verdicts[run, agent.agent] = Verdict.APPROVED

    async def _pay_something(self, _: DecisionState, run: TaskRunId) -> None:
        await self._pay(run)

    async def _settle_something(self, state: DecisionState, _: TaskRunId) -> None:
        if unclear := self._payments(state, frozenset({PaymentStatus.IN_DOUBT})):
            await self._settle(*self._chance.choice(unclear))

    async def _raise_budget(self, state: DecisionState, run: TaskRunId) -> None:
        limit = state.runs[run].budget.limit_cents
        if limit is not None:
            request = ExtendRequest(
                task_run=run, reason="more", changes_budget=True, budget_cents=limit + BUDGET_STEP_CENTS
            )
            await self._ask(request)

    async def _grant_bonus(self, state: DecisionState, run: TaskRunId) -> None:
        workers = [worker for worker in state.runs[run].agents_of_worker if worker not in self.told.erased]
        if workers:
            worker, cents = self._chance.choice(workers), self._chance.randint(1, 20)
            key = self._key("bonus")
            reply = await self._ask(BonusRequest(worker=worker, amount_cents=cents, reason="thanks"), key)
            if reply is not None:
                self.told.bonuses[key] = worker, cents

    async def _block_or_unblock(self, state: DecisionState, _: TaskRunId) -> None:
        if workers := [one for one in state.workers.values() if one.status is not WorkerStatus.ERASED]:
            worker = self._chance.choice(workers)
            if worker.status is WorkerStatus.BLOCKED:
                await self._ask(UnblockRequest(worker=worker.worker, reason="a mistake"))
            else:
                await self._ask(BlockRequest(worker=worker.worker, reason="noise"))

    async def _erase(self, state: DecisionState, _: TaskRunId) -> None:
        if state.workers:
            worker = self._chance.choice(list(state.workers.values())).worker
            if await self._ask(EraseRequest(worker=worker, reason="on request")) is not None:
                self.told.erased.add(worker)

    async def _pause(self, _: DecisionState, run: TaskRunId) -> None:
        await self._ask(PauseRequest(task_run=run, reason=PAUSE_REASON, drain=self._chance.random() < 0.5))

    async def _retry(self, _: DecisionState, run: TaskRunId) -> None:
        await self._ask(RetryRequest(task_run=run))

    async def _revoke_verdicts(self, _: DecisionState, run: TaskRunId) -> None:
        """Find the function of the script that was wrong about workers."""
        functions = ["validate_onboarding", "worker_can_do_unit"]
        if self._job_of(run).quality is not None:
            functions += ["on_unit_submitted", "worker_qualifies"]
        function = self._chance.choice(functions)
        await self._ask(RevokeVerdictsRequest(task_run=run, function=function, reason="it was wrong"))

    async def _decide_label(self, state: DecisionState, run: TaskRunId) -> None:
        """Decide what an item's label is, or take such a decision back."""
        done = [
            unit
            for assignment in state.runs[run].assignments
            for unit in state.units_of_assignment(run, assignment)
            if unit.status in DONE_UNIT_STATUSES
        ]
        if done:
            unit = self._chance.choice(done)
            decided = state.assignments[streams.assignment(run, unit.assignment)].label_of(ANSWER)
            takes_back = decided is not None and not decided.is_taken_back
            request = LabelRequest(
                task_run=run,
                assignment=unit.assignment,
                question=ANSWER,
                label=None if takes_back else f'"{CLASSES[0]}"',
                units=self._looked_at(unit, done),
                after=self._known(0 if decided is None else decided.decisions),
            )
            key = self._key(LabelRequest.__name__)
            if await self._ask(request, key) is not None:
                self.told.labels[key] = request.after

    def _looked_at(self, unit: UnitState, _done: Sequence[UnitState]) -> tuple[UnitId, ...]:
        """Return the units whose work a reviewer looks at before deciding on the label."""
        return (unit.unit,)

    def _known(self, decisions: int) -> int:
        """Return the number of decisions on a label that a reviewer knows."""
        return decisions

    async def _end(self, _: DecisionState, run: TaskRunId) -> None:
        self.told.ended.add(run)
        await self._ask(EndRequest(task_run=run, reason="enough", at_once=self._chance.random() < 0.5))

    async def _reopen(self) -> bool:
        """Put a run back that ended before all was done, now and then, with more money; return True if one was."""
        for run in self._runs():
            state = await self._state()
            has_lost_units = state.runs[run].units_by_status.get(UnitStatus.EXPIRED, 0) > 0
            if self._chance.random() < 0.5 and (run in self.told.ended or has_lost_units):
                await self._raise_budget(state, run)
                if await self._ask(ReopenRequest(task_run=run, reason="there is more money")) is not None:
                    self._tell()
                    return True
        return False

    async def _add_item(self, _: DecisionState, run: TaskRunId) -> None:
        job = self._job_of(run)
        if job.streams_data or run in self.told.added or run in self.told.ended:
            return
        if (
            await self._ask(ExtendRequest(task_run=run, reason="more", items=(item_of(job, job.assignments),)))
            is not None
        ):
            self.told.added[run] = self.told.added.get(run, 0) + 1

    async def _pay(self, run: TaskRunId) -> None:
        state = await self._state()
        payments = tuple(one.payment for at, one in self._payments(state, UNPAID_STATUSES) if at == run)
        await self._ask(PayRequest(task_run=run, payments=payments))

    async def _settle(self, run: TaskRunId, payment: PaymentState) -> None:
        """Look at the site's pages, and tell the operator. Nobody pays meanwhile."""
        made = self._site.paid.get((int(run), int(payment.payment), payment.amount_cents), [])
        await self._ask(SettleRequest(task_run=run, payment=payment.payment, is_paid=bool(made), reason="seen"))

    # Requests -------------------------------------------------------------------------------------------------------

    async def _ask(self, request: AnyRequest, key: str | None = None, author: str = AUTHORS[0]) -> Reply | None:
        """Make a request until it is answered; None if it was refused, or ended at the site."""
        key = key or self._key(type(request).__name__)
        while True:
            office = await self._reached()
            try:
                reply = await self._answer(office, request, key, author)
                if self._chance.random() < 0.1:
                    await self._ask_twice(request, key, reply)
            except (LostError, LogError):
                await trio.sleep(self._chance.uniform(*AGAIN_SECONDS))
            except (CommandRefusedError, SiteAwayError):
                return None
            else:
                self.told.done[type(request).__name__.removesuffix("Request")] += 1
                return reply

    async def _answer(self, office: Office, request: AnyRequest, key: str, author: str) -> Reply:
        return await office.ask(request, key, author)

    async def _ask_twice(self, request: AnyRequest, key: str, first: Reply) -> None:
        """Be a person who clicks twice: what adds something does so once."""
        if isinstance(request, BonusRequest | ExtendRequest) and self._office is not None:
            try:
                second = await self._office.ask(request, key, AUTHORS[0])
            except (LostError, LogError):
                return
            assert second.repeated, f"{request} was done twice"
            assert second.seq == first.seq

    async def _reached(self) -> Office:
        while self._office is None:
            await self._opened.wait()
        return self._office

    async def _state(self) -> DecisionState:
        return (await self._reached()).state

    def _key(self, kind: str) -> str:
        self._number += 1
        return f"{kind}-{self._number}"

    def _job_of(self, run: TaskRunId) -> JobPlan:
        return next(job for job, number in self._jobs.items() if number == run)

    def _runs(self) -> list[TaskRunId]:
        return [TaskRunId(run) for run in self._jobs.values()]

    def _agents(self, state: DecisionState, *statuses: AgentStatus) -> list[tuple[TaskRunId, AgentRecord]]:
        return [(streams.run_of(stream), agent) for stream, agent in state.agents.items() if agent.status in statuses]

    def _payments(
        self, state: DecisionState, statuses: frozenset[PaymentStatus]
    ) -> Sequence[tuple[TaskRunId, PaymentState]]:
        return [
            (streams.run_of(stream), payment)
            for stream, payment in state.payments.items()
            if payment.status in statuses
        ]
