"""Options of launch scripts that Hydra's own command line has, and configurations that a script builds itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..launch_harness import LaunchHarness

TABLE = "id,text\n1,one\n"
OF_TABLE: dict[str, object] = {"data_csv": "data.csv"}
PLAIN = """
def main(operator, cfg):
    operator.launch_task_run_or_die(cfg.mephisto, None)
    print("title:", cfg.mephisto.task.task_title, [run.status for run in operator.db.find_task_runs()][-1])
    operator.shutdown()
"""
BUILT = """
async def main(operator, cfg):
    from mephisto_es import (
        LocalArchitectArgs, MephistoConfig, MockArchitectArgs, MockBlueprintArgs, MockProviderArgs, TaskRunArgs
    )
    config = MephistoConfig(
        blueprint=MockBlueprintArgs(num_assignments=1),
        provider=MockProviderArgs(),
        architect=MockArchitectArgs(),
        task=TaskRunArgs(task_title="Built", task_description="In Python", task_reward="0.3", task_tags="a,b"),
    )
    await operator.launch_task_run_or_die(config)
    await operator.shutdown()
    config.architect = LocalArchitectArgs(port=-1)
    config.task.task_title = "???"
    await operator.launch_task_run(config)
"""


def said(capsys: pytest.CaptureFixture[str], launch: LaunchHarness, *arguments: str, main: str = PLAIN) -> str:
    """Run a script with arguments; returns what it printed."""
    printed: list[str] = []
    read = capsys.readouterr

    def keep() -> object:
        captured = read()
        printed.append(captured.out + captured.err)
        return captured

    launch._capsys.readouterr = keep  # type: ignore[method-assign, assignment]  # the harness discards what is printed
    launch.start({"data.csv": TABLE}, OF_TABLE, main=main, arguments=arguments)
    return "".join(printed)


def test_a_plain_main_runs_to_its_end(launch: LaunchHarness, capsys: pytest.CaptureFixture[str]) -> None:
    assert "title: T live" in said(capsys, launch)
    assert launch.events() > 5


def test_a_sweep_runs_once_for_each_combination(launch: LaunchHarness, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, launch, "--multirun", "mephisto.task.task_title=one,two")
    assert text.index("title: one live") < text.index("title: two live")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--info",), ("composed of, the later ones win:", "mephisto/blueprint/static_task (at mephisto.blueprint)")),
        (("--cfg", "all"), ("hydra:", "job:", "task_title: T")),
        (("-cn", "task", "--cfg", "job"), ("task_title: T",)),
        (("--config-name", "tusk"), ("there is no configuration 'tusk'", "'task'")),
        (("-m", f"num_tasks={','.join(map(str, range(200)))}"), ("this sweep has 200 runs", "At most 100")),
    ],
    ids=" ".join,
)
def test_what_a_script_says_instead_of_running(
    launch: LaunchHarness, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    text = said(capsys, launch, *arguments)
    for part in parts:
        assert part in text
    assert launch.events() == 0


def test_a_configuration_built_in_python(launch: LaunchHarness, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, launch, main=BUILT)
    assert "mephisto.task.task_title is not set" in text
    assert launch.events() > 5


def test_old_names_of_settings_have_their_effect(launch: LaunchHarness, capsys: pytest.CaptureFixture[str]) -> None:
    folder = launch.folder / "elsewhere"
    said(capsys, launch, "mephisto.database.data_dir=null", f"mephisto.datapath={folder}")
    assert (Path(folder) / "mephisto.db").is_file()
