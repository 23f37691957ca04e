"""Events of earlier releases, read as those of this one."""

from __future__ import annotations

import msgspec
import pytest

from mephisto_es.events.base import Event
from mephisto_es.events.codec import KINDS, Codec, UndecodableError, UnknownKindError, encode
from mephisto_es.events.envelope import Envelope, Position
from mephisto_es.events.unit import UnitExpired, UnitLaunched
from mephisto_es.events.upcasting import UPCASTERS, Upcasters


class UnitLapsed(Event, frozen=True, kw_only=True, tag="unit_lapsed"):
    """The event of an earlier release in place of `UnitExpired`."""

    why: str
    after_seconds: int = 0


class UnitGone(Event, frozen=True, kw_only=True, tag="unit_gone"):
    """The event of the release before that."""


def invented() -> Upcasters:
    """Two retired events, one of which became the other."""
    upcasters = Upcasters()
    upcasters.add(UnitGone, lambda _: UnitLapsed(why="unknown"))
    upcasters.add(UnitLapsed, lambda old: UnitExpired(reason=f"{old.why} after {old.after_seconds} s"))
    return upcasters


def written(event: bytes) -> bytes:
    """An envelope around what an earlier release wrote."""
    beside = b'"stream":"unit/1/1","version":3,"at":7,"command":"c","ordinal":1,"actor":"reviewer","cause":["main",2]'
    return b"{" + beside + b',"event":' + event + b"}"


def read(event: bytes) -> Envelope:
    return Codec(invented()).decode(written(event))


def test_a_retired_event_is_read_as_its_successor() -> None:
    assert read(b'{"kind":"unit_lapsed","why":"nobody came","after_seconds":60}') == Envelope(
        stream="unit/1/1",
        version=3,
        at=7,
        command="c",
        ordinal=1,
        actor="reviewer",
        cause=Position("main", 2),
        event=UnitExpired(reason="nobody came after 60 s"),
    )


def test_a_successor_that_was_retired_in_its_turn_is_carried_on() -> None:
    assert read(b'{"kind":"unit_gone"}').event == UnitExpired(reason="unknown after 0 s")


def test_events_of_this_release_are_read_beside_them() -> None:
    codec = Codec(invented())
    now = encode(read(b'{"kind":"unit_launched"}'))
    assert codec.decode(now).event == UnitLaunched()
    assert codec.decode_page([now, now]) == [codec.decode(now)] * 2
    with pytest.raises(UndecodableError):
        codec.decode_page([now, written(b'{"kind":"unit_gone"}')])


def test_a_retired_event_is_held_to_its_own_shape() -> None:
    for event in (b'{"kind":"unit_lapsed"}', b'{"kind":"unit_gone","why":"x"}', b'{"kind":"unit_lapsed","why":1}'):
        with pytest.raises(UndecodableError) as refused:
            read(event)
        assert not isinstance(refused.value, UnknownKindError)
    with pytest.raises(UnknownKindError, match="'unit_adored'"):
        read(b'{"kind":"unit_adored"}')


def test_an_envelope_around_a_retired_event_is_held_to_its_shape_too() -> None:
    data = written(b'{"kind":"unit_gone"}').replace(b'"ordinal":1,', b"")
    with pytest.raises(UndecodableError, match="ordinal"):
        Codec(invented()).decode(data)


def test_a_tag_has_one_meaning() -> None:
    upcasters = invented()
    with pytest.raises(ValueError, match="'unit_gone' was retired before"):
        upcasters.add(UnitGone, lambda _: UnitExpired(reason=""))
    upcasters.add(UnitLaunched, lambda _: UnitExpired(reason=""))
    with pytest.raises(ValueError, match="still in the catalogue: unit_launched"):
        Codec(upcasters)


def test_successors_that_go_in_a_circle_end_in_an_error() -> None:
    upcasters = Upcasters()
    upcasters.add(UnitGone, lambda _: UnitLapsed(why=""))
    upcasters.add(UnitLapsed, lambda _: UnitGone())
    with pytest.raises(UndecodableError, match="unit_gone"):
        Codec(upcasters).decode(written(b'{"kind":"unit_gone"}'))


def test_what_this_project_retired_is_written_no_more() -> None:
    assert KINDS.isdisjoint(UPCASTERS.kinds)
    assert {"unit_gone", "unit_lapsed"} == invented().kinds
    assert msgspec.structs.fields(UnitGone) == ()
