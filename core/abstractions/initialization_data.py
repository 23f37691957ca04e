"""What an assignment is about, as launch scripts give it and task code gets it."""

from __future__ import annotations

from typing import Any

import msgspec

#: A JSON object, as pages and task code exchange them.
Update = dict[str, Any]


class InitializationData(msgspec.Struct, frozen=True, kw_only=True):
    """The data of one assignment."""

    #: What all of its units share.
    shared: Update
    #: One object for each unit, in the order of their indexes.
    unit_data: tuple[Update, ...] = ({},)

    def of_unit(self, unit_index: int) -> Update:
        """What a worker on the unit with this index is to work on: the shared data and the unit's own."""
        return self.shared | (self.unit_data[unit_index] if 0 <= unit_index < len(self.unit_data) else {})
