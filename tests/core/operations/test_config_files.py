"""Configuration files as Mephisto's users write them: which run, and what is said about the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from mephisto_es.core.operations.configuration.file_check import FileVerdict, check_config_file

RUNS, REMARKS, NOT = FileVerdict.RUNS, FileVerdict.RUNS_WITH_REMARKS, FileVerdict.DOES_NOT_RUN

#: The files that the configurations refer to, beside their folder.
FILES = ("data.csv", "data.json", "data.jsonl", "task.html", "preview.html", "onboarding.html", "bundle.js", "tips.csv")

TASK = """
  task:
    task_name: colors
    task_title: "Name the color"
    task_description: "Look at a patch and name its color."
    task_reward: 0.25
    task_tags: "color,naming"
"""


def conf(
    blueprint: str,
    settings: str = "",
    *,
    architect: str = "local",
    provider: str = "mock",
    task: str = TASK,
    more: str = "",
    header: str = "#@package _global_",
) -> str:
    """Return a configuration file; the settings are those of the blueprint, one a line."""
    lines = (
        "".join(f"    {line.strip()}\n" for line in settings.strip().splitlines()) or "    block_qualification: null\n"
    )
    return f"""{header}
defaults:
  - /mephisto/blueprint: {blueprint}
  - /mephisto/architect: {architect}
  - /mephisto/provider: {provider}

