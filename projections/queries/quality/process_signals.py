"""Reads how forms were filled in: numbers that the stock page counts if the task asks for them.

They say nothing about what was written, and little about anybody: who dictates, uses a screen reader or an input
method, or copies a name, has other numbers than who types. They are evidence beside other evidence, never a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Annotated

import msgspec

from ...mephisto_db.queries import JsonValue

#: The name under which a submission has them.
PROCESS_SIGNALS = "process_signals"

_Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class ProcessSignals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbers on how one form was filled in, as the page of its worker says."""

    #: Pasted characters of all in the text answers; None if there are none.
    pasted_share: Annotated[float, msgspec.Meta(ge=0, le=1)] | None
    #: Number of keys pressed in the form.
    keys: _Count
    #: Number of times that the tab was hidden.
    tab_switches: _Count
    #: Seconds from the drawing of the form to the first key; None if there was none.
    seconds_to_first_key: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] | None


class SignalFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The signals of a worker."""

    #: Pieces of work that have them.
    pieces: int
    #: Mean share of pasted text.
    pasted_share: float | None
    #: Medians.
    keys: float
    tab_switches: float
    seconds_to_first_key: float | None


def signals_in(outputs: JsonValue) -> ProcessSignals | None:
    """Return the signals in a submission; None if there are none, or if they are not as the page sends them."""
    value = outputs.get(PROCESS_SIGNALS) if isinstance(outputs, dict) else None
    return None if value is None else read_signals(value)


def read_signals(value: object) -> ProcessSignals | None:
    """Return signals from a submission; None if they are not as the page sends them."""
    try:
        return msgspec.convert(value, ProcessSignals)
    except msgspec.ValidationError:
        return None


def figures_of(signals: Sequence[ProcessSignals]) -> SignalFigures | None:
    """Return what the signals of several pieces of work come to; None if there are none."""
    if not signals:
        return None
    shares = [one.pasted_share for one in signals if one.pasted_share is not None]
    firsts = [one.seconds_to_first_key for one in signals if one.seconds_to_first_key is not None]
    return SignalFigures(
        pieces=len(signals),
        pasted_share=sum(shares) / len(shares) if shares else None,
        keys=median(one.keys for one in signals),
        tab_switches=median(one.tab_switches for one in signals),
        seconds_to_first_key=median(firsts) if firsts else None,
    )
