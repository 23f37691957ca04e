"""References to entities as people write them: `unit-12`, `unit12`, `12`, or a worker's name at the provider."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from ..events.ids import WorkerId
from .errors import AmbiguousReferenceError, UnknownEntityError

WORKER = "worker"
KINDS = ("run", "assignment", "unit", "agent", "onboarding", WORKER)
#: Kinds whose history can be asked for. Payments and resources are named with their kind: `payment-7`.
RECORD_KINDS = ("payment", "resource")
HISTORY_KINDS = (*KINDS, *RECORD_KINDS)
#: Prefixes that say whether an id or a name is meant, for the rare case that a text is both.
ID_PREFIX, NAME_PREFIX = "id=", "name="
#: Characters of a name or an id; longer ones are refused without a lookup.
MAX_CHARACTERS = 500

_REF = re.compile(rf"(?:({'|'.join(HISTORY_KINDS)})[- ]?)?(0*)(\d{{1,18}})", re.IGNORECASE | re.ASCII)


class EntityRef(NamedTuple):
    """A reference to one entity, by kind and id."""

    #: One of `HISTORY_KINDS`.
    kind: str
    number: int

    def __str__(self) -> str:
        return f"{self.kind}-{self.number}"


class EntityLookup(Protocol):
    """Knowledge of which entities there are, to tell references apart."""

    def has(self, entity: EntityRef) -> bool:
        """Return whether there is such an entity."""

    def workers_named(self, name: str) -> Sequence[WorkerId]:
        """Return the workers with a name at their provider: at most one for each provider."""


def parse_entity_ref(text: str, kind: str | None = None) -> EntityRef | None:
    """Parse a reference by id, or return None if the text is not one.

    Args:
        text: `unit-12` or `unit12`; `12` only if a kind is given.
        kind: the only kind that is meant.
    """
    found = _REF.fullmatch(text.strip())
    if found is None or (found[2] and int(found[3])):  # an id has no leading zeros; a name may
        return None
    written = found[1].lower() if found[1] else kind
    return None if written is None or kind not in (None, written) else EntityRef(written, int(found[3]))


def find_entity(lookup: EntityLookup, text: str, kinds: Sequence[str]) -> EntityRef:
    """Return the one entity that a text refers to. An id is returned even if there is no such entity.

    Args:
        lookup: knows which entities there are.
        text: an id, alone or after its kind, or the name of a worker at the provider. `id=...` and `name=...` say which
            of the two is meant.
        kinds: the kinds that fit; names are looked up only if workers are among them.

    Raises:
        AmbiguousReferenceError: it may be several; the error lists them, and how to write each of them.
        UnknownEntityError: it is neither an id nor the name of a worker.
    """
    text = text.strip()
    wants_id, wants_name = text.startswith(ID_PREFIX), text.startswith(NAME_PREFIX)
    bare = text.removeprefix(ID_PREFIX) if wants_id else text.removeprefix(NAME_PREFIX)
    by_id = [] if wants_name else list(dict.fromkeys(_by_id(bare, kinds)))
    existing = [entity for entity in by_id if lookup.has(entity)]
    named = _by_name(lookup, bare) if WORKER in kinds and not wants_id else []
    found = list(dict.fromkeys([*existing, *named]))
    if len(found) == 1:
        return found[0]
    if found:
        raise AmbiguousReferenceError(bare, {str(entity): _described(entity, existing, named) for entity in found})
    if len(by_id) == 1:
        return by_id[0]
    raise _unknown(bare, kinds)


def _by_id(text: str, kinds: Sequence[str]) -> Iterator[EntityRef]:
    for kind in kinds:
        # A number alone is no payment or resource.
        ref = parse_entity_ref(text, None if kind in RECORD_KINDS else kind)
        if ref is not None and ref.kind == kind:
            yield ref


def _by_name(lookup: EntityLookup, name: str) -> list[EntityRef]:
    if not name or len(name) > MAX_CHARACTERS:
        return []
    return [EntityRef(WORKER, number) for number in lookup.workers_named(name)]


def _described(entity: EntityRef, existing: Sequence[EntityRef], named: Sequence[EntityRef]) -> str:
    """Return a candidate with the way to write it unmistakably."""
    if entity in existing:
        return f"{entity} by its id (write {ID_PREFIX}{entity})"
    write = f"{NAME_PREFIX}..." if len(named) == 1 else f"{ID_PREFIX}{entity}"
    return f"{entity} by the name at its provider (write {write})"


def _unknown(text: str, kinds: Sequence[str]) -> UnknownEntityError:
    """Return the error for a text that refers to nothing; an id with leading zeros names what may be meant."""
    found = _REF.fullmatch(text)
    if found is not None and found[2]:
        kind = (found[1] or kinds[0]).lower()
        return UnknownEntityError(f"{kind} by the id {text!r}", f"{kind}-{int(found[3])}")
    if list(kinds) == [WORKER]:
        return UnknownEntityError(f"worker with the id or name {text[:MAX_CHARACTERS]!r}")
    return UnknownEntityError(f"{' or '.join(kinds)} {text[:MAX_CHARACTERS]!r}")
