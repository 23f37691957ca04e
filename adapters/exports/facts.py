"""Holds the facts about a dataset that are not in its rows."""

from __future__ import annotations

from datetime import datetime

import msgspec


class DatasetFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The origin of a dataset."""

    task_name: str
    task_run: int
    #: The name of the crowd provider's plugin.
    provider: str
    #: Position in the log that the dataset was made from, the hash of the chain there, and its time.
    seq: int
    chain: str
    exported_at: datetime
    version: str
    is_anonymous: bool
    #: Title and description that workers saw; empty if they are not known.
    instructions: str = ""
    #: A sentence about each question with answers of several workers.
    agreement: tuple[str, ...] = ()
    #: Software that made values of the rows.
    machine_tools: tuple[str, ...] = ()
    #: Address of the license, name of the creator, and address of the dataset, if they were given.
    license: str | None = None
    creator: str | None = None
    url: str | None = None


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """The facts that only the publisher of a dataset knows; each may be missing."""

    #: Address of the license.
    license: str | None = None
    creator: str | None = None
    #: Address at which the dataset will be.
    url: str | None = None
