"""Dockerfile, compose.yaml, Caddyfile and systemd unit say the same, and name settings that there are."""

from __future__ import annotations

import configparser
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mephisto_es.adapters.starters.config_schema import config_schema

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: Any = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
CADDYFILE = (ROOT / "deploy" / "Caddyfile").read_text(encoding="utf-8")
UNIT = configparser.RawConfigParser()
UNIT.optionxform = str  # type: ignore[assignment, method-assign]  # names are as they are written
UNIT.read_string((ROOT / "deploy" / "mephisto-es.service").read_text(encoding="utf-8"))
(DOCKER_COMMAND,) = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
COMMANDS = {
    "Dockerfile": json.loads(DOCKER_COMMAND),
    "compose.yaml": COMPOSE["services"]["operator"]["command"],
    "mephisto-es.service": shlex.split(UNIT["Service"]["ExecStart"]),
}


def settings_in(command: list[str]) -> Iterator[tuple[str, str]]:
    for word in command:
        if "=" in word:
            name, _, value = word.partition("=")
            yield name, value


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_resumes_and_names_settings_that_there_are(command: list[str]) -> None:
    assert command[1] == "run_task.py"
    assert Path(command[0]).name == "python"
    settings = dict(settings_in(command))
    assert settings["mephisto.task.resume_incomplete_run"] == "true"
    schema: Any = config_schema()
    for name in settings:
        section, setting = name.removeprefix("mephisto.").split(".")
        assert setting in schema["properties"]["mephisto"]["properties"][section]["properties"]


def test_the_web_server_reaches_the_router() -> None:
    settings = dict(settings_in(COMMANDS["compose.yaml"]))
    assert re.search(rf"reverse_proxy operator:{settings['mephisto.architect.port']}$", CADDYFILE, re.MULTILINE)
    # Another container has to reach it.
    assert settings["mephisto.architect.hostname"] == "0.0.0.0"
    assert f"EXPOSE {settings['mephisto.architect.port']}\n" in DOCKERFILE
    assert settings["mephisto.architect.public_url"].startswith("https://${DOMAIN:")


def test_the_log_is_in_a_volume_and_the_task_is_only_read() -> None:
    folder = dict(settings_in(COMMANDS["compose.yaml"]))["mephisto.database.data_dir"]
    assert f"VOLUME {folder}\n" in DOCKERFILE
    operator = COMPOSE["services"]["operator"]
    assert f"data:{folder}" in operator["volumes"]
    assert any(volume.endswith(":/task:ro") for volume in operator["volumes"])
    assert {
        volume.partition(":")[0] for service in COMPOSE["services"].values() for volume in service["volumes"]
    } >= set(COMPOSE["volumes"])


def test_a_stop_pauses_the_run_and_a_run_that_is_done_is_not_launched_again() -> None:
    operator, service = COMPOSE["services"]["operator"], UNIT["Service"]
    # An operator needs fifteen seconds at most to pause.
    assert int(operator["stop_grace_period"].removesuffix("s")) > 15
    assert int(service["TimeoutStopSec"]) > 15
    assert operator["restart"] == service["Restart"] == "on-failure"
    assert service["KillMode"] == "mixed"
