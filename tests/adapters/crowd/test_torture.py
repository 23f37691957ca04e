"""An operator under torture: what is lost, doubled, or otherwise than in peace, would be seen."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import trio
from msgspec.structs import replace

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.crowd.outcome_check import Ending, take_stock
from mephisto_es.adapters.crowd.summary import HandedIn
from mephisto_es.adapters.crowd.torture_job import CHAT, RATING
from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events.agent import AgentSubmitted

COMMAND = str(Path(sys.executable).parent / "mephisto-es")
#: As few as there can be: two rate, two chat.
SMALL = ("--workers=4", "--units=6", "--chats=1", "--kills=2", "--router", "--json")
SUBMISSIONS = 8


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a short torture says of itself."""
    folder = tmp_path_factory.mktemp("torture")
    command = [COMMAND, "torture", *SMALL, f"--data-dir={folder}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=240)
    assert done.returncode == 0, done.stdout
    said: dict[str, object] = json.loads(done.stdout)
    return said


@pytest.fixture
def passes(outcome: dict[str, object]) -> list[dict[str, object]]:
    found = outcome["passes"]
    assert isinstance(found, list)
    return found


def test_a_killed_operator_comes_to_the_same_end(passes: list[dict[str, object]]) -> None:
    calm, killed = passes
    assert (calm["operators_killed"], killed["operators_killed"]) == (0, 2)
    for one in passes:
        ending = msgspec.convert(one["ending"], Ending)
        assert one["faults"] == []
        assert ending.units == {CHAT: {"completed": 2}, RATING: {"completed": 6}}
        assert (ending.acknowledged, ending.lost, ending.doubled) == (SUBMISSIONS, 0, 0)


async def test_what_is_lost_or_doubled_is_seen(passes: list[dict[str, object]]) -> None:
    data_dir = Path(str(passes[0]["data_dir"]))
    there = handed_in_at(data_dir)
    token, one = next(iter(there.items()))
    with trio.fail_after(60):
        assert list((await take_stock(data_dir, there)).faults()) == []
        lost = await take_stock(data_dir, {**there, "nobody's": HandedIn("work", 1, is_acknowledged=True)})
        changed = await take_stock(data_dir, {**there, token: HandedIn("other work", 1, is_acknowledged=True)})
        doubled = await take_stock(data_dir, {**there, token: HandedIn(one.work, 0, is_acknowledged=True)})
    assert list(lost.faults()) == ["1 acknowledged submissions are lost"]
    assert list(changed.faults()) == ["1 acknowledged submissions are lost"]
    assert list(doubled.faults()) == ["1 submissions are doubled"]


def handed_in_at(data_dir: Path) -> dict[str, HandedIn]:
    """What workers have handed in, as the log has it."""
    state = DecisionState()
    found: dict[str, HandedIn] = {}
    with open_as_of(data_dir / DATABASE_FILE) as moment:
        for recorded in moment.events():
            state.apply(recorded.envelope)
            event = recorded.envelope.event
            if isinstance(event, AgentSubmitted):
                work = msgspec.json.decode(moment.payload(event.submission) or b"")
                found[state.agents[recorded.envelope.stream].token] = HandedIn(work, 1, is_acknowledged=True)
    return found


def test_another_end_than_in_peace_is_named(passes: list[dict[str, object]]) -> None:
    calm = msgspec.convert(passes[0]["ending"], Ending)
    assert list(calm.differences(calm)) == []
    other = replace(calm, units={**calm.units, RATING: {"completed": 5, "expired": 1}}, owed_cents=calm.owed_cents - 5)
    assert list(other.differences(calm)) == [
        f"the units of {RATING} are completed 5, expired 1, not completed 6",
        f"{other.owed_cents} cents are owed, not {calm.owed_cents}",
    ]


def test_a_folder_of_another_torture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pass-0000").mkdir()
    done = subprocess.run([COMMAND, "torture", f"--data-dir={tmp_path}"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert f"{tmp_path} has passes already" in done.stderr
