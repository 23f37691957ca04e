"""Reads from the log of a rehearsal how one run went."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from ...core.lifecycles.unit import UnitStatus
from ...core.operations.texts.catalogue import DEFAULT_LANGUAGE, texts_of
from ...events import streams
from ...events.agent import AgentSubmitted, AgentSubmittedLate
from ...events.ids import GOLD_UNIT_INDEX, SCREENING_UNIT_INDEX, TaskRunId, WorkerId
from ...events.onboarding import OnboardingFailed, OnboardingPassed
from ...events.task_run import CallbackFailed, TaskRunAdmissionPaused
from ...projections.queries.unit_records import UnitRecord, unit_records
from ..blueprints.form_spec import AnyField
from ..crowd.summary import CrowdSummary
from ..log.sqlite.as_of import LogAsOf
from .bots import CARELESS_NAME, HONEST_NAME
from .browser_visits import BrowserNotes
from .human_time import careless_seconds, chat_seconds, honest_seconds, instruction_seconds
from .page_look import PageLook
from .report import FailedCallback, HourlyPay, RunReport
from .settings import LaunchedRun

_PAID = frozenset({UnitStatus.COMPLETED.value, UnitStatus.ACCEPTED.value, UnitStatus.SOFT_REJECTED.value})
_HOUR = 3600


class PageFindings:
    """Facts about the pages of a run.

    Args:
        look: what they look like without a browser.
        notes: what they did in the browser.
        fields: the fields of the task's form.
        config: the configuration that pages get.
        answers_failures: failures of the answers file.
    """

    def __init__(
        self,
        look: PageLook,
        notes: BrowserNotes,
        fields: Sequence[AnyField],
        config: dict[str, Any],
        answers_failures: Counter[str],
    ) -> None:
        self.look = look
        self.notes = notes
        self.fields = fields
        self.config = config
        self.answers_failures = answers_failures

    def faults(self) -> Iterator[str]:
        """Yield why pages stayed blank, or could not be used."""
        for page, times in self.notes.blank.items():
            yield f"blank page: the {page} page showed nothing in the browser ({times} times)"
        for fault in self.look.faults:
            yield f"the page may stay blank: {fault}"
        for text, times in self.notes.stuck.items():
            if any(refusal in text for refusal in self._refusals()):
                continue  # who fills in fields at random may fail an onboarding
            yield f"a worker could not submit in the browser ({times} times); the page said: {text!r}"

    def _refusals(self) -> Iterator[str]:
        """Yield the texts for workers who get no work, as the page shows them."""
        texts = self.config.get("texts") or texts_of(DEFAULT_LANGUAGE)
        yield from (text for key, text in texts.items() if key.startswith("refusal."))

    def unfilled(self, run: LaunchedRun, records: Sequence[UnitRecord]) -> list[str]:
        """Return the fields whose answers are in no submission; none of a chat, whose page is not known to have any."""
        if run.is_chat:
            return []
        if run.has_own_page:
            return list(dict.fromkeys([*self.notes.unsent_fields, *self.look.unread_fields]))
        answered = {name for record in records for name in _answered(record.outputs)}
        return [field.name for field in self.fields if records and field.name not in answered]


def report_run(
    moment: LogAsOf, run: LaunchedRun, crowd: CrowdSummary, findings: PageFindings, seconds: float
) -> RunReport:
    """Return how a run of the rehearsal went."""
    number = TaskRunId(run.task_run)
    records = list(unit_records(moment, number))
    done = [record for record in records if record.outputs is not None]
    history = [recorded.envelope.event for recorded in moment.stream(streams.task_run(number))]
    agents = [recorded.envelope.event for recorded in moment.under(f"agent/{number}/")]
    onboardings = [recorded.envelope.event for recorded in moment.under(f"onboarding_agent/{number}/")]
    submitted = [event for event in agents if isinstance(event, AgentSubmitted)]
    paused = [event.function for event in history if isinstance(event, TaskRunAdmissionPaused)]
    return RunReport(
        task_run=run.task_run,
        task_name=run.task_name,
        units=dict(sorted(Counter(record.unit_status for record in records).items())),
        workers_per_assignment=max(
            Counter(one.assignment_id for one in records if one.unit_index >= 0).values(), default=1
        ),
        is_chat=run.is_chat,
        submissions=len(submitted),
        late=sum(isinstance(event, AgentSubmittedLate) for event in agents),
        onboarded=sum(isinstance(event, OnboardingPassed) for event in onboardings),
        onboarding_failed=sum(isinstance(event, OnboardingFailed) for event in onboardings),
        screening_units=sum(record.unit_index == SCREENING_UNIT_INDEX for record in done),
        gold_units=sum(record.unit_index == GOLD_UNIT_INDEX for record in done),
        seconds=round(seconds, 1),
        cost_cents=len(submitted) * run.cost_of_unit_cents,
        planned_cents=run.planned_cents,
        planned_units=run.planned_units,
        pay=tuple(_pay(kind, run, done, findings.config) for kind in (HONEST_NAME, CARELESS_NAME)),
        crowd=crowd,
        failed_callbacks=tuple(_failed([event for event in history if isinstance(event, CallbackFailed)])),
        admission_paused_by=paused[0] if paused else None,
        page_faults=tuple(findings.faults()),
        console_errors=dict(findings.notes.console_errors),
        unfilled_fields=tuple(findings.unfilled(run, done)),
        answer_problems=dict(Counter(problem for event in submitted for problem in event.problems)),
        answers_failures=dict(findings.answers_failures),
    )


def _failed(events: Sequence[CallbackFailed]) -> Iterator[FailedCallback]:
    workers: defaultdict[tuple[str, str, str], set[WorkerId]] = defaultdict(set)
    times: Counter[tuple[str, str, str]] = Counter()
    for event in events:
        kind = (event.function, event.error, event.location)
        times[kind] += 1
        workers[kind] |= {event.worker} if event.worker is not None else set()
    for (function, error, location), count in times.items():
        affected = len(workers[function, error, location])
        yield FailedCallback(function=function, error=error, location=location, times=count, workers=affected)


def _pay(kind: str, run: LaunchedRun, records: Sequence[UnitRecord], config: dict[str, Any]) -> HourlyPay:
    """Return the hourly pay of one kind of workers, from what they read and answered."""
    of_kind = [record for record in records if (record.worker_name or "").startswith(f"{kind}-")]
    workers = len({record.worker_id for record in of_kind})
    if kind == HONEST_NAME:
        times = [
            chat_seconds(record.inputs, run.chat_messages)
            if run.chat_messages
            else honest_seconds(record.inputs, record.outputs)
            for record in of_kind
        ]
        instructions = instruction_seconds(str(config.get("instructions") or config.get("task_description") or ""))
        total = sum(times) + workers * instructions
    else:
        times = [careless_seconds(record.outputs) for record in of_kind]
        total = sum(times)
    paid = [record for record in of_kind if record.unit_status in _PAID]
    cents = sum(record.pay_cents for record in paid)
    return HourlyPay(
        kind=kind,
        workers=workers,
        units=len(paid),
        seconds_per_unit=round(sum(times) / len(times), 1) if times else 0.0,
        cents_per_hour=round(cents * _HOUR / total) if total else None,
    )


def _answered(outputs: object) -> Iterator[str]:
    if isinstance(outputs, dict):
        yield from (str(name) for name, value in outputs.items() if value not in (None, "", []))
