"""Defines the metrics of an operator: under Mephisto's names where they still apply, under new names otherwise.

Statuses and answers are counted from durable events, so a crash cannot take them back. No label has more values than
the code has words: none distinguishes runs, workers or units.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import trio
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from ...core.ledger import Ledger
from ...core.lifecycles.agent import AgentStatus
from ...core.lifecycles.onboarding import LIVE_ONBOARDING_STATUSES, OnboardingStatus
from ...core.lifecycles.table import Status
from ...core.lifecycles.unit import UnitStatus
from ...core.ports import Offload
from ...core.state.decision_state import DecisionState
from ...core.state.status_fold import STATUS_AFTER
from ...events.base import Event
from ...events.engagement import RefusalReason, WorkerRefused, WorkStarted
from ...events.envelope import RecordedEvent
from ...events.ids import COMPENSATION_UNIT_INDEX, GOLD_UNIT_INDEX, SCREENING_UNIT_INDEX
from ...events.onboarding import OnboardingFailed, OnboardingPassed, OnboardingStarted
from ...events.streams import category_of
from ...events.unit import UnitCreated

#: Buckets in seconds, from a sync of a fast disk to one that blocks everybody.
COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
BATCH_COMMANDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

_ORDINARY = "standard"
_UNIT_TYPES = {
    SCREENING_UNIT_INDEX: "screening_unit",
    GOLD_UNIT_INDEX: "gold_unit",
    COMPENSATION_UNIT_INDEX: "compensation_unit",
}
_MAIN, _ONBOARDING = "main", "onboarding"

T = TypeVar("T")


#: Returns the number of events that each projection has not applied.
Lags = Callable[[], Mapping[str, int]]


class OperatorMetrics:
    """All metrics of one operator.

    Attributes:
        registry: the registry to serve.
    """

    def __init__(self) -> None:
        """Define the metrics; `follow` and `watch_projections` connect their sources."""
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        self._units = _Statuses("active_unit_statuses", "Units by status", "unit_type", self.registry)
        for unit_type in (_ORDINARY, *_UNIT_TYPES.values()):
            self._units.expect(unit_type, UnitStatus)
        self._agents = _Statuses("active_agent_statuses", "Agents by status", "agent_type", self.registry)
        self._agents.expect(_MAIN, AgentStatus)
        self._agents.expect(_ONBOARDING, OnboardingStatus)
        self._answers = Counter(
            "agent_details_responses", "Answers to workers who asked for work", ["response"], registry=self.registry
        )
        for response in ("assigned", "assigned_onboarding", *(one.name.lower() for one in RefusalReason)):
            self._answers.labels(response)
        self._outcomes = Counter(
            "worker_pool_onboarding_outcomes", "Onboardings by outcome", ["outcome"], registry=self.registry
        )
        for outcome in ("launched", "passed", "failed"):
            self._outcomes.labels(outcome)
        onboardings = Gauge("worker_pool_active_onboardings", "Onboardings in progress", registry=self.registry)
        onboardings.set_function(lambda: self._agents.count(_ONBOARDING, LIVE_ONBOARDING_STATUSES))
        self._latency = Histogram(
            "database_latency_seconds",
            "Duration of calls to the log",
            ["method"],
            buckets=COMMIT_SECONDS,
            registry=self.registry,
        )
        self._latency.labels("commit")
        self._batches = Histogram(
            "mephisto_es_commit_commands", "Commands in one commit", buckets=BATCH_COMMANDS, registry=self.registry
        )
        self._events = Counter("mephisto_es_events", "Events written", registry=self.registry)
        self._refused = Gauge(
            "mephisto_es_refused", "Requests and packets refused or discarded", ["reason"], registry=self.registry
        )
        self._queue = Gauge("mephisto_es_queue_commands", "Commands waiting for the writer", registry=self.registry)

    def show_refusals(self, counts: Mapping[str, int]) -> None:
        """Set what the live runs and their servers have refused or discarded, by reason."""
        for reason, count in counts.items():
            self._refused.labels(reason).set(count)

    def follow(self, ledger: Ledger) -> None:
        """Take the state of the log, and count events from now on."""
        self._take(ledger.state)
        ledger.subscribe(self.on_committed)
        self._queue.set_function(lambda: ledger.waiting)

    def watch_projections(self, lags: Lags) -> None:
        """Report how far projections are behind the log, each time the metrics are read."""
        gauge = Gauge(
            "mephisto_es_projection_lag_events",
            "Events of the log that a projection has not applied",
            ["projection"],
            registry=self.registry,
        )
        for name in lags():
            gauge.labels(name).set_function(partial(_lag, lags, name))

    def timed(self, offload: Offload) -> Offload:
        """Return a way of making commits that measures them."""

        async def measured(call: Callable[[], T], /) -> T:
            started_at = trio.current_time()
            result = await offload(call)
            # The rest are turns.
            if isinstance(result, list):
                self._latency.labels("commit").observe(trio.current_time() - started_at)
                self._batches.observe(len(result))
            return result

        return measured

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Count durable events."""
        self._events.inc(len(events))
        for recorded in events:
            self._count(recorded.envelope.stream, recorded.envelope.event)

    def _take(self, state: DecisionState) -> None:
        for stream, unit in state.units.items():
            self._units.put(stream, unit.status.value, _UNIT_TYPES.get(unit.index, _ORDINARY))
        for stream, agent in state.agents.items():
            self._agents.put(stream, agent.status.value, _MAIN)
        for stream, onboarding in state.onboardings.items():
            self._agents.put(stream, onboarding.status.value, _ONBOARDING)

    def _count(self, stream: str, event: Event) -> None:
        after = STATUS_AFTER.get(type(event))
        if after is not None:
            match category_of(stream):
                case "unit":
                    index = event.index if isinstance(event, UnitCreated) else 0
                    self._units.put(stream, after, _UNIT_TYPES.get(index, _ORDINARY))
                case "agent":
                    self._agents.put(stream, after, _MAIN)
                case "onboarding_agent":
                    self._agents.put(stream, after, _ONBOARDING)
        match event:
            case WorkStarted():
                self._answers.labels("assigned").inc()
            case WorkerRefused():
                self._answers.labels(event.reason.name.lower()).inc()
            case OnboardingStarted():
                self._answers.labels("assigned_onboarding").inc()
                self._outcomes.labels("launched").inc()
            case OnboardingPassed():
                self._outcomes.labels("passed").inc()
            case OnboardingFailed():
                self._outcomes.labels("failed").inc()


class _Statuses:
    """A gauge of the number of entities by type and status."""

    def __init__(self, name: str, about: str, type_label: str, registry: CollectorRegistry) -> None:
        self._gauge = Gauge(name, about, ["status", type_label], registry=registry)
        self._present: dict[str, tuple[str, str]] = {}
        self._counts = defaultdict[tuple[str, str], int](int)

    def expect(self, kind: str, statuses: Iterable[Status]) -> None:
        """Report zero for a type and its statuses from the start."""
        for status in statuses:
            self._gauge.labels(status.value, kind)

    def put(self, stream: str, status: str, kind: str) -> None:
        """Note the status of an entity. The entity keeps its first type."""
        before = self._present.get(stream)
        if before is not None:
            kind = before[1]
            self._add(before, -1)
        self._present[stream] = (status, kind)
        self._add((status, kind), 1)

    def count(self, kind: str, statuses: Iterable[Status]) -> int:
        """Return the number of entities of a type that have one of the statuses."""
        return sum(self._counts[status.value, kind] for status in statuses)

    def _add(self, labels: tuple[str, str], change: int) -> None:
        self._counts[labels] += change
        self._gauge.labels(*labels).inc(change)


def _lag(lags: Lags, projection: str) -> float:
    return lags()[projection]
