"""Charts of a run with a budget."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.web.access import Access
from mephisto_es.core.ports import NewEvent
from mephisto_es.events.task_run import TaskRunCreated
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import PAY_CENTS, RUN, UNITS, sample_history
from .visitor import Visitor


def with_budget(new: NewEvent, cents: int | None) -> NewEvent:
    if not isinstance(new.event, TaskRunCreated):
        return new
    return new._replace(event=replace(new.event, budget_cents=cents))


async def money_chart(tmp_path: Path, budget_cents: int | None) -> str:
    """Return the money chart of the run's page."""
    with SqliteLog.create_or_open(tmp_path / "mephisto.db", PROJECTIONS) as log:
        log.commit(
            [
                replace(request, events=tuple(with_budget(new, budget_cents) for new in request.events))
                for request in sample_history()
            ]
        )
    page = await Visitor(tmp_path / "mephisto.db", Access(None), "127.0.0.1").get(f"/runs/{RUN}")
    (plot,) = re.findall(r'<figure class="chart">\s*<figcaption>Money.*?</figure>', page.text, re.DOTALL)
    assert isinstance(plot, str)
    return plot


def height_of(kind: str, plot: str) -> float:
    """Return the height at which a line ends; smaller is higher."""
    (path,) = re.findall(rf'<path class="{kind}" d="([^"]+)"', plot)
    return float(path.split()[-1])


@pytest.mark.parametrize("budget", [UNITS * PAY_CENTS, 5 * UNITS * PAY_CENTS])
async def test_money_is_drawn_below_its_budget(budget: int, tmp_path: Path) -> None:
    plot = await money_chart(tmp_path, budget)
    worth = UNITS * PAY_CENTS
    left = (budget - worth) / 100
    assert f"budget left, after fees {left:.2f} of {budget / 100:.2f}" in plot
    assert (height_of("budget", plot) < height_of("limit", plot)) is (budget > worth)


async def test_without_a_budget_there_is_no_line(tmp_path: Path) -> None:
    plot = await money_chart(tmp_path, None)
    assert "budget" not in plot


async def test_a_page_does_not_wait_until_a_long_log_is_read_for_its_charts(tmp_path: Path) -> None:
    with SqliteLog.create_or_open(tmp_path / "mephisto.db", PROJECTIONS) as log:
        log.commit(sample_history())
        head = log.head().seq
    visitor = Visitor(tmp_path / "mephisto.db", Access(None), "127.0.0.1", few_events=head - 1)
    page = await visitor.get(f"/runs/{RUN}")
    assert "The charts follow once the whole log has been read." in page.text
    assert "<figure" not in page.text
    past = await visitor.get(f"/runs/{RUN}?seq={head}")
    assert "<figure" in past.text, "nothing would bring the charts of a moment in the past later"
    assert "<figure" in (await visitor.get(f"/runs/{RUN}")).text, "the log has been read"
