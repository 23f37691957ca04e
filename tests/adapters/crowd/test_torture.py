"""Torture passes: anything lost, doubled, or different from the undisturbed pass is reported."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import trio
from msgspec.structs import replace

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.crowd.outcome_check import JobOutcome, check_outcome
from mephisto_es.adapters.crowd.summary import SentSubmission
from mephisto_es.adapters.crowd.torture_job import CHAT, RATING
from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events.agent import AgentSubmitted

from ...json_schema import assert_fits

COMMAND = str(Path(sys.executable).parent / "mephisto-es")
#: The smallest crowd: two rate, two chat.
SMALL = ("--workers=4", "--units=6", "--chats=1", "--kills=2", "--router", "--json")
SUBMISSIONS = 8


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Run a short torture; return its report."""
    folder = tmp_path_factory.mktemp("torture")
    command = [COMMAND, "torture", *SMALL, f"--data-dir={folder}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=240)
    assert done.returncode == 0, done.stdout
    report: dict[str, object] = assert_fits("torture", done.stdout)
    return report


@pytest.fixture
def passes(outcome: dict[str, object]) -> list[dict[str, object]]:
    found = outcome["passes"]
    assert isinstance(found, list)
    return found


def test_a_killed_operator_reaches_the_same_outcome(passes: list[dict[str, object]]) -> None:
    baseline, killed = passes
    assert (baseline["operators_killed"], killed["operators_killed"]) == (0, 2)
    for one in passes:
        outcome = msgspec.convert(one["outcome"], JobOutcome)
        assert one["faults"] == []
        assert outcome.units == {CHAT: {"completed": 2}, RATING: {"completed": 6}}
        assert (outcome.acknowledged, outcome.lost, outcome.doubled) == (SUBMISSIONS, 0, 0)


async def test_what_is_lost_or_doubled_is_seen(passes: list[dict[str, object]]) -> None:
    data_dir = Path(str(passes[0]["data_dir"]))
    sent = submissions_in(data_dir)
    token, one = next(iter(sent.items()))
    with trio.fail_after(120):
        assert list((await check_outcome(data_dir, sent)).faults()) == []
        lost = await check_outcome(data_dir, {**sent, "nobody's": SentSubmission("work", 1, is_acknowledged=True)})
        changed = await check_outcome(data_dir, {**sent, token: SentSubmission("other work", 1, is_acknowledged=True)})
        doubled = await check_outcome(data_dir, {**sent, token: SentSubmission(one.work, 0, is_acknowledged=True)})
    assert list(lost.faults()) == ["1 acknowledged submissions are lost"]
    assert list(changed.faults()) == ["1 acknowledged submissions are lost"]
    assert list(doubled.faults()) == ["1 submissions are doubled"]


def submissions_in(data_dir: Path) -> dict[str, SentSubmission]:
    """Return the submissions in the log, by agent."""
    state = DecisionState()
    found: dict[str, SentSubmission] = {}
    with open_as_of(data_dir / DATABASE_FILE) as moment:
        for recorded in moment.events():
            state.apply(recorded.envelope)
            event = recorded.envelope.event
            if isinstance(event, AgentSubmitted):
                work = msgspec.json.decode(moment.payload(event.submission) or b"")
                found[state.agents[recorded.envelope.stream].token] = SentSubmission(work, 1, is_acknowledged=True)
    return found


def test_a_different_outcome_is_named(passes: list[dict[str, object]]) -> None:
    baseline = msgspec.convert(passes[0]["outcome"], JobOutcome)
    assert list(baseline.differences(baseline)) == []
    other = replace(
        baseline, units={**baseline.units, RATING: {"completed": 5, "expired": 1}}, owed_cents=baseline.owed_cents - 5
    )
    assert list(other.differences(baseline)) == [
        f"the units of {RATING} are completed 5, expired 1, not completed 6",
        f"{other.owed_cents} cents are owed, not {baseline.owed_cents}",
    ]


def test_a_folder_of_another_torture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pass-0000").mkdir()
    done = subprocess.run([COMMAND, "torture", f"--data-dir={tmp_path}"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert f"{tmp_path} has passes already" in done.stderr
