"""Pages about tasks, qualifications, settings and the history of a worker; repeated events and marked moments."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.web.moments import find_marks
from mephisto_es.adapters.web.pages.runs import folded
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import streams
from mephisto_es.events.catalogue import AnyEvent
from mephisto_es.events.task_run import TaskRunPaused, TaskRunRecovering, TaskRunWentLive
from mephisto_es.projections.queries.history.timeline import TimelineEntry
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import RUN, sample_history
from .visitor import Visitor, words_of


def line(seq: int, text: str) -> TimelineEntry:
    return TimelineEntry(seq=seq, date="", stream="unit/1/1", kind="k", actor="operator", text=text, status=None)


async def test_tasks_and_settings_are_listed(visitor: Visitor) -> None:
    said = await visitor.read("/tasks")
    assert "task-1 sentence rating static_task 1" in said
    assert f"run-{RUN}" in said
    said = await visitor.read(f"/runs/{RUN}/settings")
    assert "These are the settings with which the run was launched." in said


async def test_qualifications_are_listed_with_those_who_have_them(visitor: Visitor) -> None:
    assert "There are none." in await visitor.read("/qualifications")
    await visitor.send("/workers/3", {"action": "grant", "name": "careful", "value": "2"})
    assert "careful 1 worker-3 2" in await visitor.read("/qualifications")


async def test_a_worker_has_a_page_with_work_verdicts_and_money(visitor: Visitor) -> None:
    before = await visitor.read("/workers/3/work")
    assert "completed" in before
    with open_as_of(visitor.log.database) as moment:
        agent = next(one.agent_id for one in moment.db.find_agents(worker_id=3) if one.status == "completed")
    await visitor.send(f"/runs/{RUN}/review", {f"verdict-{agent}": "approved", f"note-{agent}": "well <done>"})
    page = await visitor.get("/workers/3/work")
    said = words_of(page)
    assert "well <done>" in said
    looks = [unescape(address) for address in re.findall(r'href="(/runs/1/review/desk[^"]+)"', page.text)]
    assert len(looks) == 5
    for address in looks:
        unit = address.rpartition("unit=")[2]
        assert f"unit-{unit} · " in await visitor.read(address), "the desk shows this work first"
    assert "pay owed" in said
    await visitor.read("/workers/999/work", status=404)


async def test_the_moments_of_a_run_are_marked(visitor: Visitor) -> None:
    page = await visitor.get(f"/runs/{RUN}")
    assert 'label="live"' in page.text
    assert "first rejection" not in page.text
    with open_as_of(visitor.log.database) as moment:
        (agent, *_) = [one.agent_id for one in moment.db.find_agents(status="completed")]
    await visitor.send(f"/runs/{RUN}/review", {f"verdict-{agent}": "rejected", f"note-{agent}": "copied"})
    assert 'label="first rejection"' in (await visitor.get(f"/runs/{RUN}")).text


def test_an_operator_that_left_no_word_has_crashed(tmp_path: Path) -> None:
    day = sample_history()
    with SqliteLog.create_or_open(tmp_path / "mephisto.db", PROJECTIONS) as log:
        log.commit(day)
        head = log.head().seq
        resumed = TaskRunRecovering(reason="resumed")
        later: list[AnyEvent] = [resumed, TaskRunWentLive(), TaskRunPaused(reason="lunch"), resumed]
        for number, event in enumerate(later):
            new = (NewEvent(streams.task_run(RUN), event),)
            log.commit([AppendRequest(command=f"later-{number}", actor="test", at=day[-1].at, events=new)])
    with open_as_of(tmp_path / "mephisto.db") as moment:
        marks = [(mark.seq, mark.text) for mark in find_marks(moment, RUN) if mark.seq >= head]
    assert marks == [
        (head, "crash"),
        (head + 1, "resumed"),
        (head + 2, "live"),
        (head + 3, "paused"),
        (head + 4, "resumed"),
    ]


def test_lines_that_say_the_same_are_one() -> None:
    lines = [line(1, "a"), line(2, "b"), line(3, "b"), line(4, "a")]
    assert [(one.seq, times) for one, times in folded(lines)] == [(4, 1), (3, 2), (1, 1)]
