"""Launch scripts show what a run will cost, ask if the budget is too small, and can be tried without publishing."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.scripts.launch_quote import LaunchQuote, lines_of
from mephisto_es.core.operations.dry_run import ITEMS_READ
from mephisto_es.core.operations.logger_core import LogFormat, set_mephisto_log_format
from mephisto_es.core.operations.run.quote import Quote
from mephisto_es.projections.queries.runs.durations import Durations

from ..launch_harness import LaunchHarness

TABLE = "id,text\n" + "".join(f"{number},one\n" for number in range(40))
SETTINGS: dict[str, object] = {"data_csv": "data.csv", "units_per_assignment": 2}
BUDGET = {"provider_fee_percent": 20, "budget": "1.00", "maximum_units_per_worker": 10}


def lines(text: str) -> dict[str, str]:
    """Return the lines of the table on a terminal, by name."""
    return dict(re.split(r" {2,}", line.strip()) for line in text.splitlines() if line.startswith("  "))


def test_the_cost_is_shown_before_the_launch(launch: LaunchHarness) -> None:
    outcome = launch.start({"data.csv": TABLE}, SETTINGS, task=BUDGET | {"task_name": "rating", "bonus_limit": "0.05"})
    assert outcome.code == 0
    assert outcome.errors.index("Cost of rating\n") < outcome.errors.index("launching units")
    assert lines(outcome.errors) == {
        "units": "80",
        "workers": "at least 8",
        "reward": "80 x 0.10 = 8.00",
        "fees": "2.40 (20 %)",
        "bonuses": "up to 4.00",
        "total": "at most 14.40",
        "hourly pay": "at least 0.20 (a worker who takes 30.0 minutes for a unit)",
        "budget": "1.00 covers 5 of 80 units",
        "work": "at most 40.0 hours (a worker has 30.0 minutes for a unit)",
    }


def test_units_for_screening_and_gold_are_in_it(launch: LaunchHarness) -> None:
    settings = SETTINGS | {
        "use_golds": True,
        "gold_qualification_base": "g",
        "max_gold_units": 15,
        "use_screening_task": True,
        "passed_qualification_name": "p",
        "block_qualification": "b",
        "max_screening_units": 5,
    }
    shared = "SharedStaticTaskState(on_unit_submitted=lambda unit: True)"
    shown = lines(launch.start({"data.csv": TABLE}, settings, shared=shared).errors)
    assert shown["units"] == "80, and at most 20 for screening and gold"
    assert shown["total"] == "at most 10.00"
    assert shown["budget"] == "none set; nothing limits the cost"


def test_of_a_generator_the_cost_of_a_unit_is_shown(launch: LaunchHarness) -> None:
    shared = "SharedStaticTaskState(static_task_data=({'n': n} for n in range(3)))"
    shown = lines(launch.start({}, {}, shared=shared, task=BUDGET).errors)
    assert shown == {
        "units": "unknown: the script generates the data during the run",
        "cost of one unit": "at most 0.12",
        "hourly pay": "at least 0.20 (a worker who takes 30.0 minutes for a unit)",
        "budget": "1.00 covers 8 units",
    }


def test_with_lines_of_json_it_is_one_of_them(launch: LaunchHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_LOG_FORMAT", "json")
    try:
        outcome = launch.start({"data.csv": TABLE}, SETTINGS, task=BUDGET)
    finally:
        set_mephisto_log_format(LogFormat.CONSOLE)
    [quote] = [line for line in map(json.loads, outcome.errors.splitlines()) if line["event"] == "quote"]
    assert quote["budget"] == "1.00 covers 8 of 80 units"


RATING = Quote(
    task_name="rating",
    units=80,
    evaluation_units=0,
    min_workers=1,
    reward_cents=10,
    fee_percent=0,
    bonus_limit_cents=0,
    budget_cents=1000,
    seconds_allowed=30,
)


@pytest.mark.parametrize(
    ("reward_cents", "seconds", "said"),
    [
        (30_000, None, "; is the reward right? It is in whole units of the currency, not in cents"),
        (30, 20.0, ""),
        (30, 0.5, "; were earlier units done by people? They took 0 seconds"),
        (30, 3_600.0, "; were earlier units done by people? They took 1.0 hours"),
    ],
)
def test_a_pay_that_can_hardly_be_is_asked_about(reward_cents: int, seconds: float | None, said: str) -> None:
    quote = replace(RATING, reward_cents=reward_cents)
    durations = None if seconds is None else Durations(count=3, median_seconds=seconds)
    shown = dict(lines_of(quote, durations))["hourly pay"]
    assert shown.endswith(said or "about 54.00")


def test_earlier_runs_say_how_long_it_takes() -> None:
    assert (
        dict(lines_of(RATING, Durations(3, 90)))["work"] == "about 2.0 hours: 3 earlier units took 1.5 minutes (median)"
    )
    assert dict(lines_of(RATING, None))["work"] == "at most 40.0 minutes (a worker has 30 seconds for a unit)"


async def test_a_log_that_cannot_be_read_is_no_reason_not_to_launch(tmp_path: Path) -> None:
    (tmp_path / DATABASE_FILE).write_text("not a database")
    assert await LaunchQuote(tmp_path / DATABASE_FILE, asks=False).approve(RATING)


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("", 1), ("y", 0)])
def test_on_a_terminal_a_budget_that_is_too_small_is_asked_about(
    launch: LaunchHarness, tmp_path: Path, answer: str, code: int
) -> None:
    launch.write({"data.csv": TABLE}, SETTINGS, task=BUDGET)
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode() + b"\n")
    command = [sys.executable, str(tmp_path / "run_task.py")]
    done = subprocess.run(command, stdin=theirs, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    os.close(ours)
    os.close(theirs)
    assert "The budget does not cover everything. Launch anyway? [y/N]" in done.stderr
    assert ("the launch was called off: the budget covers 8 of 80 units" in done.stderr) == bool(code)
    assert done.returncode == code
    assert (launch.events() > 0) == (code == 0)


def test_a_budget_that_is_enough_is_not_asked_about(launch: LaunchHarness, tmp_path: Path) -> None:
    launch.write({"data.csv": TABLE}, SETTINGS, task=BUDGET | {"budget": "9.60"})
    ours, theirs = pty.openpty()
    command = [sys.executable, str(tmp_path / "run_task.py")]
    done = subprocess.run(command, stdin=theirs, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    os.close(ours)
    os.close(theirs)
    assert "Launch anyway?" not in done.stderr
    assert done.returncode == 0


def test_a_dry_run_checks_everything_and_records_nothing(launch: LaunchHarness, tmp_path: Path) -> None:
    outcome = launch.start({"data.csv": TABLE}, SETTINGS, arguments=["--dry-run"])
    assert (outcome.code, outcome.events) == (0, 0)
    assert lines(outcome.errors)["units"] == "80"
    assert "everything is in order; nothing was recorded or published" in outcome.errors
    assert f"first_items_read={ITEMS_READ}" in outcome.errors
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("shared", "settings", "sentence"),
    [
        ("SharedStaticTaskState(static_task_data=iter([]))", {}, "the data gave no items"),
        ("SharedStaticTaskState(static_task_data=iter([{}, 'text']))", {}, "static_task_data: item 2 is a str"),
        ("SharedStaticTaskState(static_task_data=broken())", {}, "the data's own code raised KeyError"),
        ("SharedStaticTaskState(static_task_data=[{}])", {"show": ["text"]}, "show names 'text'"),
        ("SharedStaticTaskState(static_task_data=[{}], task_config={'x': object()})", {}, "x"),
    ],
)
def test_a_dry_run_finds_what_a_launch_would_find(
    launch: LaunchHarness, shared: str, settings: dict[str, object], sentence: str
) -> None:
    before = "def broken():\n    yield {}\n    raise KeyError('x')"
    outcome = launch.start({}, settings, shared=shared, before=before, arguments=["--dry-run"])
    assert sentence in outcome.errors
    assert outcome.code == 1


def test_a_dry_run_leaves_a_script_to_its_end(launch: LaunchHarness, capsys: pytest.CaptureFixture[str]) -> None:
    main = """
