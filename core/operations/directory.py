"""What outlives runs: names that are registered once."""

from __future__ import annotations

from collections.abc import Iterable

from ...events import streams
from ...events.directory import QualificationCreated, RequesterRegistered
from ...events.ids import QualificationId, RequesterId
from ..ledger import Command, Ledger
from ..lifecycles.market import Market
from ..ports import Ids, NewEvent


async def find_or_create_qualifications(ledger: Ledger, ids: Ids, names: Iterable[str]) -> None:
    """See to it that qualifications of these names exist; `Market.qualifications_by_name` has them afterwards."""
    wanted = {name: QualificationId(ids.next_id("qualification")) for name in sorted(names)}

    def decide(market: Market) -> list[NewEvent]:
        return [
            NewEvent(streams.qualification(number), QualificationCreated(qualification=number, name=name))
            for name, number in wanted.items()
            if name not in market.qualifications_by_name
        ]

    await ledger.execute(Command(ids.command_id(), "operator", decide))


async def find_or_create_requester(ledger: Ledger, ids: Ids, provider_type: str, name: str) -> bool:
    """See to it that an account at a provider is known by its name; whether it is new."""
    number = RequesterId(ids.next_id("requester"))
    registered = RequesterRegistered(requester=number, name=name, provider_type=provider_type)

    def decide(market: Market) -> list[NewEvent]:
        is_known = (provider_type, name) in market.requesters_by_name
        return [] if is_known else [NewEvent(streams.requester(number), registered)]

    return bool((await ledger.execute(Command(ids.command_id(), "operator", decide))).events)
