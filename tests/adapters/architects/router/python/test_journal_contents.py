"""The journal's format: what was written is read again, whatever the last write left behind."""

from copy import deepcopy
from math import inf
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mephisto_es.adapters.architects.router.python.errors import DamagedJournalError
from mephisto_es.adapters.architects.router.python.journal.journal_contents import (
    JournalContents,
    ack_line,
    agent_line,
    header_line,
    packet_line,
    page_line,
    read_contents,
)
from mephisto_es.adapters.architects.router.python.journal.journal_lines import witness_line

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
TOKENS = st.sampled_from(["a", "b", "ü", ""])


class Meaning(msgspec.Struct):
    """The expected content of a journal."""

    next_seq: int
    unacknowledged: list[tuple[int, bytes]] = []
    agents: dict[str, str] = {}
    pages: set[str] = set()


class Written:
    """A journal's lines together with what they ought to mean."""

    def __init__(self, first_seq: int) -> None:
        self.lines = [header_line("an-incarnation", first_seq)]
        self.meanings = [Meaning(first_seq)]

    def add_packet(self, data: Any) -> None:
        packet = msgspec.json.encode({"packet_type": "submit_unit", "data": data})
        now = deepcopy(self.meanings[-1])
        now.unacknowledged.append((now.next_seq, packet))
        self._add(packet_line(now.next_seq, packet), now)
        now.next_seq += 1

    def add_ack(self, behind: int) -> None:
        """Acknowledge packets; with a negative number, some that were never given out."""
        now = deepcopy(self.meanings[-1])
        seq = max(0, now.next_seq - 1 - behind)
        now.unacknowledged = [entry for entry in now.unacknowledged if entry[0] > seq]
        now.next_seq = max(now.next_seq, seq + 1)
        self._add(ack_line(seq), now)

    def add_agent(self, agent: str, status: str | None) -> None:
        now = deepcopy(self.meanings[-1])
        now.agents.pop(agent, None)
        if status is None:
            now.pages.discard(agent)
        else:
            now.agents[agent] = status
        self._add(agent_line(agent, status), now)

    def add_page(self, agent: str) -> None:
        now = deepcopy(self.meanings[-1])
        if agent in now.agents:
            now.pages.add(agent)
        self._add(page_line(agent), now)

    def _add(self, line: bytes, meaning: Meaning) -> None:
        self.lines.append(line)
        self.meanings.append(meaning)


@st.composite
def journals(draw: st.DrawFn) -> Written:
    written = Written(draw(st.integers(1, 10**12)))
    for what in draw(st.lists(st.sampled_from(["packet", "ack", "agent", "page"]), max_size=12)):
        if what == "packet":
            written.add_packet(draw(JSON_VALUES))
        elif what == "ack":
            written.add_ack(draw(st.integers(-3, 5)))
        elif what == "page":
            written.add_page(draw(TOKENS))
        else:
            written.add_agent(draw(TOKENS), draw(st.none() | st.sampled_from(["in task", "completed"])))
    return written


def check(contents: JournalContents, meaning: Meaning, size_bytes: int) -> None:
    entries = [(entry.seq, entry.packet) for entry in contents.outbox.entries_from(0, inf)]
    assert (contents.incarnation, contents.size_bytes) == ("an-incarnation", size_bytes)
    assert Meaning(contents.outbox.next_seq, entries, contents.agents, contents.pages) == meaning
    assert contents.outbox.size_bytes == sum(len(packet) for _, packet in entries)


@given(journals())
def test_what_was_written_is_read(written: Written) -> None:
    check(read_contents(written.lines), written.meanings[-1], len(b"".join(written.lines)))


@given(journals(), st.data())
def test_a_journal_cut_off_anywhere_is_a_shorter_journal(written: Written, data: st.DataObject) -> None:
    whole = data.draw(st.integers(1, len(written.lines)), label="whole lines")
    rest = written.lines[whole] if whole < len(written.lines) else b""
    torn = rest[: data.draw(st.integers(0, max(0, len(rest) - 1)), label="bytes of the next")]

    contents = read_contents([*written.lines[:whole], *([torn] if torn else [])])

    check(contents, written.meanings[whole - 1], len(b"".join(written.lines[:whole])))


@given(journals(), st.data())
def test_damage_of_what_was_on_the_disk_is_found_and_other_damage_is_cut_off(
    written: Written, data: st.DataObject
) -> None:
    number = data.draw(st.integers(1, len(written.lines)) if len(written.lines) > 1 else st.just(1)) - 1
    line = bytearray(written.lines[number])
    position = data.draw(st.integers(0, len(line) - 2), label="damaged byte")
    line[position] ^= data.draw(st.sampled_from([1, 2, 4, 8, 16, 32, 64]), label="flipped")
    synced = data.draw(st.integers(0, len(written.lines)), label="lines that were on the disk")
    witness = witness_line(len(b"".join(written.lines[:synced])))
    damaged = [*written.lines[:number], bytes(line), *written.lines[number + 1 :], witness, b"torn"]

    if synced > number or number == 0:
        with pytest.raises(DamagedJournalError, match=f"line {number + 1}"):
            read_contents(damaged)
    else:
        check(read_contents(damaged), written.meanings[number - 1], len(b"".join(written.lines[:number])))


@pytest.mark.parametrize("lines", [[], [b""], [b"deadbeef {}\n"], [ack_line(1)], [b"\0" * 100]])
def test_a_journal_without_a_header_is_damaged(lines: list[bytes]) -> None:
    with pytest.raises(DamagedJournalError, match="line 1"):
        read_contents(lines)


def test_a_second_header_is_damage() -> None:
    with pytest.raises(DamagedJournalError, match="line 2"):
        read_contents([header_line("one", 1), header_line("two", 1), ack_line(1)])


def test_a_packet_that_does_not_follow_the_one_before_is_damage() -> None:
    with pytest.raises(DamagedJournalError, match="line 2 is not a record that can stand there"):
        read_contents([header_line("one", 1), packet_line(5, b"{}")])


def test_lines_are_as_agreed_with_other_routers() -> None:
    assert header_line("id", 1) == b'a29dc6bc {"incarnation":"id","next_seq":1}\n'
    assert ack_line(7).endswith(b' {"ack":7}\n')
    assert agent_line("a", "in task").endswith(b' {"agent":"a","status":"in task"}\n')
    assert page_line("a").endswith(b' {"page":"a"}\n')
    assert witness_line(9).endswith(b' {"durable":9}\n')
    assert packet_line(3, b'{"packet_type":"x"}').endswith(b' {"seq":3,"packet":{"packet_type":"x"}}\n')