mephisto:
  blueprint:
{lines}{task}{more}"""


CSV = "data_csv: ${task_dir}/data.csv"
HTML = f"{CSV}\ntask_source: ${{task_dir}}/task.html"
REACT = f"{CSV}\ntask_source: ${{task_dir}}/bundle.js"

CONFIGS: list[tuple[str, str, FileVerdict, tuple[str, ...]]] = [
    ("html", conf("static_task", HTML), RUNS, ()),
    (
        "html_with_pages",
        conf(
            "static_task",
            f"{HTML}\npreview_source: ${{task_dir}}/preview.html\nonboarding_source: ${{task_dir}}/onboarding.html\n"
            "onboarding_qualification: color-vision\nextra_source_dir: ${task_dir}",
        ),
        RUNS,
        (),
    ),
    (
        "review_page",
        conf("static_task", f"{HTML}\ntask_source_review: ${{task_dir}}/task.html"),
        REMARKS,
        ("mephisto.blueprint.task_source_review is accepted, but `mephisto-es serve` shows",),
    ),
    (
        "tips",
        conf("static_react_task", f"{REACT}\ntips_location: ${{task_dir}}/tips.csv"),
        RUNS,
        (),
    ),
    ("react", conf("static_react_task", f"{REACT}\nlink_task_source: true\nunits_per_assignment: 2"), RUNS, ()),
    (
        "react_not_built",
        conf("static_react_task", f"{CSV}\ntask_source: ${{task_dir}}/webapp/build/bundle.js"),
        REMARKS,
        ("mephisto.blueprint.task_source: there is no ", "webapp/build/bundle.js yet"),
    ),
    ("json", conf("static_task", "data_json: ${task_dir}/data.json"), RUNS, ()),
    ("jsonl", conf("static_task", "data_jsonl: ${task_dir}/data.jsonl"), RUNS, ()),
    (
        "screening",
        conf(
            "static_react_task",
            f"{REACT}\nuse_screening_task: true\nmax_screening_units: 3\npassed_qualification_name: seen\n"
            "block_qualification: failed",
        ),
        RUNS,
        (),
    ),
    (
        "gold",
        conf(
            "static_react_task",
            f"{REACT}\nuse_golds: true\ngold_qualification_base: gold\nmax_gold_units: 4\nmin_golds: 1\n"
            "max_incorrect_golds: 2",
        ),
        RUNS,
        (),
    ),
    (
        "remote_procedure",
        conf("remote_procedure", "task_source: ${task_dir}/bundle.js\nlink_task_source: false"),
        RUNS,
        (),
    ),
    ("mock", conf("mock", "num_assignments: 2\nis_concurrent: true\nunits_per_assignment: 2"), RUNS, ()),
    ("mock_onboarding", conf("mock", "use_onboarding: true\ntimeout_time: 30"), RUNS, ()),
    ("tags_as_list", conf("mock", task=TASK.replace('"color,naming"', "[color, naming]")), RUNS, ()),
    ("database_type", conf("mock", more="  database:\n    _database_type: local\n"), REMARKS, ("whatever this says",)),
    ("datapath", conf("mock", more="  datapath: ./data\n  log_level: debug\n"), RUNS, ()),
    ("heroku", conf("mock", architect="heroku", more="  architect:\n    use_hobby: true\n"), RUNS, ()),
    (
        "heroku_settings",
        conf("mock", architect="heroku", more="  architect:\n    heroku_config_args: {SHADE: dark}\n"),
        RUNS,
        (),
    ),
    ("mock_server", conf("mock", architect="mock", more="  architect:\n    should_run_server: true\n"), RUNS, ()),
    (
        "ec2",
        conf("mock", architect="ec2", more="  architect:\n    subdomain: colors\n    profile_name: lab\n"),
        NOT,
        ("there is no architect 'ec2'", "mephisto/architect=local", "Remove instance_type, subdomain"),
    ),
    ("mturk", conf("mock", provider="mturk_sandbox"), NOT, ("Amazon Mechanical Turk closed on 2026-09-30",)),
    ("inhouse", conf("mock", provider="inhouse"), NOT, ("there is no provider 'inhouse'", "mephisto/provider=mock")),
    ("misspelt_plugin", conf("static_tusk"), NOT, ("there is no blueprint 'static_tusk'", "static_task")),
    (
        "misspelt_settings",
        conf("static_task", f"{CSV}\ntask_sauce: x\nunits_per_assignmnet: 2"),
        NOT,
        ("there is no setting 'mephisto.blueprint.task_sauce'", "'mephisto.blueprint.units_per_assignmnet'"),
    ),
    ("wrong_type", conf("mock", "num_assignments: many"), NOT, ("num_assignments is 'many', which is not a whole",)),
    ("no_header", conf("mock", header="# A task about colors"), NOT, ("the first line must be: #@package _global_",)),
    ("no_title", conf("mock", task="\n  task:\n    task_reward: 1\n"), NOT, ("mephisto.task.task_title is not set",)),
    ("odd_reward", conf("mock", task=TASK.replace("0.25", "0.255")), NOT, ("which is not a whole number of cents",)),
    (
        "own_settings",
        conf("mock", "num_assignments: ${num_colors}", more="\nnum_colors: 7\nshow_names: true\n"),
        REMARKS,
        ("num_colors: the launch script's own config class", "show_names: the launch script's own"),
    ),
    ("broken", "#@package _global_\nmephisto:\n  blueprint: [\n", NOT, ("is not YAML",)),
]


def test_there_are_thirty() -> None:
    assert len(CONFIGS) == 30


@pytest.mark.parametrize(("name", "text", "verdict", "said"), CONFIGS, ids=[config[0] for config in CONFIGS])
def test_what_is_said_about_a_file(
    tmp_path: Path, name: str, text: str, verdict: FileVerdict, said: tuple[str, ...]
) -> None:
    folder = tmp_path / "hydra_configs" / "conf"
    folder.mkdir(parents=True)
    for file in FILES:
        (tmp_path / file).touch()
    (folder / f"{name}.yaml").write_text(text)
    report = check_config_file(folder / f"{name}.yaml")
    assert report is not None
    everything = "\n".join((*report.problems, *report.remarks))
    assert report.verdict is verdict, everything
    for part in said:
        assert part in everything
    assert bool(report.problems) is (verdict is NOT)
    assert bool(report.remarks) or verdict is not REMARKS


@pytest.mark.parametrize("text", ["services:\n  web: {image: x}\n", "- a\n- b\n", "defaults:\n  - _self_\n", ""])
def test_a_file_that_configures_no_run_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.yaml").write_text(text)
    assert check_config_file(tmp_path / "other.yaml") is None
