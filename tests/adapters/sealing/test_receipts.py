"""Receipts for workers: a promise at first, a proof once the log is sealed, and nothing of others in it."""

from __future__ import annotations

import importlib.util
import json
import stat
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mephisto_es.adapters.sealing.extra import load_receipts
from mephisto_es.adapters.sealing.keys import read_key
from mephisto_es.adapters.sealing.seal_files import PublicKeys
from mephisto_es.adapters.sealing.seals import seal_log, verify_proof
from mephisto_es.core.packet_data import PageReceipt
from mephisto_es.events import streams
from mephisto_es.events.agent import AgentAccepted, AgentApproved, AgentRejected, AgentSubmitted
from mephisto_es.events.ids import AgentId, TaskRunId
from mephisto_es.projections.sealing.notes import SealError
from mephisto_es.projections.sealing.receipt import ProvedReceipt

from ..log.support import edited
from . import second_implementation
from .sealed_history import HISTORY, commit
from .test_sealing import ask, structured


def some_work() -> tuple[str, int]:
    """Return the stream of an agent with a verdict, and the number of requests of the history before the verdict."""
    submitted: set[str] = set()
    for number, one in enumerate(HISTORY):
        for stream, event in one.events:
            if isinstance(event, AgentSubmitted):
                submitted.add(stream)
            if isinstance(event, AgentApproved | AgentRejected) and stream in submitted:
                return stream, number
    raise LookupError("nobody has a verdict")


STREAM, BEFORE_VERDICT = some_work()
RUN, AGENT = TaskRunId(int(STREAM.split("/")[1])), AgentId(int(STREAM.split("/")[2]))
EVENTS = [event for one in HISTORY for stream, event in one.events if stream == STREAM]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))
    commit(tmp_path / "mephisto.db", 0, BEFORE_VERDICT)
    return tmp_path


def receipt_of(folder: Path) -> PageReceipt:
    receipts = load_receipts(folder / "mephisto.db")
    assert receipts is not None
    made = receipts.proof(RUN, AGENT)
    assert made is not None
    return made


def public_key(folder: Path) -> str:
    return read_key(folder / "seal.key").verifier.text


def checked(folder: Path, text: str) -> ProvedReceipt:
    found = verify_proof(text, PublicKeys(public_key(folder)))
    assert isinstance(found, ProvedReceipt)
    return found


def test_a_promise_becomes_a_proof(folder: Path) -> None:
    database = folder / "mephisto.db"
    first = receipt_of(folder)
    assert (first.proved, first.file) == (0, f"agent-{AGENT}.receipt")
    assert "submitted on" in checked(folder, first.text).sentence
    (folder / "one.seal").write_text(seal_log(database, read_key(folder / "seal.key")).note)
    assert receipt_of(folder).proved == first.events
    commit(database, BEFORE_VERDICT, len(HISTORY))
    later = receipt_of(folder)
    assert (later.proved, later.events) == (first.events, len(EVENTS))
    sentence = checked(folder, later.text).sentence
    assert ("approved on" in sentence) or ("rejected on" in sentence)
    (folder / "two.seal").write_text(seal_log(database, read_key(folder / "seal.key")).note)
    last = receipt_of(folder)
    assert last.proved == last.events == len(EVENTS)
    for one in (first, later, last):
        events, proved, _ = second_implementation.verify_receipt(one.text, public_key(folder))
        assert (events, proved) == (one.events, one.proved)


def test_the_first_receipt_makes_a_key_that_is_its_owners(folder: Path) -> None:
    receipt_of(folder)
    assert stat.S_IMODE((folder / "seal.key").stat().st_mode) == 0o600
    assert read_key(folder / "seal.key").name.startswith("mephisto-es/")


def test_a_live_run_gets_promises_only(folder: Path) -> None:
    receipts = load_receipts(folder / "mephisto.db")
    assert receipts is not None
    assert receipts.promise(RUN, AGENT) is not None
    (folder / "one.seal").write_text(seal_log(folder / "mephisto.db", read_key(folder / "seal.key")).note)
    made = receipts.promise(RUN, AGENT)
    assert made is not None
    assert made.proved == 0


