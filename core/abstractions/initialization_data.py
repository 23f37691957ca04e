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
