"""The quality of a run: agreement, labels, and the figures of workers, with what suggests a look at their work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ....core.lifecycles.unit import UnitStatus
from ....events.ids import TaskRunId, WorkerId
from ....projections.queries.quality.report import QualityReport, quality_report, quality_rules
from ....projections.queries.quality.worker_quality import REVIEWED_STATUSES, QualityRules, WorkerQuality
from ....projections.queries.quality.worker_signs import RepeatedText
from ....projections.queries.runs.progress import RunProgress, run_progress
from ...log.sqlite.as_of import LogAsOf
from ...quality.loading import EXTRA_HINT, find_aggregator
from ...quality.stop_plan import stop_plan
from ...quality.wording import methods_of, question_head, question_lines, worker_columns, worker_figures
from ..rendering import query
from ..site import Site, run_of, seq_of

#: Questions, workers and repeated texts that are shown; `mephisto-es quality` has all of them.
SHOWN_QUESTIONS = 40
SHOWN_WORKERS = 300
SHOWN_TEXTS = 20
#: Workers who are named beside a repeated text.
SHOWN_NAMES = 5
#: Characters of a repeated text by which the desk finds it again.
SEARCHED_CHARACTERS = 60
#: Reports that are kept, because the figures of a long run take seconds.
KEPT_REPORTS = 8


class _Found(NamedTuple):
    """The report for one page."""

    report: QualityReport
    has_estimates: bool


class _Quality(NamedTuple):
    """The contents of the page."""

    run: RunProgress
    found: _Found
    names: Mapping[WorkerId, str]


class QualityPages:
    """Shows how good the data of a run is. Nothing on the page decides anything."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._kept: dict[tuple[TaskRunId, int, QualityRules], _Found] = {}

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/runs/{run:int}/quality", self.quality)]

    async def quality(self, request: Request) -> Response:
        """Show the quality of a run's data, as of the position in the address or now."""
        run, seq = run_of(request), seq_of(request)
        given = {name: _number(request, name, most) for name, most in (("min_gold", 1.0), ("min_seconds", None))}
        chosen = {name: number for name, number in given.items() if number is not None}

        def answer(moment: LogAsOf) -> _Quality:
            rules = msgspec.structs.replace(quality_rules(moment, run), **chosen)
            found = self._report(moment, run, rules)
            names = self._site.names_of(moment.db, (one.worker for one in found.report.workers))
            return _Quality(run_progress(moment.db, run), found, names)

        page = await self._site.log.compute(answer, seq)
        report = page.found.report
        columns = worker_columns(report)
        suspects = [one for one in reversed(report.workers) if one.suggestions]
        return self._site.templates.page(
            "quality.html",
            request,
            run=page.run,
            report=report,
            names=page.names,
            seq=seq,
            suspects=suspects,
            workers=report.workers[: -SHOWN_WORKERS - 1 : -1],
            questions=report.questions[:SHOWN_QUESTIONS],
            texts=report.repeated_texts[:SHOWN_TEXTS],
            shown_names=SHOWN_NAMES,
            columns=[*columns],
            worker_methods=[
                (name, report.methods[name]) for name in dict.fromkeys(("work", "rank", *columns.values()))
            ],
            head=question_head,
            lines=lambda question: list(question_lines(question, report)),
            methods=lambda question: [(name, report.methods[name]) for name in methods_of(question, report)],
            figures=lambda one: worker_figures(one)[: len(columns)],
            desk=lambda where: _desk(run, where),
            all_of=lambda worker: _desk(run, _work_of(worker)),
            same_text=lambda text: _desk(run, {"text": searched(text)}),
            extra_hint="" if page.found.has_estimates else EXTRA_HINT,
        )

    def _report(self, moment: LogAsOf, run: TaskRunId, rules: QualityRules) -> _Found:
        """Return the report as of a position; it is computed once. Only one thread at a time may call this."""
        key = (run, moment.seq, rules)
        found = self._kept.pop(key, None)
        if found is None:
            aggregator = find_aggregator()
            report = quality_report(moment, run, rules=rules, aggregator=aggregator, plan=stop_plan(moment, run))
            found = _Found(report, aggregator is not None)
        self._kept[key] = found
        while len(self._kept) > KEPT_REPORTS:
            del self._kept[next(iter(self._kept))]
        return found


def _number(request: Request, name: str, most: float | None) -> float | None:
    """Return a rule in the address that replaces that of the run; None if there is none.

    Raises:
        HTTPException: it makes no sense.
    """
    text = request.query_params.get(name, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not 0 <= number <= (most or float("inf")):
        range_ = "from 0 on" if most is None else f"from 0 to {most:g}"
        raise HTTPException(400, f"{name} is {text!r}; it must be a number {range_}")
    return number


def _desk(run: TaskRunId, where: Mapping[str, str]) -> str:
    """Return the address of the desk with the work that a filter selects."""
    return f"/runs/{run}/review/desk{query(**where)}"


def _work_of(worker: WorkerQuality) -> dict[str, str]:
    """Return the filter that selects a worker's unreviewed work, or reviewed work if there is no other."""
    status = next(one for one in REVIEWED_STATUSES if one.value in worker.by_status)
    reviewed = {} if status is UnitStatus.COMPLETED else {"status": status.value}
    return {"worker": f"worker-{worker.worker}", **reviewed}


def searched(text: RepeatedText) -> str:
    """Return the beginning of a text as the desk finds it in recorded work: without what JSON writes otherwise."""
    end = next((place for place, one in enumerate(text.text) if one in '"\\' or not one.isprintable()), None)
    return text.text[:end][:SEARCHED_CHARACTERS].strip()
