"""Describes how a rehearsal went, from its log, its crowd and its pages."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..crowd.summary import CrowdSummary


class FailedCallback(msgspec.Struct, frozen=True, kw_only=True):
    """A function of the task's code that failed in the same way once or more."""

    function: str
    error: str
    location: str
    times: int
    workers: int

    def __str__(self) -> str:
        """Return a sentence."""
        times = "once" if self.times == 1 else f"{self.times} times"
        about = f", for {self.workers} {'worker' if self.workers == 1 else 'workers'}" if self.workers else ""
        return f"{self.function} {self.error} at {self.location} {times}{about}"


class HourlyPay(msgspec.Struct, frozen=True, kw_only=True):
    """The pay of workers of one kind, for the time that people are estimated to take."""

    #: `honest` or `careless`.
    kind: str
    workers: int
    #: Submissions that would be paid.
    units: int
    #: The estimated time for one unit.
    seconds_per_unit: float
    #: None if they submitted nothing.
    cents_per_hour: int | None


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """The rehearsal of one run."""

    task_run: int
    task_name: str
    #: Units by status.
    units: dict[str, int]
    #: Ordinary units of an assignment: the workers of a chat.
    workers_per_assignment: int
    is_chat: bool
    submissions: int
    #: Submissions that came after their time was up.
    late: int
    #: Workers who passed and who failed the onboarding.
    onboarded: int
    onboarding_failed: int
    #: Screening and gold units that were submitted.
    screening_units: int
    gold_units: int
    seconds: float
    #: The cost if all submissions were accepted and paid.
    cost_cents: int
    #: The most that the real run can cost; None if nobody knows.
    planned_cents: int | None
    planned_units: int | None
    pay: tuple[HourlyPay, ...]
    crowd: CrowdSummary
    failed_callbacks: tuple[FailedCallback, ...]
    #: The function for whose failures newcomers got no more work; None if it did not come to that.
    admission_paused_by: str | None
    #: Pages that stayed blank or cannot work, in sentences.
    page_faults: tuple[str, ...]
    console_errors: dict[str, int]
    #: Fields whose answers are in no submission.
    unfilled_fields: tuple[str, ...]
    #: What the check of the answers found, by problem.
    answer_problems: dict[str, int]
    #: Failures of the answers file.
    answers_failures: dict[str, int]

    def findings(self) -> Iterator[str]:
        """Yield everything that needs a look, in sentences."""
        for failed in self.failed_callbacks:
            yield f"callback failed: {failed}"
        if self.admission_paused_by is not None:
            yield f"{self.admission_paused_by} failed so often in a row that newcomers got no more work"
        yield from self.page_faults
        for text, times in self.console_errors.items():
            yield f"error on the page's console ({times} times): {text}"
        for name in self.unfilled_fields:
            yield f"field never filled: no submission has an answer to {name!r}"
        for problem, times in self.answer_problems.items():
            yield f"answers that the form does not allow ({times} times): {problem}"
        for failure, times in self.answers_failures.items():
            yield f"the answers file failed ({times} times): {failure}"
        if not self.submissions:
            yield "nobody could submit anything"


class RehearsalReport(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a rehearsal."""

    runs: tuple[RunReport, ...]
    #: Findings about the script as a whole.
    script_findings: tuple[str, ...]
    seconds: float
    #: The log of the rehearsal, and what the script printed.
    database: str
    script_output: str
    #: True if the pages were looked at in a browser.
    used_browser: bool

    def findings(self) -> Iterator[str]:
        """Yield everything that needs a look, in sentences."""
        yield from self.script_findings
        for run in self.runs:
            name = f"{run.task_name}: " if len(self.runs) > 1 else ""
            for finding in run.findings():
                yield f"{name}{finding}"
