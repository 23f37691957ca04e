"""The invariants of labels, screenings and gold units, computed from what people sent and from nothing else."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from mephisto_es.core.decisions.evaluate_worker import GOLD, SCREENING
from mephisto_es.core.lifecycles.engagement import ON_SUBMITTED
from mephisto_es.core.lifecycles.unit import OPEN_UNIT_STATUSES, UnitState, UnitStatus
from mephisto_es.core.operations.run.live_task_run import OUT_OF_BUDGET
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.core.state.label_model import StopRule
from mephisto_es.events import streams
from mephisto_es.events.agent import AgentSubmitted, AgentSubmittedAgain, AgentSubmittedLate
from mephisto_es.events.assignment import AssignmentExtended, AssignmentSettled, LabelEvidence, StopReason
from mephisto_es.events.engagement import CallbackAnswered, VerdictsRevoked, WorkerRefused, WorkStarted
from mephisto_es.events.envelope import Envelope
from mephisto_es.events.ids import GOLD_UNIT_INDEX, AgentId, AssignmentId, TaskRunId, UnitId, WorkerId
from mephisto_es.events.task_run import CallbackFailed, TaskRunStopping
from mephisto_es.events.unit import UnitAssigned, UnitLateAccepted, UnitRejected, UnitSoftRejected, UnitVerdictWithdrawn

from .invariants import StoredLog
from .job import JobPlan
from .office import Requests
from .quality import ANSWER, CLASSES, QualityPlan, Screenings

#: Statuses of units whose answers count for a label.
_COUNTED = (UnitStatus.COMPLETED, UnitStatus.ACCEPTED)
#: The label of work that was erased: nobody knows it any more.
_FORGOTTEN = "forgotten"


def check_quality(log: StoredLog, jobs: Mapping[JobPlan, int], told: Requests) -> Counter[str]:
    """Labels are settled by their rule, and whoever failed a screening or gold units gets no work.

    Returns:
        What happened, by kind.
    """
    audit = _Audit({TaskRunId(run): job for job, run in jobs.items() if job.quality is not None}, told, log)
    if any(job.quality is not None for job in jobs):
        state = DecisionState()
        for recorded in log.read():
            audit.look(state, recorded.envelope)
            state.apply(recorded.envelope)
    return audit.reached


@dataclass
class _Tally:
    """The units that evaluated a worker in a run, by result, and the agent of each."""

    agent_of: dict[UnitId, tuple[AgentId, str]] = field(default_factory=dict)
    passed: set[UnitId] = field(default_factory=set)
    failed: set[UnitId] = field(default_factory=set)
    right: set[UnitId] = field(default_factory=set)
    wrong: set[UnitId] = field(default_factory=set)


class _Audit:
    """Looks at each event on the state before it."""

    def __init__(self, jobs: Mapping[TaskRunId, JobPlan], told: Requests, log: StoredLog) -> None:
        self.reached: Counter[str] = Counter()
        self._jobs = jobs
        self._told = told
        self._log = log
        #: The label that each agent sent.
        self._labels: dict[str, object] = {}
        self._tallies: dict[tuple[TaskRunId, WorkerId], _Tally] = defaultdict(_Tally)
        #: Assignments with a verdict that may have been reversed after other work had taken the place.
        self._reversed: set[tuple[TaskRunId, AssignmentId]] = set()
        #: Units whose submission the script failed to judge.
        self._unjudged: dict[TaskRunId, set[UnitId]] = defaultdict(set)

    def look(self, state: DecisionState, envelope: Envelope) -> None:
        """Check an event that the state does not have yet."""
        stream, event = envelope.stream, envelope.event
        match event:
            # Again: also what somebody sends whose work was completed without them, as their partner had left.
            case AgentSubmitted() | AgentSubmittedAgain() | AgentSubmittedLate():
                body = self._log.payload(event.submission)
                label = _FORGOTTEN if body is None else msgspec.json.decode(body).get(ANSWER)
                self._labels.setdefault(stream, label)
            case AssignmentExtended():
                self._look_at_extension(state, stream, event)
            case AssignmentSettled():
                self._look_at_settlement(state, stream, event)
            case UnitAssigned():
                self._look_at_answers(state, stream)
            case UnitVerdictWithdrawn() | UnitLateAccepted() | UnitRejected() | UnitSoftRejected():
                self._reversed.add((streams.run_of(stream), state.units[stream].assignment))
            case WorkStarted():
                self._look_at_start(state, stream, event)
            case CallbackAnswered(callback=callback) if callback == ON_SUBMITTED:
                self._look_at_judgement(state, stream, event)
            case VerdictsRevoked(callback=callback) if callback == ON_SUBMITTED:
                self._revoke(state, stream, event)
            case CallbackFailed(function=function, unit=unit) if function == ON_SUBMITTED and unit is not None:
                self._unjudged[streams.run_of(stream)].add(unit)
            case WorkerRefused(rule=rule):
                self.reached[f"refused: {rule}"] += 1
            case TaskRunStopping():
                self._look_at_end(state, streams.run_of(stream), event)
            case _:
                pass

    # Labels ---------------------------------------------------------------------------------------------------------

    def _look_at_extension(self, state: DecisionState, stream: str, event: AssignmentExtended) -> None:
        run, assignment = streams.run_of(stream), state.assignments[stream].created.assignment
        evidence, rule = event.evidence, self._rule(run)
        units = _units(state, run, assignment)
        self._check_evidence(run, evidence, units, rule)
        still_open = sum(unit.status in OPEN_UNIT_STATUSES for unit in units)
        assert event.open_units == still_open, f"{stream} has {still_open} open units"
        assert event.units, f"{stream} was extended by nothing"
        assert not _is_sure(evidence), f"{stream} was sure, and got more units"
        judgements = len(evidence.agents) + still_open + len(event.units)
        assert judgements <= rule.most, f"{stream} is to get {judgements} answers, {rule.most} are allowed"
        self.reached["label: further units"] += 1

    def _look_at_settlement(self, state: DecisionState, stream: str, event: AssignmentSettled) -> None:
        run, assignment = streams.run_of(stream), state.assignments[stream].created.assignment
        evidence, rule = event.evidence, self._rule(run)
        units = _units(state, run, assignment)
        self._check_evidence(run, evidence, units, rule)
        left = {unit.unit for unit in units if unit.status in OPEN_UNIT_STATUSES} - set(event.withdrawn)
        assert not left, f"{stream} was settled while {sorted(left)} were open"
        decided = state.assignments[stream].label_of(ANSWER)
        is_right = {
            StopReason.CONFIDENCE: _is_sure(evidence),
            StopReason.MAXIMUM: len(evidence.agents) >= rule.most,
            StopReason.DECIDED: decided is not None and not decided.is_taken_back,
        }[event.by]
        assert is_right, f"{stream} was settled by {event.by.value}: {evidence}"
        self.reached[f"label: {event.by.value}"] += 1
        self.reached["label: units withdrawn"] += bool(event.withdrawn)

    def _check_evidence(self, run: TaskRunId, evidence: LabelEvidence, units: list[UnitState], rule: StopRule) -> None:
        counted = tuple(unit.agent for unit in units if unit.status in _COUNTED)
        assert evidence.agents == counted, f"{evidence.agents} count for a label, and {counted} should"
        applied = StopRule(evidence.confidence, evidence.least, evidence.most)
        assert applied == rule, f"the rule of run {run} is {rule}, and {applied} was applied"
        labels = [self._labels[streams.agent(run, agent)] for agent in evidence.agents]
        if _FORGOTTEN in labels:
            return
        assert evidence.counts == tuple(map(labels.count, CLASSES)), f"{labels} were counted as {evidence.counts}"
        wrong = (1 - evidence.accuracy) / (len(CLASSES) - 1)
        usable = [label for label in labels if label in CLASSES]
        likelihood = {
            one: math.prod(evidence.accuracy if label == one else wrong for label in usable) for one in CLASSES
        }
        posterior = likelihood[evidence.label] / sum(likelihood.values())
        assert math.isclose(posterior, evidence.posterior, rel_tol=1e-6), f"{labels}: {posterior}, not {evidence}"
        assert likelihood[evidence.label] >= max(likelihood.values()) * (1 - 1e-6), f"{labels} do not say {evidence}"

    def _look_at_answers(self, state: DecisionState, stream: str) -> None:
        """No more people work on an item than it may have answers."""
        run, unit = streams.run_of(stream), state.units[stream]
        if unit.index < 0 or (rule := self._rule_or_none(run)) is None or (run, unit.assignment) in self._reversed:
            return
        others = [one for one in _units(state, run, unit.assignment) if one.unit != unit.unit]
        answers = 1 + sum(one.status in (*_COUNTED, UnitStatus.ASSIGNED) for one in others)
        assert answers <= rule.most, f"{stream} is the {answers}th answer, and {rule.most} are allowed"

    def _look_at_end(self, state: DecisionState, run: TaskRunId, event: TaskRunStopping) -> None:
        """A run that ends by itself has all its labels."""
        if self._rule_or_none(run) is None or event.reason == OUT_OF_BUDGET or run in self._told.ended:
            return
        index = state.runs[run]
        missing = [one for one in index.assignments if one not in index.settled]
        assert not missing, f"run {run} stopped while the labels of {missing} were open"
        for assignment in index.assignments:
            counted = tuple(unit.agent for unit in _units(state, run, assignment) if unit.status in _COUNTED)
            known = state.assignments[streams.assignment(run, assignment)].counted
            assert counted == known, f"the label of {assignment} was settled with {known}, not {counted}"

    def _rule(self, run: TaskRunId) -> StopRule:
        rule = self._rule_or_none(run)
        assert rule is not None, f"run {run} has no rule for its labels"
        return rule

    def _rule_or_none(self, run: TaskRunId) -> StopRule | None:
        plan = self._plan(run)
        return None if plan is None else plan.rule

    def _plan(self, run: TaskRunId) -> QualityPlan | None:
        return self._jobs[run].quality if run in self._jobs else None

    # Evaluations ----------------------------------------------------------------------------------------------------

    def _look_at_start(self, state: DecisionState, stream: str, event: WorkStarted) -> None:
        run, worker = streams.run_of(stream), state.engagements[stream].worker
        if (plan := self._plan(run)) is None:
            return
        tally, unit = self._tallies[run, worker], state.units[streams.unit(run, event.unit)]
        assert not tally.failed, f"worker-{worker} failed the screening, and got {event.unit}"
        assert len(tally.wrong) <= plan.max_incorrect, f"worker-{worker} got {event.unit}, wrong: {tally.wrong}"
        assert event.counts == (unit.index >= 0), f"unit {event.unit} of index {unit.index} counts: {event.counts}"
        if event.evaluation is not None:
            assert unit.index < 0 or (event.evaluation, plan.screenings) == (SCREENING, Screenings.ORDINARY)
            tally.agent_of[event.unit] = event.agent, event.evaluation
        else:
            is_screened = plan.screenings is Screenings.NONE or tally.passed
            assert is_screened, f"worker-{worker} got {event.unit} without a screening"
            shown = len(tally.right)
            assert shown >= (plan.min_golds or 0), f"worker-{worker} got {event.unit} after {shown} gold units"
        if event.evaluation == GOLD:
            self._check_gold_limit(state, run, plan)

    def _check_gold_limit(self, state: DecisionState, run: TaskRunId, plan: QualityPlan) -> None:
        golds = [
            one.unit
            for stream, one in state.units.items()
            if streams.run_of(stream) == run and one.index == GOLD_UNIT_INDEX and one.status is not UnitStatus.EXPIRED
        ]
        # One that could not be judged does not count until it is.
        limit = plan.max_golds + len(self._unjudged[run].intersection(golds))
        assert len(golds) <= limit, f"run {run} has {len(golds)} gold units, and may have {limit}"
        self.reached["gold limit"] += len(golds) >= plan.max_golds

    def _look_at_judgement(self, state: DecisionState, stream: str, event: CallbackAnswered) -> None:
        run, worker = streams.run_of(stream), state.engagements[stream].worker
        tally = self._tallies[run, worker]
        if event.unit not in tally.agent_of or not isinstance(event.answer, bool):
            return
        agent, kind = tally.agent_of[event.unit]
        label = self._labels[streams.agent(run, agent)]
        is_right = label == CLASSES[0]
        assert label == _FORGOTTEN or event.answer is is_right, f"unit {event.unit} was {label}, judged {event.answer}"
        if kind == GOLD:
            (tally.right if event.answer else tally.wrong).add(event.unit)
        else:
            (tally.passed if event.answer else tally.failed).add(event.unit)
        self.reached[f"{kind} {'right' if event.answer else 'wrong'}"] += 1

    def _revoke(self, state: DecisionState, stream: str, event: VerdictsRevoked) -> None:
        tally = self._tallies[streams.run_of(stream), state.engagements[stream].worker]
        tally.failed.difference_update(event.units)
        tally.wrong.difference_update(event.units)
        self.reached["judgements revoked"] += bool(event.units)


def _is_sure(evidence: LabelEvidence) -> bool:
    return evidence.posterior >= evidence.confidence and sum(evidence.counts) >= evidence.least


def _units(state: DecisionState, run: TaskRunId, assignment: AssignmentId) -> list[UnitState]:
    return [state.units[streams.unit(run, unit)] for unit in state.runs[run].units_of[assignment]]
