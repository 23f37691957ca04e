"""The geometry of a run's plots: a series in, shapes to be drawn out. What they look like is the style sheet's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import ceil, log10
from typing import NamedTuple

from ...core.lifecycles.unit import UnitStatus
from ...core.operations.configuration.money import amount
from ...projections.queries.runs.run_status import HOLDING_STATUSES, RunStatus
from ...projections.queries.runs.time_series import RunSeries, Sample
from ...projections.queries.unit_list import SUBMITTED_STATUSES

WIDTH, HEIGHT = 420, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 26
#: Ticks of an axis at most.
MOST_TICKS = 4
#: Bars of the plot of throughput.
BARS = 24

_SECOND, _HOUR = 1_000_000, 3600
_THOUSAND = 1000
#: Seconds between two ticks of the axis of time that people can read.
_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)
_DAY = 86_400


class Shape(NamedTuple):
    """A path, and the class it is drawn with."""

    kind: str
    path: str


class Tick(NamedTuple):
    """A mark on an axis, in units of the drawing."""

    place: float
    label: str


class LegendEntry(NamedTuple):
    """A line of the legend: what is drawn with a class, and what it was at the moment."""

    kind: str
    name: str
    value: str


class Chart(NamedTuple):
    """A plot."""

    title: str
    #: What is counted, where the title does not say so.
    unit: str
    #: What it shows, for those who do not see it.
    summary: str
    shapes: tuple[Shape, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    legend: tuple[LegendEntry, ...]
    #: Where the moment is; None: at the end.
    marker: float | None


def run_charts(series: RunSeries, status: RunStatus, at: int | None = None) -> tuple[Chart, ...]:
    """The plots of a run: units by status, throughput, agents at work, money.

    Args:
        series: how it went; nothing is drawn without samples.
        status: where it stands at the moment that is looked at.
        at: that moment, in microseconds; None: the end.
    """
    if not series.samples:
        return ()
    frame = _Frame(series.samples, status, at)
    return (_units(frame), _throughput(frame), _agents(frame), _money(frame))


class _Frame:
    """The plane that the plots of one run share: its time, and the moment in it."""

    def __init__(self, samples: Sequence[Sample], status: RunStatus, at: int | None) -> None:
        self.samples = samples
        self.status = status
        self.first = samples[0].at
        self.last = max(samples[-1].at, self.first + _SECOND)
        self.marker = None if at is None or at >= self.last else self.x(at)
        self.x_ticks = tuple(self._time_ticks())

    def x(self, at: int) -> float:
        """Where a time is."""
        part = (max(at, self.first) - self.first) / (self.last - self.first)
        return LEFT + part * (WIDTH - LEFT - RIGHT)

    def agents(self, statuses: Sequence[str]) -> int:
        """How many agents have one of some statuses at the moment."""
        return sum(self.status.progress.agents.get(status, 0) for status in statuses)

    def chart(
        self,
        title: str,
        shapes: Sequence[Shape],
        y_ticks: Sequence[Tick],
        legend: Sequence[LegendEntry],
        unit: str = "",
    ) -> Chart:
        """A plot in this frame."""
        told = ", ".join(f"{entry.name} {entry.value}" for entry in legend) or "nothing yet"
        summary = f"{title}{', ' if unit else ''}{unit}: {told}"
        return Chart(title, unit, summary, tuple(shapes), self.x_ticks, tuple(y_ticks), tuple(legend), self.marker)

    def _time_ticks(self) -> Iterator[Tick]:
        seconds = (self.last - self.first) / _SECOND
        fitting = (step for step in _TIME_STEPS if seconds / step <= MOST_TICKS)
        step = next(fitting, _DAY * ceil(seconds / _DAY / MOST_TICKS))
        form = "%H:%M:%S" if step < 60 else "%H:%M" if step < _DAY else "%b %d"
        for second in range(ceil(self.first / _SECOND / step) * step, self.last // _SECOND + 1, step):
            yield Tick(self.x(second * _SECOND), datetime.fromtimestamp(second, UTC).strftime(form))


class _Scale:
    """The axis of values: from zero to a round number."""

    def __init__(self, most: float) -> None:
        step = _round_step(most / MOST_TICKS)
        self.top = max(step * ceil(most / step), step)
        self.values = [step * number for number in range(round(self.top / step) + 1)]

    def y(self, value: float) -> float:
        """Where a value is."""
        return HEIGHT - BOTTOM - value / self.top * (HEIGHT - TOP - BOTTOM)

    def ticks(self, *, money: bool = False) -> list[Tick]:
        """The marks."""
        return [Tick(self.y(value), _short(value, money=money)) for value in self.values]


def _short(value: int, *, money: bool) -> str:
    """A value as it fits beside an axis: `150k`."""
    value, rest = (value // 100, value % 100) if money else (value, 0)
    if value >= _THOUSAND**2:
        return f"{value / _THOUSAND**2:g}M"
    if value >= 10 * _THOUSAND:
        return f"{value / _THOUSAND:g}k"
    return f"{value:,}.{rest:02d}" if money and value < _THOUSAND else f"{value:,}"


def _round_step(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50 ... that is not less."""
    if least <= 1:
        return 1
    power = 10 ** int(log10(least))
    return next(int(power * digit) for digit in (1, 2, 5, 10) if power * digit >= least)


