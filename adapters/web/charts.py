"""Computes the shapes of a run's charts from its time series. The style sheet determines their appearance."""

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
from ..text import format_status

WIDTH, HEIGHT = 420, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 26
#: The maximum number of ticks on an axis.
MAX_TICKS = 4
#: Bars of the throughput chart.
BARS = 24

_SECOND, _HOUR = 1_000_000, 3600
_THOUSAND = 1000
#: Readable intervals between two ticks of the time axis, in seconds.
_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)
_DAY = 86_400


class Shape(NamedTuple):
    """A path and its CSS class."""

    kind: str
    path: str


class Tick(NamedTuple):
    """A mark on an axis, in units of the drawing."""

    place: float
    label: str


class LegendEntry(NamedTuple):
    """A line of the legend: a CSS class, the name of what it shows, and the value at the position being viewed."""

    kind: str
    name: str
    value: str


class Chart(NamedTuple):
    """A chart."""

    title: str
    #: The unit of the values, unless the title says it.
    unit: str
    #: A description for readers who cannot see the chart.
    summary: str
    shapes: tuple[Shape, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    legend: tuple[LegendEntry, ...]
    #: The x coordinate of the position being viewed; None at the end.
    marker: float | None


def run_charts(series: RunSeries, status: RunStatus, at: int | None = None) -> tuple[Chart, ...]:
    """Return the charts of a run: units by status, throughput, working agents, money.

    Args:
        series: the history of its figures; without samples there are no charts.
        status: its status at the position being viewed.
        at: the time of that position, in microseconds; None at the end.
    """
    if not series.samples:
        return ()
    frame = _Frame(series.samples, status, at)
    return (_units(frame), _throughput(frame), _agents(frame), _money(frame))


class _Frame:
    """The part that the charts of one run share: the time axis, and the position being viewed."""

    def __init__(self, samples: Sequence[Sample], status: RunStatus, at: int | None) -> None:
        self.samples = samples
        self.status = status
        self.first = samples[0].at
        self.last = max(samples[-1].at, self.first + _SECOND)
        self.marker = None if at is None or at >= self.last else self.x(at)
        self.x_ticks = tuple(self._time_ticks())

    def x(self, at: int) -> float:
        """Return the x coordinate of a time."""
        part = (max(at, self.first) - self.first) / (self.last - self.first)
        return LEFT + part * (WIDTH - LEFT - RIGHT)

    def agents(self, statuses: Sequence[str]) -> int:
        """Return how many agents have one of the statuses at the position being viewed."""
        return sum(self.status.progress.agents.get(status, 0) for status in statuses)

    def chart(
        self,
        title: str,
        shapes: Sequence[Shape],
        y_ticks: Sequence[Tick],
        legend: Sequence[LegendEntry],
        unit: str = "",
    ) -> Chart:
        """Return a chart with this time axis."""
        values = ", ".join(f"{entry.name} {entry.value}" for entry in legend) or "nothing yet"
        summary = f"{title}{', ' if unit else ''}{unit}: {values}"
        return Chart(title, unit, summary, tuple(shapes), self.x_ticks, tuple(y_ticks), tuple(legend), self.marker)

    def _time_ticks(self) -> Iterator[Tick]:
        seconds = (self.last - self.first) / _SECOND
        fitting = (step for step in _TIME_STEPS if seconds / step <= MAX_TICKS)
        step = next(fitting, _DAY * ceil(seconds / _DAY / MAX_TICKS))
        form = "%H:%M:%S" if step < 60 else "%H:%M" if step < _DAY else "%b %d"
        for second in range(ceil(self.first / _SECOND / step) * step, self.last // _SECOND + 1, step):
            yield Tick(self.x(second * _SECOND), datetime.fromtimestamp(second, UTC).strftime(form))


class _Scale:
    """The value axis, from zero to a round number."""

    def __init__(self, maximum: float) -> None:
        step = _round_step(maximum / MAX_TICKS)
        self.top = max(step * ceil(maximum / step), step)
        self.values = [step * number for number in range(round(self.top / step) + 1)]

    def y(self, value: float) -> float:
        """Return the y coordinate of a value."""
        return HEIGHT - BOTTOM - value / self.top * (HEIGHT - TOP - BOTTOM)

    def ticks(self, *, money: bool = False) -> list[Tick]:
        """Return the ticks."""
        return [Tick(self.y(value), _short(value, money=money)) for value in self.values]


def _short(value: int, *, money: bool) -> str:
    """Return a value in a short form that fits beside an axis: `150k`."""
    value, rest = (value // 100, value % 100) if money else (value, 0)
    if value >= _THOUSAND**2:
        return f"{value / _THOUSAND**2:g}M"
    if value >= 10 * _THOUSAND:
        return f"{value / _THOUSAND:g}k"
    return f"{value:,}.{rest:02d}" if money and value < _THOUSAND else f"{value:,}"


def _round_step(minimum: float) -> int:
    """Return the smallest of 1, 2, 5, 10, 20, 50 ... that is not below a minimum."""
    if minimum <= 1:
        return 1
    power = 10 ** int(log10(minimum))
    return next(int(power * digit) for digit in (1, 2, 5, 10) if power * digit >= minimum)


def _units(frame: _Frame) -> Chart:
    scale = _Scale(max(sum(sample.units.values()) for sample in frame.samples))
    present = [status.value for status in UnitStatus if any(status.value in sample.units for sample in frame.samples)]
    below = [0] * len(frame.samples)
    shapes: list[Shape] = []
    # Finished units are at the bottom, units yet to be done above them.
    for status in reversed(present):
        above = [under + sample.units.get(status, 0) for under, sample in zip(below, frame.samples, strict=True)]
        shapes.append(Shape(_kind(status), _band(frame, scale, below, above)))
        below = above
    now = frame.status.progress.units
    legend = [LegendEntry(_kind(status), format_status(status), f"{now.get(status, 0):,}") for status in present]
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
    legend = [LegendEntry("bar", "submitted so far", f"{frame.agents(SUBMITTED_STATUSES):,}")]
    return frame.chart("Throughput", [Shape("bar", bars)], scale.ticks(), legend, "units per hour")


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


def _agents(frame: _Frame) -> Chart:
    working = [sample.agents_at_work for sample in frame.samples]
    scale = _Scale(max(working))
    shapes = [Shape("area", _band(frame, scale, [0] * len(working), working))]
    legend = [LegendEntry("area", "working", f"{frame.agents(HOLDING_STATUSES):,}")]
    return frame.chart("Working agents", shapes, scale.ticks(), legend)


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
        LegendEntry("limit", "including units on offer", amount(worth.committed_cents + worth.offered_cents)),
    ]
    if spending is not None:
        shapes.append(Shape("budget", f"M{_steps(frame, scale, budget)}"))
        left = f"{amount(spending.left_cents)} of {amount(spending.budget_cents)}"
        legend.append(LegendEntry("budget", "budget left, after fees", left))
    return frame.chart("Money", shapes, scale.ticks(money=True), legend)


def _band(frame: _Frame, scale: _Scale, below: Sequence[int], above: Sequence[int]) -> str:
    """Return the outline of the area between two stepped lines."""
    return f"M{_steps(frame, scale, above)}L{_steps(frame, scale, below, backward=True)}Z"


def _steps(frame: _Frame, scale: _Scale, values: Sequence[int], *, backward: bool = False) -> str:
    """Return a line that stays at each value until the next one, as the rest of a path."""
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
