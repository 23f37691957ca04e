"""Configuration files of older scripts, whose own defaults choose blueprint, architect and provider."""

from __future__ import annotations

from pathlib import Path

import pytest

from mephisto_es.core.operations.configuration.file_check import FileReport, FileVerdict, check_config_file

OLD = """#@package _global_
mephisto:
  blueprint:
{settings}
  task:
    task_name: plants
    task_title: "Name plants"
    task_description: "Say which plant it is."
    task_reward: 0.3
    task_tags: "plants,names"
"""


def checked(folder: Path, settings: str) -> FileReport:
    """Check a file with some settings of the blueprint."""
    file = folder / "hydra_configs" / "conf" / "plants.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(OLD.format(settings=settings))
    report = check_config_file(file)
    assert report is not None
    return report


@pytest.mark.parametrize(
    ("settings", "blueprint"),
    [
        ("    data_csv: null\n    units_per_assignment: 2", "static_task"),
        ("    world_file: worlds.py\n    num_conversations: 2", "parlai_chat"),
        ("    num_assignments: 3", "mock"),
    ],
)
def test_a_file_without_plugins_is_checked_with_those_that_have_its_settings(
    tmp_path: Path, settings: str, blueprint: str
) -> None:
    report = checked(tmp_path, settings)
    assert (report.problems, report.verdict) == ((), FileVerdict.RUNS_WITH_REMARKS)
    assert report.remarks[0] == (
        f"the file chooses no plugins: checked with blueprint {blueprint}, architect local, provider mock; "
        "the launch script has to choose them"
    )


def test_settings_that_no_blueprint_has_are_still_refused(tmp_path: Path) -> None:
    assert checked(tmp_path, "    num_assignmnets: 3").verdict is FileVerdict.DOES_NOT_RUN
