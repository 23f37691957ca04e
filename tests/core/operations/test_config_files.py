"""Configuration files as Mephisto's users write them: which run, and what is said about the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mephisto_es.core.operations.configuration.file_check import FileVerdict, check_config_file

from .mephisto_settings import SETTINGS

RUNS, REMARKS, NOT = FileVerdict.RUNS, FileVerdict.RUNS_WITH_REMARKS, FileVerdict.DOES_NOT_RUN

#: The files that the configurations refer to, beside their folder.
FILES = (
    *("data.csv", "data.json", "data.jsonl", "task.html", "preview.html", "onboarding.html", "bundle.js"),
    *("tips.csv", "worlds.py", "chat/build/bundle.js"),
)

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

STEPS = """onboarding_qualification: seen
passed_qualification_name: passed
max_screening_units: 2
use_screening_task: true
gold_qualification_base: gold
max_gold_units: 4
use_golds: true
min_golds: 1
max_incorrect_golds: 2"""
EVERY_TASK = f"""{TASK.rstrip()}
    task_lifetime_in_seconds: 3600
    assignment_duration_in_seconds: 600
    no_submission_patience: 3600
    allowed_concurrent: 1
    maximum_units_per_worker: 3
    max_num_concurrent_units: 10
    submission_timeout: 60
    post_install_script: ""
    force_rebuild: false
    resume_incomplete_run: false
"""
PROLIFIC = """  provider:
    requester_name: lab
    prolific_external_study_url: "https://colors.example?participant_id={{%PROLIFIC_PID%}}"
    prolific_id_option: url_parameters
    prolific_estimated_completion_time_in_minutes: 10
    prolific_eligibility_requirements: []
    prolific_workspace_name: "My Workspace"
    prolific_project_name: Project
    prolific_allow_list_group_name: Allowed
    prolific_block_list_group_name: Blocked
