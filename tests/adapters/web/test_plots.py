"""The figures of a run's plots, for its script and as a table, and the library that draws them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.web import rendering
from mephisto_es.adapters.web.access import Access
from mephisto_es.adapters.web.guard import CONTENT_SECURITY_POLICY
from mephisto_es.adapters.web.plots import INTERVALS, TABLE_ROWS, Plot, RunPlots, run_plots
from mephisto_es.core.ports import NewEvent
from mephisto_es.events.task_run import TaskRunCreated
from mephisto_es.projections.queries.runs.run_status import run_status
from mephisto_es.projections.queries.runs.time_series import LogSeries
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import DONE, PAY_CENTS, RUN, UNITS, sample_history
from .visitor import Visitor

_SUM = re.compile(r"^\| `([^`]+)` \| `([0-9a-f]{64})` \|$", re.MULTILINE)


def with_budget(new: NewEvent, cents: int | None) -> NewEvent:
    if not isinstance(new.event, TaskRunCreated):
        return new
    return new._replace(event=replace(new.event, budget_cents=cents))


def plots_of(tmp_path: Path, budget_cents: int | None = None) -> RunPlots:
    """Return the plots of the sample run with a budget."""
    with SqliteLog.create_or_open(tmp_path / "mephisto.db", PROJECTIONS) as log:
        log.commit(
            [
                replace(request, events=tuple(with_budget(new, budget_cents) for new in request.events))
                for request in sample_history()
            ]
        )
    with open_as_of(tmp_path / "mephisto.db") as moment:
        series = LogSeries()
        series.apply_events(moment.events())
        plots = run_plots(series.run(RUN), run_status(moment, RUN, now=moment.at))
    assert plots is not None
    return plots


def by_title(plots: RunPlots) -> dict[str, Plot]:
    return {plot.title: plot for plot in plots.data.plots}


@pytest.mark.parametrize("budget", [UNITS * PAY_CENTS, 5 * UNITS * PAY_CENTS])
def test_money_is_plotted_with_its_budget(budget: int, tmp_path: Path) -> None:
    worth = UNITS * PAY_CENTS
    left = (budget - worth) / 100
    _, promised, limit = by_title(plots_of(tmp_path, budget))["Money"].series
    assert limit.name == "budget"
    assert limit.now == f"{budget / 100:.2f}, of which {left:.2f} are left after fees"
    assert (limit.values[-1], promised.values[-1]) == (budget, worth)


def test_without_a_budget_there_is_no_line(tmp_path: Path) -> None:
    assert [one.name for one in by_title(plots_of(tmp_path))["Money"].series] == [
        "committed",
        "including units on offer",
    ]


def test_each_figure_has_its_time(tmp_path: Path) -> None:
    plots = plots_of(tmp_path)
    throughput = by_title(plots)["Throughput"]
    times = throughput.times
    assert times is not None
    assert len(throughput.series[0].values) == len(times) == INTERVALS + 1
    hours = (times[-1] - times[0]) / INTERVALS / 3600
    assert round(sum(throughput.series[0].values[:-1]) * hours) == DONE
    for plot in plots.data.plots:
        for one in plot.series:
            assert len(one.values) == len(plot.times or plots.data.times)
    units = by_title(plots)["Units by status"]
    assert sum(one.values[-1] for one in units.series) == UNITS


def test_the_table_has_the_same_figures(tmp_path: Path) -> None:
    plots = plots_of(tmp_path)
    assert len(plots.table.rows) == TABLE_ROWS
    (first, none), *_, (_, last) = plots.table.rows
    assert (first, none[0]) == ("2026-01-31 14:01:00", "0")
    assert dict(zip(plots.table.columns, last, strict=True)) == {
        "submitted": str(DONE),
        "created": "0",
        "launched": "9",
        "assigned": "1",
        "completed": str(DONE),
        "working": "1",
        "committed": "7.75",
        "including units on offer": "10.00",
    }


async def test_the_page_has_a_table_and_loads_scripts_only_from_here(visitor: Visitor) -> None:
    page = await visitor.get(f"/runs/{RUN}")
    assert "The same as a table" in page.text
    assert page.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert re.findall(r"<script(?![^>]*(?:src=\"/|type=\"application/json\"))|<style| style=", page.text) == []
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
        await visitor.get(address)


def test_libraries_of_others_are_as_they_were_published() -> None:
    folder = rendering.HERE / "static" / "vendor"
    sums = dict(_SUM.findall((folder / "README.md").read_text()))
    code = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.suffix in (".js", ".css")}
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in code.items()} == sums
    version = re.search(r"\| 1[.\d]+ \|", (folder / "README.md").read_text())
    assert version is not None
    assert f"uPlot (v{version[0].strip('| ')})" in code["uplot/uPlot.iife.min.js"].read_text()


async def test_a_page_does_not_wait_until_a_long_log_is_read_for_its_plots(tmp_path: Path) -> None:
    with SqliteLog.create_or_open(tmp_path / "mephisto.db", PROJECTIONS) as log:
        log.commit(sample_history())
        head = log.head().seq
    visitor = Visitor(tmp_path / "mephisto.db", Access(None), "127.0.0.1", few_events=head - 1)
    page = await visitor.get(f"/runs/{RUN}")
    assert "The plots follow once the whole log has been read." in page.text
    assert "<figure" not in page.text
    past = await visitor.get(f"/runs/{RUN}?seq={head}")
    assert "<figure" in past.text, "nothing would bring the plots of a moment in the past later"
    assert "<figure" in (await visitor.get(f"/runs/{RUN}")).text, "the log has been read"
