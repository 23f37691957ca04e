"""Which events are worth a notice, and what it says."""

from __future__ import annotations

import pytest

from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.adapters.notify.notice import NOTICE_KINDS, Notice, NoticeRules
from mephisto_es.events.ids import AgentId
from mephisto_es.events.unit import UnitAccepted, UnitCompleted

from .events import HOUR, KINDS, WORTH_A_NOTICE, created, on_unit, requests, unit

DAY = 24 * HOUR


def notices_of(log: MemoryLog, rules: NoticeRules) -> list[Notice]:
    return [notice for recorded in log.read() for notice in rules.apply(recorded)]


def test_each_kind_has_its_words() -> None:
    log = MemoryLog()
    log.commit(requests(*WORTH_A_NOTICE))
    found = notices_of(log, NoticeRules(NOTICE_KINDS))
    assert [notice.kind for notice in found] == KINDS
    assert [notice.text for notice in found] == [
        "run 1: on_unit_submitted failed at run_task.py:7: ValueError",
        "admission is paused because on_unit_submitted failed 3 times in a row: fix it and resume the run, or ask it "
        "again with `mephisto-es retry 1`",
        "run 1: 50 % of the budget is committed",
        "run 1: 80 % of the budget is committed",
        "run 1: 100 % of the budget is committed",
        "run 1: paused: the process was asked to end (SIGTERM)",
        "run 1: failed at live: the router is gone",
        "run 1: completed",
    ]
    assert [notice.id for notice in found][:2] == ["3-callbacks", "4-admission"]
    assert {notice.run for notice in found} == {1}


def test_only_what_is_chosen_makes_notices_and_any_event_can_be() -> None:
    log = MemoryLog()
    log.commit(requests(*WORTH_A_NOTICE))
    found = notices_of(log, NoticeRules(["paused", "unit_created"]))
    assert [(notice.kind, notice.text) for notice in found] == [
        ("unit_created", "unit/1/1: created, worth 0.25"),
        ("paused", "run 1: paused: the process was asked to end (SIGTERM)"),
    ]


def test_reviewers_are_reminded_before_the_site_approves() -> None:
    log, rules = MemoryLog(), NoticeRules(["approvals"])
    log.commit(requests(created(), unit(1), unit(2), unit(3), at=0))
    log.commit([on_unit(number, UnitCompleted(agent=AgentId(number)), at=number) for number in (1, 2, 3)])
    log.commit([on_unit(3, UnitAccepted(), at=4)])
    assert notices_of(log, rules) == []
    assert list(rules.due(0, 19 * DAY)) == []
    [reminder] = rules.due(0, 20 * DAY)
    assert reminder.text == "run 1: the site approves 2 units within 48 hours unless you review them"
    assert reminder.id == "6-approvals"
    assert list(rules.due(20 * DAY, 30 * DAY)) == []
    assert list(NoticeRules(["paused"]).due(0, 30 * DAY)) == []


@pytest.mark.parametrize("provider", ["mock", "link", "sona"])
def test_nobody_is_reminded_of_what_no_site_approves(provider: str) -> None:
    log, rules = MemoryLog(), NoticeRules(["approvals"])
    log.commit(requests(created(provider), unit(1), at=0))
    log.commit([on_unit(1, UnitCompleted(agent=AgentId(1)), at=1)])
    assert notices_of(log, rules) == []
    assert list(rules.due(0, 100 * DAY)) == []


def test_commands_in_notices_name_the_log() -> None:
    """Whoever reads a mail is in another folder than the operator."""
    log = MemoryLog()
    log.commit(requests(*WORTH_A_NOTICE))
    texts = [notice.text for notice in notices_of(log, NoticeRules(NOTICE_KINDS, "/srv/the study"))]
    assert "again with `mephisto-es retry '/srv/the study' 1`" in texts[1]