"""
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
        RUNS,
        (),
    ),
    (
        "tips",
        conf("static_react_task", f"{REACT}\ntips_location: ${{task_dir}}/tips.csv"),
        RUNS,
        (),
    ),
    (
        "review_pages",
        conf("static_react_task", f"{REACT}\ntask_source_review: ${{task_dir}}/bundle.js"),
        RUNS,
        (),
    ),
    (
        "review_page_of_chats",
        conf(
            "parlai_chat",
            "world_file: ${task_dir}/worlds.py\nnum_conversations: 1\ntask_source_review: ${task_dir}/bundle.js",
        ),
        RUNS,
        (),
    ),
    (
        "review_page_of_mock",
        conf("mock", "task_source_review: ${task_dir}/bundle.js"),
        RUNS,
        (),
    ),
    (
        "review_page_of_calls",
        conf("remote_procedure", "task_source: ${task_dir}/bundle.js\ntask_source_review: ${task_dir}/bundle.js"),
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
        "react_json",
        conf("static_react_task", "task_source: ${task_dir}/bundle.js\ndata_json: ${task_dir}/data.json"),
        RUNS,
        (),
    ),
    (
        "react_jsonl",
        conf("static_react_task", "task_source: ${task_dir}/bundle.js\ndata_jsonl: ${task_dir}/data.jsonl"),
        RUNS,
        (),
    ),
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
        conf(
            "mock",
            architect="ec2",
            more="  architect: {instance_type: small, subdomain: colors, profile_name: lab}\n",
        ),
        NOT,
        ("there is no architect 'ec2'", "mephisto/architect=local", "Remove instance_type, subdomain"),
    ),
    ("mturk", conf("mock", provider="mturk_sandbox"), NOT, ("Amazon Mechanical Turk closed on 2026-09-30",)),
    (
        "inhouse",
        conf("mock", provider="inhouse", more="  provider:\n    requester_name: lab\n    ui_base_url: localhost\n"),
        NOT,
        ("there is no provider 'inhouse'", "mephisto/provider=mock"),
    ),
    ("misspelt_plugin", conf("static_tusk"), NOT, ("there is no blueprint 'static_tusk'", "static_task")),
    (
        "misspelt_settings",
        conf("static_task", f"{CSV}\ntask_sauce: x\nunits_per_assignmnet: 2"),
        NOT,
        ("there is no setting 'mephisto.blueprint.task_sauce'", "'mephisto.blueprint.units_per_assignmnet'"),
    ),
    (
        "misspelt_key_of_stop_when",
        conf(
            "static_task", f"{CSV}\nform: [{{name: a, type: choice, options: [x, y]}}]\nstop_when: {{confidense: 0.9}}"
        ),
        NOT,
        ("mephisto.blueprint.stop_when has no 'confidense'. Did you mean 'confidence'?",),
    ),
    (
        "misspelt_key_of_overlap",
        conf("static_task", f"{CSV}\noverlap: {{fraction: 0.5, counts: 3}}"),
        NOT,
        ("mephisto.blueprint.overlap has no 'counts'. Did you mean 'count'?",),
    ),
    (
        "stop_when_of_the_script",
        conf("static_task", f"{CSV}\nstop_when: {{confidence: '${{sure_enough}}', classes: [x, y], answer: a}}"),
        REMARKS,
        ("Interpolation key 'sure_enough' not found",),
    ),
    (
        "dotted_setting",
        conf("static_task", "nodata.csv: x"),
        NOT,
        ("there is no setting 'mephisto.blueprint.nodata.csv'. Did you mean 'mephisto.blueprint.data_csv'?",),
    ),
    (
        "no_data",
        conf("static_task", "data_csv: ${task_dir}/nowhere.csv"),
        NOT,
        ("mephisto.blueprint.data_csv: there is no /", "nowhere.csv"),
    ),
    (
        "data_in_the_folder_of_the_launch",
        conf("static_task", "data_csv: nowhere.csv"),
        REMARKS,
        ("mephisto.blueprint.data_csv: there is no nowhere.csv yet",),
    ),
    (
        "own_folder",
        conf("static_task", "data_csv: ${my_dir}/data.csv"),
        REMARKS,
        ("Interpolation key 'my_dir' not found: the launch script's own config class has to define it",),
    ),
    (
        "settings_of_the_script",
        conf(
            "mock",
            "num_assignments: ${num_colors}",
            task=TASK.replace("task_name: colors", "task_name: ${my_task}").replace("0.25", "${my_reward}"),
        ),
        REMARKS,
        ("'num_colors' not found: the launch script's own", "'my_task' not found: the", "'my_reward' not found: the"),
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
    (
        "every_setting_of_static_task",
        conf(
            "static_task",
            f"{HTML}\nblock_qualification: spam\ntips_location: ${{task_dir}}/tips.csv\nunits_per_assignment: 2\n"
            "extra_source_dir: ${task_dir}\npreview_source: ${task_dir}/preview.html\n"
            f"onboarding_source: ${{task_dir}}/onboarding.html\n{STEPS}",
        ),
        RUNS,
        (),
    ),
    (
        "every_setting_of_static_react_task",
        conf(
            "static_react_task",
            f"{REACT}\nblock_qualification: spam\ntips_location: ${{task_dir}}/tips.csv\nunits_per_assignment: 2\n"
            f"extra_source_dir: ${{task_dir}}\nlink_task_source: true\n{STEPS}",
        ),
        RUNS,
        (),
    ),
    (
        "every_setting_of_remote_procedure",
        conf(
            "remote_procedure",
            "task_source: ${task_dir}/bundle.js\nlink_task_source: false\nblock_qualification: spam\n"
            "tips_location: ${task_dir}/tips.csv\nunits_per_assignment: 2\nextra_source_dir: ${task_dir}\n" + STEPS,
        ),
        RUNS,
        (),
    ),
    (
        "every_setting_of_parlai_chat",
        conf(
            "parlai_chat",
            "world_file: ${task_dir}/worlds.py\ncontext_csv: ${task_dir}/data.csv\nextra_source_dir: ${task_dir}\n"
            "task_description_file: ${task_dir}/task.html\npreview_source: ${task_dir}/preview.html\n"
            "custom_source_bundle: ${task_dir}/bundle.js\nblock_qualification: spam\n"
            "tips_location: ${task_dir}/tips.csv\nonboarding_qualification: can-chat",
        ),
        RUNS,
        (),
    ),
    (
        "other_data_of_parlai_chat",
        conf("parlai_chat", "world_file: ${task_dir}/worlds.py\ncontext_jsonl: ${task_dir}/data.jsonl"),
        RUNS,
        (),
    ),
    (
        "other_page_of_parlai_chat",
        conf(
            "parlai_chat",
            "world_file: ${task_dir}/worlds.py\nnum_conversations: 3\ncustom_source_dir: ${task_dir}/chat",
        ),
        RUNS,
        (),
    ),
    (
        "every_setting_of_mock",
        conf(
            "mock",
            "block_qualification: spam\ntips_location: ${task_dir}/tips.csv\nnum_assignments: 2\n"
            "use_onboarding: true\ntimeout_time: 30\nis_concurrent: false\nonboarding_qualification: seen\n"
            "passed_qualification_name: passed\nmax_screening_units: 2\nuse_screening_task: true",
        ),
        RUNS,
        (),
    ),
    (
        "every_setting_of_tasks",
        conf("mock", task=EVERY_TASK, provider="mock", more="  provider:\n    requester_name: lab\n"),
        RUNS,
        (),
    ),
    (
        "every_setting_of_local",
        conf(
            "mock",
            more="  architect:\n    server_type: node\n    server_source_path: ${task_dir}\n    hostname: localhost\n"
            "    port: 3000\n",
        ),
        RUNS,
        (),
    ),
    (
        "every_setting_of_heroku",
        conf(
            "mock",
            architect="heroku",
            more="  architect:\n    server_type: node\n    server_source_path: ${task_dir}\n    use_hobby: true\n"
            "    heroku_team: lab\n    heroku_app_name: colors\n    heroku_config_args: {SHADE: dark}\n",
        ),
        RUNS,
        (),
    ),
    (
        "every_setting_of_mock_architect",
        conf(
            "mock",
            architect="mock",
            more="  architect:\n    server_type: node\n    server_source_path: ${task_dir}\n"
            "    should_run_server: false\n    port: 3000\n",
        ),
        RUNS,
        (),
    ),
    ("every_setting_of_prolific", conf("mock", provider="prolific", more=PROLIFIC), RUNS, ()),
    ("broken", "#@package _global_\nmephisto:\n  blueprint: [\n", NOT, ("is not YAML",)),
]


def test_they_cover_every_setting_of_mephisto() -> None:
    assert len(CONFIGS) >= 30
    covered: dict[str, set[str]] = {plugin: set() for plugin in SETTINGS}
    for name, text, _, _ in CONFIGS:
        if name == "broken":
            continue
        config = OmegaConf.to_container(OmegaConf.create(text))
        assert isinstance(config, dict)
        chosen = {group.partition("/mephisto/")[2]: one for entry in config["defaults"] for group, one in entry.items()}
        for section, settings in config["mephisto"].items():
            if not isinstance(settings, dict):
                covered[""].add(section)
                continue
            plugin = f"{section}: {chosen[section]}" if section in chosen else section
            covered.setdefault(plugin, set()).update(settings)
    assert {plugin: known - covered[plugin] for plugin, known in SETTINGS.items() if known - covered[plugin]} == {}


@pytest.mark.parametrize(("name", "text", "verdict", "said"), CONFIGS, ids=[config[0] for config in CONFIGS])
def test_what_is_said_about_a_file(
    tmp_path: Path, name: str, text: str, verdict: FileVerdict, said: tuple[str, ...]
) -> None:
    folder = tmp_path / "hydra_configs" / "conf"
    folder.mkdir(parents=True)
    for file in FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
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


@pytest.mark.parametrize(
    ("provider", "settings", "said"),
    [
        (
            "prolific",
            "prolific_access_details: [{external_url: 'https://a.example', total_allocation: 2}]",
            "prolific_access_details is for Prolific's Taskflow, which has several addresses",
        ),
        ("connect", "connect_estimated_time_in_minutes: 60", "are 25 an hour; Connect demands 750"),
        ("link", "max_people: -1", "max_people cannot be negative"),
    ],
)
def test_what_a_provider_would_refuse_at_the_launch_is_said(
    tmp_path: Path, provider: str, settings: str, said: str
) -> None:
    folder = tmp_path / "hydra_configs" / "conf"
    folder.mkdir(parents=True)
    (tmp_path / "data.csv").touch()
    text = conf("static_task", CSV, provider=provider, more=f"  provider:\n    {settings}\n")
    (folder / "run.yaml").write_text(text)
    report = check_config_file(folder / "run.yaml")
    assert report is not None
    assert report.verdict is NOT
    assert said in "\n".join(report.problems)