async def main(operator, cfg):
    for _ in range(2):
        run = await operator.launch_task_run(cfg.mephisto)
    await operator.wait_for_runs_then_shutdown(skip_input=True)
    raise ConfigError(f"the end, after {run}")
"""
    outcome = launch.start({"data.csv": TABLE}, SETTINGS, main=main, arguments=["--dry-run"])
    assert outcome.errors.count("everything is in order") == 2
    assert "run_task.py: the end, after dry-run" in outcome.errors


def test_a_dry_run_ends_where_a_script_looks_at_its_run(launch: LaunchHarness) -> None:
    main = """
async def main(operator, cfg):
    run = await operator.launch_task_run(cfg.mephisto)
    print(operator.get_running_task_runs()[run].worker_url)
    raise ConfigError("there is a run")
"""
    outcome = launch.start({"data.csv": TABLE}, SETTINGS, main=main, arguments=["--dry-run"])
    assert outcome.code == 0
    assert "everything is in order" in outcome.errors


def test_a_launch_that_only_logs_its_failure_ends_the_script_with_1(launch: LaunchHarness) -> None:
    main = """
async def main(operator, cfg):
    run = await operator.launch_task_run(cfg.mephisto)
    print(run)
    await operator.wait_for_runs_then_shutdown()
"""
    outcome = launch.start({"data.csv": "id\n"}, SETTINGS, main=main)
    assert outcome.errors.splitlines()[-1].startswith("run_task.py: data.csv holds no data")
    assert (outcome.code, outcome.events) == (1, 0)


def test_the_hourly_pay_is_compared_with_the_minimum() -> None:
    quote = Quote(
        task_name="rating",
        units=10,
        evaluation_units=0,
        min_workers=1,
        reward_cents=25,
        fee_percent=0,
        bonus_limit_cents=0,
        budget_cents=None,
        seconds_allowed=1800,
        pay_for_time_cents=15,
        pay_for_time_limit_cents=25,
        minimum_hourly_cents=1200,
    )
    slow = dict(lines_of(quote, Durations(count=30, median_seconds=90.0)))
    assert slow["hourly pay"] == "about 10.00; the minimum is 12.00, and `review --top-up` adds what is missing"
    assert slow["pay for time"] == "0.15 a minute of lost work, at most 0.25 each time"
    fast = dict(lines_of(quote, Durations(count=30, median_seconds=60.0)))
    assert fast["hourly pay"] == "about 15.00; the minimum is 12.00"
