"""What is said about changed settings and data when a run is resumed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio

from mephisto_es.core.operations.configuration.config_changes import setting_changes
from mephisto_es.core.redaction import redacted
from mephisto_es.events import ids
from mephisto_es.events.task_run import TaskRunCreated

from .operator_harness import HarnessTaskState, ask, config, items, open_harness, until


def launched_with(**settings: object) -> TaskRunCreated:
    return TaskRunCreated(
        task_run=ids.TaskRunId(1),
        task=ids.TaskId(1),
        requester=ids.RequesterId(1),
        blueprint_type="harness",
        architect_type="memory",
        provider_type="harness",
        config=msgspec.json.encode(redacted(config(**settings))).decode(),
    )


@pytest.mark.parametrize(
    ("key", "value", "effect"),
    [
        ("task_reward", "0.20", "it applies to units that are created from now on; the others keep their pay"),
        ("budget", "5.00", "it does not apply, because it was recorded when the run was launched; `mephisto-es extend"),
        ("maximum_units_per_worker", 3, "it does not apply, because it was recorded when the run was launched"),
        ("task_title", "Another", "it does not apply, because the run is published already"),
        ("submission_timeout", 77, "it applies from now on"),
    ],
)
def test_each_change_is_told_with_its_effect(key: str, value: object, effect: str) -> None:
    (change,) = setting_changes(launched_with(), config(**{key: value}))
    assert change.key == f"task.{key}"
    assert str(change).endswith(change.effect)
    assert change.effect.startswith(effect)


def test_what_has_no_effect_is_not_told() -> None:
    same = config()
    assert setting_changes(launched_with(), same) == []
    same.task.resume_incomplete_run = True
    same.log_level = "debug"
    assert setting_changes(launched_with(), same) == []
    same.architect._architect_type = "mock"
    (change,) = setting_changes(launched_with(), same)
    assert change.effect == "it applies only if the run's server has to be started again"


async def test_a_resumed_run_tells_what_has_changed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_harness(tmp_path / "1") as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        await ask(harness.router(live_run), "ann")
        await until(harness, lambda: live_run.task_launcher.exhausted)
        await harness.operator.pause("for the night")
        log = harness.log
    async with open_harness(tmp_path / "2", log) as harness:
        capsys.readouterr()
        await harness.launch(HarnessTaskState(data=items(3)), resume_incomplete_run=True, task_reward="0.20")
        said = " ".join(capsys.readouterr().err.split())
    assert (
        "mephisto.task.task_reward was '0.10' and is '0.20': it applies to units that are created from now on" in said
    )
    assert "the data has 2 more items than the run, which are not read" in said
