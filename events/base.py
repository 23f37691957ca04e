"""Base class of all events, and references to data that is kept outside them."""

from __future__ import annotations

import msgspec


class Event(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    gc=False,
    tag_field="kind",
):
    """A fact about one entity, in the past tense.

    A released shape never changes: a new field has a default, a new meaning is a new tag.
    """


def kind_of(event: type[Event]) -> str:
    """Return the tag under which events of a type are stored."""
    return str(event.__struct_config__.tag)


class PayloadRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A commitment to bytes that are kept beside the log, so that they can be erased."""

    #: Hex SHA-256 of salt and bytes together.
    sha256: str
    #: Length of the bytes, without the salt.
    size: int


class FileRef(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One uploaded file of a submission."""

    #: Name of the file at the router, chosen by the router; says nothing about the worker.
    filename: str
    size: int
    #: Hex SHA-256 of the content.
    sha256: str
