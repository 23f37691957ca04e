"""A sample log: workers rate sentences in a run that is still live at the end, always the same.

For tests that show a log to people. `tests.histories` is for tests that want all that may happen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from mephisto_es.core.commands.admission import Applicant, AssignUnit, RecordEvaluation, RequiredEvaluation
from mephisto_es.core.commands.agent import ReturnUnit, SubmitUnit
from mephisto_es.core.commands.base import Command
from mephisto_es.core.commands.task_run import (
    AssignmentPlan,
    CreateAssignments,
    LaunchUnits,
    RecordCallbackFailure,
    UnitPlan,
)
from mephisto_es.core.decisions.registry import DECISIONS
from mephisto_es.core.payloads import seal
from mephisto_es.core.ports import AppendRequest, NewEvent, Payload
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events import ids, streams
from mephisto_es.events.base import PayloadRef
from mephisto_es.events.records import RequesterRegistered, TaskRegistered
from mephisto_es.events.resource import ResourceAcquired, ResourceIntended
from mephisto_es.events.task_run import (
    CallbackFailed,
    TaskRunCreated,
    TaskRunDeployed,
    TaskRunPrepared,
    TaskRunWentLive,
)
from mephisto_es.events.worker import WorkerRegistered

#: 2026-01-31, 14:00 UTC, in microseconds.
TWO_O_CLOCK = 1_769_868_000_000_000
RUN = ids.TaskRunId(1)
UNITS = 40
WORKERS = 6
#: Units that are handed in; one more is at work in the end.
DONE = 30
PAY_CENTS = 25
_MINUTE = 60_000_000
_SENTENCES = ("The ferry does not run on Sundays.", "Bees return to the same clover.", "Somebody left the light on.")
_ITEMS: Sequence[dict[str, object]] = [
    {"id": number, "sentence": _SENTENCES[number % 3]} for number in range(1, UNITS + 1)
]


def sample_history() -> tuple[AppendRequest, ...]:
    """The requests that make the log, in order; the last ones are submissions."""
    day = _Day()
    day.open()
    day.put_on_offer()
    for number in range(DONE + 1):
        worker = ids.WorkerId(number % WORKERS + 1)
        agent = day.take(worker)
        if number == 4:
            day.give_back(agent)
            agent = day.take(worker)
        if number < DONE:
            rating = number % 5 + 1
            day.submit(worker, agent, {"rating": rating, "comment": "a <b>good</b> one" if rating == 5 else None})
    return tuple(day.requests)


def picture_history(media_dir: str, count: int) -> tuple[AppendRequest, ...]:
    """Return the requests of a run in which two workers in turns have labelled pictures, two units an assignment.

    Args:
        media_dir: the folder with the pictures `img/0.svg`, `img/1.svg` and so on.
        count: number of pictures.
    """
    form = [{"name": "label", "type": "text", "label": "What is in the picture?"}]
    day = _Day()
    day.open({"blueprint": {"form": form, "show": [{"name": "picture", "as": "image"}], "media_dir": media_dir}})
    day.put_on_offer([{"id": number + 1, "picture": f"img/{number}.svg"} for number in range(count)], judgments=2)
    for number in range(2 * count):
        worker = ids.WorkerId(number % 2 + 1)
        day.submit(worker, day.take(worker), {"label": ("cat", "dog")[number % 3 == 0]})
    return tuple(day.requests)


def offered_history(units: int, workers: int) -> tuple[AppendRequest, ...]:
    """A run in which everything is on offer."""
    day = _Day()
    day.open(workers=workers)
    day.put_on_offer([{"id": number, "sentence": _SENTENCES[number % 3]} for number in range(1, units + 1)])
    return tuple(day.requests)


def judged_history(
    items: int,
    judgments: int,
    workers: int,
    answer: Callable[[int, int], dict[str, object]],
    *,
    golds: Mapping[int, bool] | None = None,
    shared: Callable[[int], dict[str, object]] = lambda item: {},
    config: dict[str, object] | None = None,
) -> tuple[AppendRequest, ...]:
    """Return the requests of a run in which workers in turns have judged items.

    Args:
        items: number of items.
        judgments: workers for each item.
        workers: number of workers, at least `judgments`.
        answer: returns what a worker submits for an item; both are numbered from 1.
        shared: returns what is in the data of an item beside its `id`.
        golds: workers who do a gold unit first, with whether they are right.
        config: the configuration of the run.
    """
    day = _Day()
    day.open(config, workers)
    day.put_on_offer([{"id": number, **shared(number)} for number in range(1, items + 1)], judgments)
    for number, (worker, is_right) in enumerate((golds or {}).items(), start=1):
        day.do_gold(ids.WorkerId(worker), 1_000_000 + number, is_right=is_right)
    for number in range(items * judgments):
        worker_id = ids.WorkerId(number % workers + 1)
        day.submit(worker_id, day.take(worker_id), answer(worker_id, number // judgments + 1))
    return tuple(day.requests)


def one_piece_of_work(
    blueprint: Mapping[str, object], item: Mapping[str, object], answer: Mapping[str, object]
) -> tuple[AppendRequest, ...]:
    """Return the requests of a run with one item, and one answer to it that nobody has reviewed."""
    day = _Day()
    day.open({"blueprint": blueprint, "task": {"task_title": "Birds"}})
    day.put_on_offer([dict(item)])
    worker = ids.WorkerId(1)
    day.submit(worker, day.take(worker), dict(answer))
    return tuple(day.requests)


def submitted_history(units: int, workers: int) -> tuple[AppendRequest, ...]:
    """A run in which everything is submitted, and nothing is reviewed."""
    day = _Day()
    day.open(workers=workers)
    day.put_on_offer([{"id": number, "sentence": _SENTENCES[number % 3]} for number in range(1, units + 1)])
    for number in range(units):
        worker = ids.WorkerId(number % workers + 1)
        day.submit(worker, day.take(worker), {"rating": number % 5 + 1})
    return tuple(day.requests)


def failing_history() -> tuple[AppendRequest, ...]:
    """The same log, with a function of the task's code that has failed three times in the end."""
    day = _Day()
    day.requests.extend(sample_history())
    state = DecisionState()
    for request in day.requests:
        for stream, event in request.events:
            state.evolve(stream, event)
    day.continue_from(state, day.requests[-1].at)
    for number in range(1, 4):
        day.fail(ids.WorkerId(number))
    return tuple(day.requests)