def _units(frame: _Frame) -> Chart:
    scale = _Scale(max(sum(sample.units.values()) for sample in frame.samples))
    present = [status.value for status in UnitStatus if any(status.value in sample.units for sample in frame.samples)]
    below = [0] * len(frame.samples)
    shapes: list[Shape] = []
    # What is done lies at the bottom, what is to be done above it.
    for status in reversed(present):
        above = [under + sample.units.get(status, 0) for under, sample in zip(below, frame.samples, strict=True)]
        shapes.append(Shape(_kind(status), _band(frame, scale, below, above)))
        below = above
    now = frame.status.progress.units
    legend = [LegendEntry(_kind(status), _words(status), f"{now.get(status, 0):,}") for status in present]
    return frame.chart("Units by status", shapes, scale.ticks(), legend)


def _throughput(frame: _Frame) -> Chart:
    width = (frame.last - frame.first) / BARS
    edges = [frame.first + round(width * number) for number in range(BARS + 1)]
    counts = list(_counted(frame.samples, edges))
    per_hour = [count / (width / _SECOND) * _HOUR for count in counts]
    scale = _Scale(max(per_hour))
    bars = "".join(
        f"M{frame.x(start) + 0.7:.1f} {scale.y(0):.1f}V{scale.y(rate):.1f}H{frame.x(end) - 0.7:.1f}V{scale.y(0):.1f}Z"
        for start, end, rate in zip(edges, edges[1:], per_hour, strict=False)
        if rate
    )
    legend = [LegendEntry("bar", "handed in so far", f"{frame.agents(SUBMITTED_STATUSES):,}")]
    return frame.chart("Throughput", [Shape("bar", bars)], scale.ticks(), legend, "units an hour")


def _counted(samples: Sequence[Sample], edges: Sequence[int]) -> Iterator[int]:
    """Submissions between each two edges; the last edge belongs to the last span."""
    places = iter(samples)
    sample = next(places, None)
    before = reached = 0
    for edge in edges[1:]:
        while sample is not None and (sample.at < edge or edge == edges[-1]):
            reached = sample.submitted
            sample = next(places, None)
        yield reached - before
        before = reached


def _agents(frame: _Frame) -> Chart:
    at_work = [sample.agents_at_work for sample in frame.samples]
    scale = _Scale(max(at_work))
    shapes = [Shape("area", _band(frame, scale, [0] * len(at_work), at_work))]
    legend = [LegendEntry("area", "at work", f"{frame.agents(HOLDING_STATUSES):,}")]
    return frame.chart("Agents at work", shapes, scale.ticks(), legend)


def _money(frame: _Frame) -> Chart:
    committed = [sample.committed_cents for sample in frame.samples]
    promised = [sample.committed_cents + sample.offered_cents for sample in frame.samples]
    spending = frame.status.spending
    budget = [] if spending is None else [spending.budget_cents] * len(frame.samples)
    scale = _Scale(max([*promised, *budget]))
    shapes = [
        Shape("area", _band(frame, scale, [0] * len(committed), committed)),
        Shape("limit", f"M{_steps(frame, scale, promised)}"),
    ]
    worth = frame.status.worth
    legend = [
        LegendEntry("area", "committed", amount(worth.committed_cents)),
        LegendEntry("limit", "with what is on offer", amount(worth.committed_cents + worth.offered_cents)),
    ]
    if spending is not None:
        shapes.append(Shape("budget", f"M{_steps(frame, scale, budget)}"))
        left = f"{amount(spending.left_cents)} of {amount(spending.budget_cents)}"
        legend.append(LegendEntry("budget", "budget left, with fees", left))
    return frame.chart("Money", shapes, scale.ticks(money=True), legend)


def _band(frame: _Frame, scale: _Scale, below: Sequence[int], above: Sequence[int]) -> str:
    """The outline of what lies between two lines of steps."""
    return f"M{_steps(frame, scale, above)}L{_steps(frame, scale, below, backward=True)}Z"


def _steps(frame: _Frame, scale: _Scale, values: Sequence[int], *, backward: bool = False) -> str:
    """A line that stays at each value until the next, as the rest of a path."""
    corners: list[tuple[float, float]] = []
    for sample, value in zip(frame.samples, values, strict=True):
        x, y = frame.x(sample.at), scale.y(value)
        if corners and corners[-1][1] != y:
            corners.append((x, corners[-1][1]))
        if not corners or corners[-1][1] != y:
            corners.append((x, y))
    corners.append((frame.x(frame.last), corners[-1][1]))
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in (reversed(corners) if backward else corners))


def _kind(status: str) -> str:
    return f"s-{status.replace(' ', '-')}"


def _words(status: str) -> str:
    return status.replace("_", " ")
