"""Packets as the factory makes them."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from mephisto_es.adapters.architects.router.python.packets import BUSY, PacketFactory, WirePacket

FACTORY = PacketFactory(lambda: 1795290650.59749)


@given(
    st.dictionaries(
        st.text(min_size=1).filter(lambda key: key not in {"seq", "router_outgoing_timestamp"}),
        st.integers(0, 10),
        min_size=1,
    ),
    st.integers(1),
)
def test_a_number_and_the_time_are_added_to_a_packet(packet: dict[str, int], seq: int) -> None:
    numbered = json.loads(FACTORY.numbered(msgspec.json.encode(packet), seq))
    assert numbered == {"seq": seq, "router_outgoing_timestamp": 1795290650.597, **packet}


def test_a_forwarded_packet_keeps_what_it_had_and_gets_the_time() -> None:
    packet = WirePacket(packet_type="update_status", subject_id="a", data=msgspec.Raw(b'{"x":1.0}'))
    assert FACTORY.forwarded(packet) == (
        b'{"packet_type":"update_status","subject_id":"a","data":{"x":1.0},'
        b'"router_incoming_timestamp":1795290650.597,"router_outgoing_timestamp":1795290650.597}'
    )


def test_a_busy_answer_names_its_request() -> None:
    data = json.loads(FACTORY.busy("x"))["data"]
    assert (data["request_id"], data["agent_id"], data["failure_reason"]) == ("x", None, BUSY)