class _Day:
    """Writes what happens, minute by minute, through the project's own decisions."""

    def __init__(self) -> None:
        self.requests: list[AppendRequest] = []
        self._market = DecisionState()
        self._at = TWO_O_CLOCK
        self._agents = 0
        self._payloads: list[Payload] = []

    def open(self, config: dict[str, object] | None = None, workers: int = WORKERS) -> None:
        """A live run, and everybody who will work in it."""
        task, requester = ids.TaskId(1), ids.RequesterId(1)
        registered = TaskRegistered(task=task, name="sentence rating", task_type="static_task")
        asking = RequesterRegistered(requester=requester, name="the lab", provider_type="mock")
        self._add([NewEvent(streams.task(task), registered), NewEvent(streams.requester(requester), asking)])
        created = TaskRunCreated(
            task_run=RUN,
            task=task,
            requester=requester,
            blueprint_type="static_task",
            architect_type="local",
            provider_type="mock",
            config=msgspec.json.encode(config or {}).decode(),
        )
        url = "http://localhost:3000"
        for event in (created, TaskRunPrepared(), TaskRunDeployed(url=url), TaskRunWentLive()):
            self._add([NewEvent(streams.task_run(RUN), event)])
        server = streams.resource(RUN, 1)
        self._add([NewEvent(server, ResourceIntended(resource_type="local_router", details={"port": 3000}))])
        self._add([NewEvent(server, ResourceAcquired(details={"port": 3000}))])
        for number in range(1, workers + 1):
            worker = ids.WorkerId(number)
            name = self._sealed(f"Zoë {number}", worker)
            known = WorkerRegistered(worker=worker, provider_type="mock", name=name, identity=f"identity {number}")
            self._add([NewEvent(streams.worker(worker), known)], actor=f"worker/{number}")

    def continue_from(self, state: DecisionState, at: int) -> None:
        """Go on after a history."""
        self._market, self._at = state, at + _MINUTE

    def fail(self, worker: ids.WorkerId) -> None:
        """The code that says whether a worker may have a unit fails."""
        failed = CallbackFailed(
            function="worker_can_do_unit",
            error="raised KeyError",
            location="run_task.py:31",
            message=self._sealed(f"KeyError: 'Zoë {worker}'", worker),
            worker=worker,
        )
        self._execute(RecordCallbackFailure(task_run=RUN, failure=failed))

    def put_on_offer(self, items: Sequence[dict[str, object]] = _ITEMS, judgments: int = 1) -> None:
        """All items, each for so many workers."""
        plans = tuple(
            AssignmentPlan(
                ids.AssignmentId(number),
                number - 1,
                self._sealed({"shared": item, "unit_data": [{}]}),
                tuple(
                    UnitPlan(ids.UnitId((number - 1) * judgments + place + 1), place, PAY_CENTS)
                    for place in range(judgments)
                ),
            )
            for number, item in enumerate(items, start=1)
        )
        self._execute(CreateAssignments(task_run=RUN, assignments=plans))
        self._execute(LaunchUnits(task_run=RUN, units=tuple(unit.unit for plan in plans for unit in plan.units)))

    def do_gold(self, worker: ids.WorkerId, number: int, *, is_right: bool) -> None:
        """A worker does a gold unit, and the launch script says whether it is right."""
        unit = UnitPlan(ids.UnitId(number), ids.GOLD_UNIT_INDEX, PAY_CENTS)
        item = self._sealed({"shared": {"id": number}, "unit_data": [{}]})
        plan = AssignmentPlan(ids.AssignmentId(number), number, item, (unit,))
        agent = self.take(worker, RequiredEvaluation("gold", plan, maximum=1000))
        self.submit(worker, agent, {"label": "gold"})
        self._execute(RecordEvaluation(task_run=RUN, unit=unit.unit, worker=worker, answer=is_right))

    def take(self, worker: ids.WorkerId, evaluation: RequiredEvaluation | None = None) -> ids.AgentId:
        """A worker gets a unit."""
        self._agents += 1
        agent = ids.AgentId(self._agents)
        applicant = Applicant(worker, f"token {agent}", f"registration {agent}")
        assign = AssignUnit(task_run=RUN, applicant=applicant, agent=agent, concurrent=False, evaluation=evaluation)
        self._execute(assign, actor=f"worker/{worker}")
        return agent

    def give_back(self, agent: ids.AgentId) -> None:
        """A worker does not want its unit."""
        self._execute(ReturnUnit(task_run=RUN, agent=agent, concurrent=False))

    def submit(self, worker: ids.WorkerId, agent: ids.AgentId, answers: dict[str, object]) -> None:
        """A worker is done."""
        submission = self._sealed(answers, worker)
        self._execute(SubmitUnit(task_run=RUN, agent=agent, submission=submission), actor=f"worker/{worker}")

    def _execute(self, command: Command, actor: str = "operator") -> None:
        self._add(DECISIONS[type(command)](self._market, command), actor)

    def _add(self, events: Sequence[NewEvent], actor: str = "operator") -> None:
        self._market.check(events)
        for stream, event in events:
            self._market.evolve(stream, event)
        payloads, self._payloads = tuple(self._payloads), []
        command = f"command-{len(self.requests)}"
        self.requests.append(
            AppendRequest(command=command, actor=actor, at=self._at, events=tuple(events), payloads=payloads)
        )
        self._at += _MINUTE

    def _sealed(self, value: object, worker: ids.WorkerId | None = None) -> PayloadRef:
        body = value.encode() if isinstance(value, str) else msgspec.json.encode(value)
        payload = seal(body, len(self.requests).to_bytes(8, "big") + len(self._payloads).to_bytes(8, "big"), worker)
        self._payloads.append(payload)
        return payload.ref
