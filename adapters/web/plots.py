"""Selects the figures that a page plots from the course of a run. The page's script draws them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from ...core.lifecycles.unit import UnitStatus
from ...core.operations.configuration.money import amount
from ...projections.mephisto_db.rows import date_of
from ...projections.queries.runs.run_status import HOLDING_STATUSES, RunStatus
from ...projections.queries.runs.time_series import RunSeries, Sample
from ..text import format_status
from .moments import Mark

#: Intervals in which submissions are counted.
INTERVALS = 24
#: The most rows of the table, which has the same figures for those who do not see the plots.
TABLE_ROWS = 12

_SECOND, _HOUR = 1_000_000, 3600


class PlotSeries(msgspec.Struct, frozen=True, kw_only=True):
    """A line or an area. Each value holds from its time until the next one."""

    #: The CSS class that gives it its color.
    kind: str
    name: str
    values: Sequence[int]
    #: The value at the position being viewed, as text.
    now: str
    #: False for an area.
    is_line: bool = False


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """Series with a common value axis."""

    title: str
    #: The unit of the values, unless the title says it.
    unit: str = ""
    series: tuple[PlotSeries, ...]
    #: Seconds since the epoch, if they are not the run's own.
    times: Sequence[float] | None = None
    #: True if each area lies on those after it: finished units are at the bottom, units yet to be done above them.
    is_stacked: bool = False
    #: True if the values are cents.
    is_money: bool = False

    @property
    def summary(self) -> str:
        """A description for readers who cannot see it."""
        values = ", ".join(f"{one.name} {one.now}" for one in self.series) or "nothing yet"
        return f"{self.title}{', ' if self.unit else ''}{self.unit}: {values}"


class PlotData(msgspec.Struct, frozen=True, kw_only=True):
    """All that the script draws."""

    #: Times of the values, in seconds since the epoch.
    times: Sequence[float]
    plots: tuple[Plot, ...]
    #: Submissions so far, for the overview.
    submitted: Sequence[int]
    #: Moments of the run: seconds since the epoch, and their names.
    marks: tuple[tuple[float, str], ...]
    #: The time of the position being viewed, in seconds; None at the end.
    viewed: float | None


class PlotTable(NamedTuple):
    """The figures of the plots as a table."""

    columns: tuple[str, ...]
    #: Dates in UTC, with a text for each column.
    rows: tuple[tuple[str, tuple[str, ...]], ...]


class RunPlots(NamedTuple):
    """The plots of a run, in both forms."""

    data: PlotData
    table: PlotTable

    @property
    def json(self) -> str:
        """The data for the script."""
        return msgspec.json.encode(self.data).decode()


def run_plots(
    series: RunSeries, status: RunStatus, marks: Sequence[Mark] = (), viewed_us: int | None = None
) -> RunPlots | None:
    """Return the plots of a run: units by status, throughput, working agents, money. None if nothing happened yet.

    Args:
        series: the course of the run.
        status: its status at the position being viewed.
        marks: moments that are marked.
        viewed_us: the time of that position, in microseconds; None at the end.
    """
    if not series.samples:
        return None
    samples = _extended(series.samples)
    figures = (_units(samples, status), _agents(samples, status), _money(samples, status))
    units, agents, money = figures
    data = PlotData(
        times=[sample.at / _SECOND for sample in samples],
        plots=(units, _throughput(samples, status), agents, money),
        submitted=[sample.submitted for sample in samples],
        marks=tuple((mark.at / _SECOND, mark.text) for mark in marks),
        viewed=None if viewed_us is None or viewed_us >= samples[-1].at else viewed_us / _SECOND,
    )
    return RunPlots(data, _table(samples, figures))


def _extended(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return samples that cover a second at least."""
    first, last = samples[0], samples[-1]
    if last.at - first.at >= _SECOND:
        return samples
    return [*samples, msgspec.structs.replace(last, at=first.at + _SECOND)]


def _units(samples: Sequence[Sample], status: RunStatus) -> Plot:
    now = status.progress.units
    present = [one.value for one in UnitStatus if any(one.value in sample.units for sample in samples)]
    series = tuple(
        PlotSeries(
            kind=f"s-{name.replace(' ', '-')}",
            name=format_status(name),
            values=[sample.units.get(name, 0) for sample in samples],
            now=f"{now.get(name, 0):,}",
        )
        for name in present
    )
    return Plot(title="Units by status", series=series, is_stacked=True)


def _throughput(samples: Sequence[Sample], status: RunStatus) -> Plot:
    first, last = samples[0].at, samples[-1].at
    width = (last - first) / INTERVALS
    edges = [first + round(width * number) for number in range(INTERVALS + 1)]
    per_hour = [round(count / (width / _SECOND) * _HOUR) for count in _counted(samples, edges)]
    series = PlotSeries(
        kind="bar", name="submitted", values=[*per_hour, per_hour[-1]], now=f"{status.pace.units_per_hour:,.0f}"
    )
    return Plot(title="Throughput", unit="units per hour", series=(series,), times=[edge / _SECOND for edge in edges])


def _counted(samples: Sequence[Sample], edges: Sequence[int]) -> Iterator[int]:
    """Yield the submissions between each two edges; the last edge belongs to the last interval."""
    places = iter(samples)
    sample = next(places, None)
    before = reached = 0
    for edge in edges[1:]:
        while sample is not None and (sample.at < edge or edge == edges[-1]):
            reached = sample.submitted
            sample = next(places, None)
        yield reached - before
        before = reached


def _agents(samples: Sequence[Sample], status: RunStatus) -> Plot:
    working = sum(status.progress.agents.get(one, 0) for one in HOLDING_STATUSES)
    values = [sample.agents_at_work for sample in samples]
    return Plot(
        title="Working agents", series=(PlotSeries(kind="area", name="working", values=values, now=f"{working:,}"),)
    )


def _money(samples: Sequence[Sample], status: RunStatus) -> Plot:
    worth, spending = status.worth, status.spending
    committed = [sample.committed_cents for sample in samples]
    promised = [sample.committed_cents + sample.offered_cents for sample in samples]
    series = [
        PlotSeries(kind="area", name="committed", values=committed, now=amount(worth.committed_cents)),
        PlotSeries(
            kind="limit",
            name="including units on offer",
            values=promised,
            now=amount(worth.committed_cents + worth.offered_cents),
            is_line=True,
        ),
    ]
    if spending is not None:
        left = f"{amount(spending.budget_cents)}, of which {amount(spending.left_cents)} are left after fees"
        budget = [spending.budget_cents] * len(samples)
        series.append(PlotSeries(kind="budget", name="budget", values=budget, now=left, is_line=True))
    return Plot(title="Money", series=tuple(series), is_money=True)


def _table(samples: Sequence[Sample], plots: Sequence[Plot]) -> PlotTable:
    """Return the figures at some of the times, the first and the last among them."""
    last = len(samples) - 1
    chosen = sorted({round(number * last / (TABLE_ROWS - 1)) for number in range(TABLE_ROWS)})
    # The budget is a line in a plot, and the same in every row.
    columns = [(plot, one) for plot in plots for one in plot.series if one.kind != "budget"]
    rows = (
        (
            date_of(samples[place].at)[:19],
            (
                f"{samples[place].submitted:,}",
                *(amount(one.values[place]) if plot.is_money else f"{one.values[place]:,}" for plot, one in columns),
            ),
        )
        for place in chosen
    )
    return PlotTable(("submitted", *(one.name for _, one in columns)), tuple(rows))
