import subprocess
import sys
from pathlib import Path

import pytest
import yaml

SCRIPT = '''
from dataclasses import dataclass
import trio
from mephisto_es.adapters.scripts.command import script_decorator
from mephisto_es.core.abstractions.args import ArchitectArgs, BlueprintArgs, CrowdProviderArgs
from mephisto_es.core.errors import ConfigError, WriterFencedError
from mephisto_es.core.operations.logger_core import get_logger
from mephisto_es.core.operations.registry import register_mephisto_abstraction

@dataclass
class FormArgs(BlueprintArgs):
    api_token: str = "hunter2hunter2"
    text: str = ""

@register_mephisto_abstraction()
class Form:
    BLUEPRINT_TYPE = "test_form"
    ArgsClass = FormArgs

@register_mephisto_abstraction()
class Nearby:
    ARCHITECT_TYPE = "test_nearby"
    ArgsClass = ArchitectArgs

@register_mephisto_abstraction()
class Far:
    ARCHITECT_TYPE = "test_far"
    ArgsClass = ArchitectArgs

@register_mephisto_abstraction()
class Campus:
    PROVIDER_TYPE = "test_campus"
    ArgsClass = CrowdProviderArgs

def run(main, cfg, *, dry_run):
    trio.run(main, "a dry run" if dry_run else "an operator", cfg)

@script_decorator(run, default_config_file="example")
async def main(operator, cfg):
    """Rate sentences."""
    get_logger("script").debug("very chatty")
    if cfg.mephisto.blueprint.text == "broken":
        raise ConfigError("the file is broken", hint="Mend it")
    if cfg.mephisto.blueprint.text == "fenced":
        raise WriterFencedError("another operator has taken over")
    print(operator, "on", cfg.mephisto.architect._architect_type, "pays", cfg.mephisto.task.task_reward)

if __name__ == "__main__":
    main()
    print("finished")
'''

EXAMPLE = """#@package _global_
defaults:
  - /mephisto/blueprint: test_form
  - /mephisto/architect: test_nearby
  - /mephisto/provider: test_campus
mephisto:
  blueprint:
    text: "see hunter2hunter2"
  task: {task_title: Rate, task_description: Rate a sentence, task_reward: 0.30, task_tags: rating}
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    conf = tmp_path / "task" / "hydra_configs" / "conf"
    conf.mkdir(parents=True)
    (conf / "example.yaml").write_text(EXAMPLE)
    path = tmp_path / "task" / "run_task.py"
    path.write_text(SCRIPT)
    return path


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Start the script as a user does, from another folder, with warnings as errors."""
    command = [sys.executable, "-W", "error", str(script), *arguments]
    return subprocess.run(command, cwd=script.parents[1], capture_output=True, text=True, timeout=120)


def test_a_script_runs_with_what_its_file_says(script: Path) -> None:
    finished = run(script)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout == "an operator on test_nearby pays 0.3\nfinished\n"
    assert sorted(path.name for path in script.parents[1].iterdir()) == ["task"]


def test_the_command_line_goes_before_the_file(script: Path) -> None:
    finished = run(script, "mephisto/architect=test_far", "mephisto.task.task_reward=1.25", "mephisto.log_level=debug")
    assert finished.returncode == 0
    assert finished.stdout == "an operator on test_far pays 1.25\nfinished\n"
    assert "very chatty" in finished.stderr


def test_help_lists_groups_and_settings_and_runs_nothing(script: Path) -> None:
    for flag in ("-h", "--help"):
        finished = run(script, flag)
        assert (finished.returncode, finished.stderr) == (0, "")
        for part in ("Rate sentences.", "mephisto/architect", "test_far", "test_nearby", "conf", "example"):
            assert part in finished.stdout
        assert "mephisto.task.task_reward" in finished.stdout
        assert "an operator" not in finished.stdout


def test_a_dry_run_is_asked_for_on_the_command_line(script: Path) -> None:
    finished = run(script, "--dry-run", "mephisto.task.task_reward=2")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout == "a dry run on test_nearby pays 2\nfinished\n"


def test_cfg_prints_the_configuration_without_secrets_and_runs_nothing(script: Path) -> None:
    for arguments in (("--cfg", "job"), ("-c", "job")):
        finished = run(script, *arguments, "mephisto.task.allowed_concurrent=2")
        assert (finished.returncode, finished.stderr) == (0, "")
        shown = yaml.safe_load(finished.stdout)
        assert shown["mephisto"]["task"]["allowed_concurrent"] == 2
        assert shown["mephisto"]["architect"]["_architect_type"] == "test_nearby"
        assert shown["task_dir"] == str(script.parent)
        assert "hunter2" not in finished.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["mephisto.task.task_rewrd=1"], 1, "Did you mean 'mephisto.task.task_reward'?"),
        (["mephisto.task.task_reward=0.001"], 1, "which is not a whole number of cents"),
        (["mephisto/architect=test_fra"], 1, "there is no architect 'test_fra'. Did you mean 'test_far'?"),
        (["--cfg", "job", "mephisto.task.allowed_concurrent=x"], 1, "is 'x', which is not a whole number"),
        (["mephisto.blueprint.text=broken"], 1, "run_task.py: the file is broken. Mend it"),
        (["mephisto.blueprint.text=fenced"], 1, "run_task.py: another operator has taken over"),
        (["--multirn"], 2, "No such option"),
        (["--cfg", "everything"], 2, "is not one of"),
    ],
)
def test_what_the_user_must_mend_is_one_sentence_and_no_traceback(
    script: Path, arguments: list[str], code: int, sentence: str
) -> None:
    finished = run(script, *arguments)
    assert finished.returncode == code
    assert sentence in finished.stderr
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""


def test_an_unknown_log_format_is_a_sentence_too(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_LOG_FORMAT", "xml")
    finished = run(script)
    assert finished.returncode == 1
    assert finished.stderr == "run_task.py: MEPHISTO_LOG_FORMAT is 'xml'. Known are: console, json\n"
