"""What outlives runs: names that are registered once."""

from __future__ import annotations

from collections.abc import Iterable

from ...events import streams
from ...events.directory import QualificationCreated
from ...events.ids import QualificationId
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
