"""The parts that all fakes share: clock, agenda, faults, guesses, schema."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from starlette.requests import Request

from mephisto_es.adapters import fakes
from mephisto_es.adapters.fakes.clock import START_SECONDS, Agenda, FakeClock, iso_time
from mephisto_es.adapters.fakes.connect.guesses import ConnectGuess
from mephisto_es.adapters.fakes.faults import Fault, FaultPlan, Faults
from mephisto_es.adapters.fakes.guesses import GuessEnum, Guesses, guess_table
from mephisto_es.adapters.fakes.prolific.guesses import ProlificGuess
from mephisto_es.adapters.fakes.sona.guesses import SonaGuess
from mephisto_es.adapters.fakes.wire import FakeRefusalError, SchemaError, read_body, write_answer
from mephisto_es.core.errors import ConfigError

FOLDER = Path(fakes.__file__).parent
KINDS: dict[str, type[GuessEnum]] = {"connect": ConnectGuess, "prolific": ProlificGuess, "sona": SonaGuess}


def test_time_passes_and_can_be_moved_forward() -> None:
    now = [5.0]
    clock = FakeClock(lambda: now[0])
    assert clock.now() == START_SECONDS
    now[0] += 2
    clock.advance(3600)
    assert clock.now() == START_SECONDS + 3602
    for seconds in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="forward"):
            clock.advance(seconds)
    assert iso_time(START_SECONDS) == "2026-11-02T09:00:00.000000Z"


def test_planned_effects_happen_in_order_and_may_plan_more() -> None:
    clock = FakeClock(lambda: 0.0, 0.0)
    agenda, happened = Agenda(clock), []
    agenda.after(20, lambda at: happened.append(("late", at)))

    def early(at: float) -> None:
        happened.append(("early", at))
        agenda.at(at + 5, lambda at: happened.append(("follows", at)))

    agenda.after(10, early)
    agenda.run_due()
    assert happened == []
    assert agenda.next_time() == 10
    clock.advance(100)
    agenda.run_due()
    assert happened == [("early", 10), ("follows", 15), ("late", 20)]
    assert agenda.next_time() is None


def test_faults_follow_a_script_and_then_their_probabilities() -> None:
    plan = FaultPlan(lost_before=0.25, throttled=0.25, script=(Fault.LOST_AFTER, Fault.NONE), only="POST /pay")
    faults = Faults(plan)
    assert faults.draw("POST /pay/1") is Fault.LOST_AFTER
    assert faults.draw("POST /pay/1") is Fault.NONE
    drawn = Counter(faults.draw("GET /") for _ in range(4000))
    assert set(drawn) == {Fault.NONE, Fault.LOST_BEFORE, Fault.THROTTLED}
    assert all(900 < drawn[fault] < 1100 for fault in (Fault.LOST_BEFORE, Fault.THROTTLED))
    one, other = Faults(plan), Faults(plan)
    assert [one.draw("x") for _ in range(50)] == [other.draw("x") for _ in range(50)]


@pytest.mark.parametrize("name", sorted(KINDS))
def test_the_page_of_guesses_has_each_switch(name: str) -> None:
    """To renew it, print `guess_table` of the site."""
    assert guess_table(KINDS[name]) in (FOLDER / name / "GUESSES.md").read_text()


def test_each_folder_of_a_fake_has_its_guesses() -> None:
    assert sorted(path.parent.name for path in FOLDER.glob("*/guesses.py")) == sorted(KINDS)


def test_guesses_are_flipped_by_name() -> None:
    guesses = Guesses(ProlificGuess, ["unreject_is_refused"])
    assert guesses.is_flipped(ProlificGuess.UNREJECT_IS_REFUSED)
    assert not guesses.is_flipped(ProlificGuess.PROCESSING_IS_SHOWN)
    with pytest.raises(ConfigError, match="Did you mean 'processing_is_shown'"):
        guesses.flip_only(["procesing_is_shown"])
    assert guesses.names() == ["unreject_is_refused"]


class Written(msgspec.Struct, forbid_unknown_fields=True):
    count: int


async def request(body: bytes) -> Request:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body}

    return Request({"type": "http", "headers": []}, receive)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"count": "1"}', b'{"count": 1, "other": 2}'])
async def test_a_request_outside_the_schema_is_refused(body: bytes) -> None:
    with pytest.raises(FakeRefusalError):
        await read_body(await request(body), Written)


def test_an_answer_outside_the_schema_is_a_mistake_of_the_fake() -> None:
    with pytest.raises(SchemaError, match="Written"):
        write_answer(Written("1"))  # type: ignore[arg-type]  # that is the mistake