def test_without_the_extra_there_are_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert load_receipts(folder / "mephisto.db") is None


def test_there_is_none_of_work_that_does_not_exist(folder: Path) -> None:
    receipts = load_receipts(folder / "mephisto.db")
    assert receipts is not None
    assert receipts.promise(RUN, AgentId(10**6)) is None


def test_a_receipt_has_nothing_of_others_and_no_values(folder: Path) -> None:
    commit(folder / "mephisto.db", BEFORE_VERDICT, len(HISTORY))
    text = receipt_of(folder).text
    accepted = EVENTS[0]
    assert isinstance(accepted, AgentAccepted)
    quoted = [json.loads(one) for one in json.loads(text)["events"] if one is not None]
    assert {one["actor"] for one in quoted} <= {f"worker/{accepted.worker}"}
    assert "reviewer" not in text
    values = [payload.body.decode() for one in HISTORY for payload in one.payloads if len(payload.body) > 8]
    assert not [value for value in values if value in text or json.dumps(value)[1:-1] in text]


def test_a_receipt_is_checked_on_the_command_line(folder: Path) -> None:
    path = folder / "mine.receipt"
    path.write_text(receipt_of(folder).text)
    key = public_key(folder)
    shown = ask("verify", "--proof", path, "--public-key", key)
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"genuine  The log {key.split('+')[0]} has the work on unit ")
    assert "are promised: ask for the receipt again once the log is sealed" in shown.stdout
    assert ask("verify", folder, "--receipt", path, "--public-key", key).exit_code == 0
    structured(0, "seal", folder, str(RUN))
    proved = structured(0, "prove", folder, f"agent-{AGENT}")
    assert proved["proved"] == proved["events"]
    assert "promised" not in ask("verify", "--proof", proved["proof"], "--public-key", key).stdout
    no_receipt = ask("verify", folder, "--receipt", folder / f"run-{RUN}.seal", "--public-key", key)
    assert "this is not a proof" in no_receipt.stderr


def test_a_log_that_breaks_its_promise_is_found(folder: Path) -> None:
    path = folder / "mine.receipt"
    path.write_text(receipt_of(folder).text)
    with edited(folder / "mephisto.db") as db:
        db.execute("UPDATE events SET data = CAST(replace(data, 'actor', 'sctor') AS BLOB) WHERE stream = ?", (STREAM,))
    broken = ask("verify", folder, "--receipt", path, "--public-key", public_key(folder))
    assert broken.exit_code == 1
    assert "does not have event" in broken.stderr


def test_forged_receipts_are_refused_by_both(folder: Path) -> None:
    (folder / "one.seal").write_text(seal_log(folder / "mephisto.db", _key_of(folder)).note)
    text, random, key = receipt_of(folder).text, Random(2), public_key(folder)
    letters = [index for index, letter in enumerate(text) if letter.isalnum()]
    for _ in range(40):
        index = random.choice(letters)
        is_refused_by_both(text[:index] + ("x" if text[index] != "x" else "y") + text[index + 1 :], key)


@pytest.mark.parametrize("part", ["events", "proofs", "stream", "seal", "sentence"])
def test_a_receipt_without_a_part_is_refused_by_both(folder: Path, part: str) -> None:
    (folder / "one.seal").write_text(seal_log(folder / "mephisto.db", _key_of(folder)).note)
    receipt: Any = json.loads(receipt_of(folder).text)
    less = receipt[part][:-1] if isinstance(receipt[part], list | str) else None
    is_refused_by_both(json.dumps(receipt | {part: less}), public_key(folder))


def _key_of(folder: Path) -> Any:
    receipt_of(folder)
    return read_key(folder / "seal.key")


def is_refused_by_both(text: str, key: str) -> None:
    with pytest.raises(SealError):
        verify_proof(text, PublicKeys(key))
    with pytest.raises((AssertionError, ValueError, KeyError, TypeError, AttributeError)):
        second_implementation.verify_receipt(text, key)


def test_the_history_has_what_these_tests_are_about() -> None:
    assert any(isinstance(event, AgentSubmitted) for event in EVENTS)
    assert streams.agent(RUN, AGENT) == STREAM
