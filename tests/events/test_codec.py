"""Every event there is survives its encoding; what is no event of ours is told from what is damaged."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mephisto_es.events.catalogue import CATEGORY_OF, AnyEvent
from mephisto_es.events.codec import (
    KIND_OF,
    KINDS,
    UndecodableError,
    UnknownKindError,
    decode,
    decode_page,
    encode,
    stored_kind,
)
from mephisto_es.events.envelope import Envelope
from mephisto_es.events.streams import partition_of

from ..strategies import envelopes, every_event

every_kind = pytest.mark.parametrize("kind", KIND_OF, ids=KIND_OF.values())
WORDS = st.from_regex(r"[a-z_]{1,20}", fullmatch=True)


def around(event: AnyEvent) -> Envelope:
    return Envelope(stream="unit/1/1", version=1, at=1, command="c", ordinal=0, actor="operator", event=event)


def changed(envelope: Envelope, **event: object) -> bytes:
    """The bytes of an envelope whose event says something else."""
    fields = msgspec.to_builtins(envelope)
    return msgspec.json.encode(fields | {"event": fields["event"] | event})


@every_kind
@settings(max_examples=settings().max_examples // 10)  # of each of the kinds
@given(data=st.data())
def test_an_event_comes_back_as_it_was_written(kind: type[AnyEvent], data: st.DataObject) -> None:
    envelope = data.draw(envelopes(kind))
    written = encode(envelope)
    assert decode(written) == envelope
    assert type(decode(written).event) is kind
    assert encode(decode(written)) == written
    assert decode_page([written, written]) == [envelope, envelope]
    assert stored_kind(written) == KIND_OF[kind]


@given(event=every_event, kind=WORDS.filter(lambda word: word not in KINDS))
def test_an_unknown_kind_is_named_and_not_skipped(event: AnyEvent, kind: str) -> None:
    written = changed(around(event), kind=kind)
    with pytest.raises(UnknownKindError, match=f"'{kind}'") as unknown:
        decode(written)
    assert unknown.value.kind == stored_kind(written) == kind
    with pytest.raises(UndecodableError):
        decode_page([encode(around(event)), written])


@given(event=every_event, name=WORDS)
def test_a_field_that_no_event_has_is_refused(event: AnyEvent, name: str) -> None:
    if name in {"kind", *(field.name for field in msgspec.structs.fields(event))}:
        return
    with pytest.raises(UndecodableError) as refused:
        decode(changed(around(event), **{name: 1}))
    assert "if a newer mephisto-es wrote it, update this one" in str(refused.value)
    assert not isinstance(refused.value, UnknownKindError)


@given(event=every_event, cut=st.data())
def test_half_an_event_is_refused(event: AnyEvent, cut: st.DataObject) -> None:
    written = encode(around(event))
    with pytest.raises(UndecodableError) as refused:
        decode(written[: cut.draw(st.integers(0, len(written) - 1))])
    assert not isinstance(refused.value, UnknownKindError)


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(UndecodableError):
        decode(data)
    assert stored_kind(data) is None


@every_kind
def test_every_kind_has_its_place(kind: type[AnyEvent]) -> None:
    assert partition_of(f"{CATEGORY_OF[kind]}/1/1")
    assert kind.__struct_config__.forbid_unknown_fields
    assert kind.__struct_config__.frozen


def test_no_kind_is_placed_that_is_not_in_the_catalogue() -> None:
    assert set(CATEGORY_OF) == set(KIND_OF)
