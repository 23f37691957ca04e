"""Reads filters from addresses, and verdicts and ids from forms."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request

from .....core.commands.review import Verdict
from .....core.errors import ConfigError
from .....core.operations.configuration.money import cents
from .....core.operations.control.requests import OpinionRequest, VerdictRequest
from .....events.ids import AgentId
from .....projections.queries.review_queue import OpinionCount, ReviewFilter, read_filter
from ...forms import FormRefusedError
from .review import VERDICTS

#: Names of query parameters that are not part of the filter.
_NO_FILTER = frozenset({"unit", "recorded", "undone", "opinion"})


def filter_of(request: Request) -> ReviewFilter:
    """Return the filter in an address.

    Raises:
        HTTPException: it makes no sense, or its work is not reviewed.
    """
    try:
        chosen = read_filter({name: text for name, text in request.query_params.items() if name not in _NO_FILTER})
    except ConfigError as error:
        raise HTTPException(400, str(error)) from error
    if chosen.status.value not in VERDICTS:
        raise HTTPException(400, f"Work that is {chosen.status.value!r} is not reviewed; choose {', '.join(VERDICTS)}")
    return chosen


def number_in(fields: Mapping[str, str], name: str) -> int:
    """Return the id in a field; 0 if there is none."""
    text = fields.get(name) or "0"
    if not text.isdecimal() or len(text) > 18:
        raise HTTPException(400, f"{name} is not the number of an entity")
    return int(text)


def verdict_in(fields: Mapping[str, str], chosen: ReviewFilter) -> VerdictRequest | OpinionRequest:
    """Return the verdict of a form, or the opinion if a second one is wanted.

    Raises:
        FormRefusedError: none was chosen.
        ConfigError: the bonus is not an amount of money.
        HTTPException: it is not the form of this page.
    """
    verdict, agent = fields.get("verdict", ""), number_in(fields, "agent")
    if not verdict:
        raise FormRefusedError(400, "No verdict was chosen.")
    if not agent or verdict not in {one.value for one in Verdict}:
        raise HTTPException(400, f"{verdict!r} is not a verdict on an agent")
    note = fields.get("note", "").strip() or None
    if fields.get("second_opinion"):
        return OpinionRequest(agent=AgentId(agent), verdict=Verdict(verdict), note=note)
    return VerdictRequest(
        agent=AgentId(agent),
        verdict=Verdict(verdict),
        note=note,
        adjudicates=chosen.opinions is OpinionCount.DIFFER,
        bonus_cents=cents(fields.get("bonus", "").strip() or "0", key="the bonus"),
    )
