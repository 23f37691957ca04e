"""The page on which a reviewer decides the label of items whose answers differ."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.web.access import Access, Role, WebReviewer
from mephisto_es.core.commands.review import Verdict
from mephisto_es.core.operations.control.requests import VerdictRequest
from mephisto_es.core.payloads import seal
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import streams
from mephisto_es.events.assignment import AssignmentLabelled, LabelSource
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.events.ids import AgentId, AssignmentId, TaskRunId, UnitId
from mephisto_es.projections.queries.quality.decided_labels import LabelDecision, label_decisions
from mephisto_es.projections.queries.quality.disagreements import RunAnswers
from mephisto_es.projections.registry import PROJECTIONS

from ...projections.memory_as_of import MemoryAsOf
from ...sample_log import judged_history
from .visitor import AUTHOR, Visitor, words_of

PAGE = "/runs/1/adjudicate"
QUALITY = "/runs/1/quality"


def answers_of(worker: int, item: int) -> dict[str, object]:
    """Return answers of three workers: on every third item, one of them gives another label."""
    label = "<i>dog</i>" if worker == 1 and item % 3 == 0 else "cat"
    return {"label": label, "sure": worker % 2 == 0, "why": f"worker {worker} saw this in item {item}"}


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(judged_history(9, 3, 3, answers_of, shared=lambda item: {"text": f"text {item}"}))
    return path


@pytest.fixture
def reader(judged: Path) -> Iterator[Visitor]:
    visitor = Visitor(judged, Access(None), "127.0.0.1")
    yield visitor
    visitor.log.close()


def form_of(page: httpx.Response, question: str) -> dict[str, str]:
    """Return the hidden fields of the form for a question."""
    forms = page.text.split("<form method=")[1:]
    form = next(one for one in forms if f'name="question" value="{question}"' in one)
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))


def decision_in(database: Path, item: int, question: str) -> LabelDecision:
    with open_as_of(database) as moment:
        return label_decisions(moment, TaskRunId(1))[AssignmentId(item)][question]


async def test_items_are_decided_one_after_the_other(reader: Visitor, judged: Path) -> None:
    assert "the answers to 3 items differ; adjudicated: 0" in await reader.read(QUALITY)
    page = await reader.get(f"{PAGE}?by=label")
    said = words_of(page)
    assert "3 to decide, 0 decided" in said
    assert "assignment-3" in said
    assert "text text 3" in said
    assert "cat 2: worker-2 Zoë 2 , worker-3 Zoë 3" in said
    assert "<i>dog</i>" not in page.text
    page = await reader.post(f"{PAGE}?by=label", {**form_of(page, "label"), "label": "cat", "note": "seen"})
    said = words_of(page)
    assert "Your decision about assignment-3 is recorded." in said
    assert "2 to decide, 1 decided" in said
    assert form_of(page, "label")["assignment"] == "6"
    decision = decision_in(judged, 3, "label")
    assert (decision.label, decision.note, decision.reviewer) == ("cat", "seen", AUTHOR)
    assert len(decision.units) == 3
    said = await reader.read(QUALITY)
    assert "the answers to 3 items differ; adjudicated: 1" in said
    assert "adjudicated: 1 item" in said
    for item in (6, 9):
        assert form_of(page, "label")["assignment"] == str(item)
        page = await reader.post(f"{PAGE}?by=label", {**form_of(page, "label"), "other": "neither"})
    assert "Everything that differs is decided." in words_of(page)
    assert decision_in(judged, 9, "label").label == "neither"


async def test_a_decision_is_revised_and_taken_back(reader: Visitor, judged: Path) -> None:
    address = f"{PAGE}?assignment=4"
    page = await reader.get(address)
    assert "all answers are the same" in words_of(page)
    form = form_of(page, "why")
    await reader.post(PAGE, {**form, "label": "worker 2 saw this in item 4"})
    assert decision_in(judged, 4, "why").label == "worker 2 saw this in item 4"
    twice = await reader.post(PAGE, {**form, "label": "worker 2 saw this in item 4"}, status=200)
    assert "is recorded" in words_of(twice), "the same form again does nothing twice"
    assert decision_in(judged, 4, "why").number == 1
    refused = await reader.post(PAGE, {**form, "label": "worker 3 saw this in item 4"}, status=409)
    assert "somebody has decided about this meanwhile" in words_of(refused)
    page = await reader.get(address)
    assert "Decided by tester: worker 2 saw this in item 4" in words_of(page)
    page = await reader.post(PAGE, {**form_of(page, "why"), "take_back": "1"})
    assert "The decision about assignment-4 is taken back." in words_of(page)
    assert "tester has taken the decision back." in words_of(page)
    assert decision_in(judged, 4, "why").is_taken_back


async def test_what_is_no_answer_is_refused(reader: Visitor) -> None:
    page = await reader.get(f"{PAGE}?assignment=4")
    refused = await reader.post(PAGE, {**form_of(page, "sure"), "other": "perhaps"}, status=400)
    assert "'perhaps' is no answer to 'sure'" in words_of(refused)
    assert 'value="perhaps"' in refused.text
    refused = await reader.post(PAGE, form_of(page, "sure"), status=400)
    assert "a label has 1 to 10,000 characters" in words_of(refused)
    refused = await reader.post(PAGE, {**form_of(page, "sure"), "question": "none", "other": "x"}, status=400)
    assert "there are no answers to 'none'" in words_of(refused)
    await reader.read(f"{PAGE}?by=lable", status=400)
    await reader.read(f"{PAGE}?assignment=99", status=404)
    await reader.read("/runs/9/adjudicate", status=404)


async def test_who_may_only_look_decides_nothing(judged: Path) -> None:
    visitor = Visitor(judged, Access(None, {"token": WebReviewer("user/viewer", Role.VIEW)}), "127.0.0.1")
    await visitor.post("/login", {"token": "token"})
    page = await visitor.get(PAGE)
    await visitor.post(PAGE, {**form_of(page, "label"), "label": "cat"}, status=403)
    visitor.log.close()
    with open_as_of(judged) as moment:
        assert not label_decisions(moment, TaskRunId(1))


async def test_the_desk_leads_to_the_item(reader: Visitor) -> None:
    page = await reader.get("/runs/1/review/desk")
    assert f'href="{PAGE}?assignment=1"' in page.text


async def test_what_was_recorded_since_the_page_was_read_is_seen(reader: Visitor) -> None:
    page = await reader.get(f"{PAGE}?by=label")
    assert "3 to decide, 0 decided" in words_of(page)
    page = await reader.post(f"{PAGE}?by=label", {**form_of(page, "label"), "label": "cat"})
    assert "2 to decide, 1 decided" in words_of(page)
    # Rejected work does not count: the other answers to item 6 are alike.
    rejected = VerdictRequest(agent=AgentId(16), verdict=Verdict.REJECTED, note="copied")
    assert (await reader.log.record_verdicts([rejected], "ann")).recorded == 1
    assert "1 to decide, 1 decided" in words_of(await reader.get(f"{PAGE}?by=label"))


class Watched(MemoryAsOf):
    """A log in memory that counts how often all items of a run are read."""

    reads = 0

    def under(self, prefix: str) -> list[RecordedEvent]:
        self.reads += 1
        return super().under(prefix)


def test_a_decision_alone_makes_nobody_read_everything_again() -> None:
    history = [*judged_history(9, 3, 3, answers_of)]
    early = RunAnswers(Watched(history), TaskRunId(1))
    label = seal(b'"cat"', b"salt" * 4)
    decision = AssignmentLabelled(
        question="label", label=label.ref, source=LabelSource.ADJUDICATION, units=(UnitId(7),), reviewer="user/ann"
    )
    stream = streams.assignment(TaskRunId(1), AssignmentId(3))
    history.append(
        AppendRequest(
            command="c", actor="a", at=history[-1].at + 1, events=(NewEvent(stream, decision),), payloads=(label,)
        )
    )
    later = Watched(history)
    found = early.at(later)
    assert later.reads == 0
    assert found.disagreements("label") == RunAnswers(Watched(history), TaskRunId(1)).disagreements("label")
    assert [one.decision and one.decision.label for one in found.disagreements("label")] == ["cat", None, None]
    assert found.about(AssignmentId(3))[0].number == 1
    assert all(one.decision is None for one in early.disagreements("label"))
