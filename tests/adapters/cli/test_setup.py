"""The verbs before a launch: check, config, register, requesters, plugins, wut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner, Result
from omegaconf import MISSING

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.cli.main import EXIT_UNUSABLE
from mephisto_es.adapters.providers.mock import MockProvider
from mephisto_es.core.abstractions.args import RequesterArgs
from mephisto_es.core.operations import registry
from mephisto_es.core.operations.config_handler import add_config_arg, get_config, get_config_arg


@dataclass
class StrictRequesterArgs(RequesterArgs):
    """An account with a secret and a choice."""

    secret_key: str = field(default=MISSING, metadata={"help": "What proves who you are."})
    region: str = field(default="north", metadata={"help": "Where the account is."})


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enter an empty folder with its own settings."""
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the mock provider require credentials."""
    monkeypatch.setattr(MockProvider, "RequesterArgsClass", StrictRequesterArgs)


@pytest.fixture
def broken_plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a package whose blueprint cannot be imported."""
    broken = EntryPoint("nowhere", "no_such_module:Blueprint", "mephisto_es.blueprints")
    ours = [plugin for group in registry.ENTRY_POINT_GROUPS.values() for plugin in entry_points(group=group)]
    monkeypatch.setattr(registry, "entry_points", lambda: EntryPoints([*ours, broken]))
    yield
    registry._failures.pop(broken, None)
    registry._tried.discard(broken)


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(command.main, arguments, input=typed)


class TestConfig:
    def test_there_are_no_settings_at_first(self, home: Path) -> None:
        assert run("config").stdout == f"{home}/config.yml has no settings yet.\n"

    def test_what_was_set_is_shown(self, home: Path) -> None:
        assert run("config", "core.main_data_directory", "/data").exit_code == 0
        assert run("config", "core.main_data_directory").stdout == "/data\n"
        assert run("config", "core").stdout == "main_data_directory: /data\n"
        assert "main_data_directory: /data" in run("config").stdout
        assert json.loads(run("config", "--json").stdout)["config"] == {"core": {"main_data_directory": "/data"}}

    def test_a_secret_comes_from_standard_input_and_is_shown_to_who_asks_for_it_alone(self) -> None:
        assert run("config", "mturk.secret_key", "-", typed="hush-hush\n").exit_code == 0
        assert get_config_arg("mturk", "secret_key") == "hush-hush"
        for shown in (run("config"), run("config", "--json"), run("config", "mturk")):
            assert "hush" not in shown.output
        assert run("config", "mturk.secret_key").stdout == "hush-hush\n"

    def test_a_setting_that_is_not_set_is_told_with_the_nearest_one(self) -> None:
        add_config_arg("core", "main_data_directory", "/data")
        result = run("config", "core.main_data_dir")
        assert result.exit_code == EXIT_UNUSABLE
        assert "Did you mean 'core.main_data_directory'?" in result.stderr

    def test_a_setting_needs_a_section(self) -> None:
        assert run("config", "key", "value").exit_code == EXIT_UNUSABLE
        assert get_config() == {}


class TestRegister:
    def test_without_a_provider_it_lists_them(self) -> None:
        assert "mock" in run("register").stdout.splitlines()

    def test_without_settings_it_tells_what_is_needed(self, strict: None) -> None:
        said = run("register", "mock").stdout
        assert "secret_key=" in said
        assert "What proves who you are. (required)" in said
        assert "(default: north)" in said

    def test_an_account_is_known_afterwards_and_once(self) -> None:
        assert "registered" in run("register", "mock", "name=ann").stdout
        assert "already known" in run("register", "mock", "name=ann").stdout
        (account,) = json.loads(run("requesters", "--json").stdout)["requesters"]
        assert (account["name"], account["provider_type"], account["runs"]) == ("ann", "mock", 0)

    def test_credentials_go_into_the_settings_and_nowhere_else(self, strict: None, home: Path) -> None:
        result = run("register", "mock", "name=ann", "secret_key=-", typed="hush-hush\n")
        assert result.exit_code == 0
        assert "hush" not in result.output
        assert get_config_arg("mock", "ann") == {"secret_key": "hush-hush"}
        for file in (home / "mephisto_data").iterdir():
            assert b"hush" not in file.read_bytes()

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            (["name=ann"], "mock needs secret_key=..."),
            (["secret_key=x"], "mock needs name=..."),
            (["name=ann", "secret_kee=x"], "Did you mean 'secret_key'?"),
            (["ann"], "write KEY=VALUE"),
        ],
    )
    def test_what_is_wrong_is_told_before_anything_is_written(
        self, strict: None, home: Path, settings: list[str], said: str
    ) -> None:
        result = run("register", "mock", *settings)
        assert result.exit_code == EXIT_UNUSABLE
        assert said in result.stderr
        assert list(home.iterdir()) == []

    def test_an_unknown_provider_is_told(self) -> None:
        result = run("register", "mok", "name=ann")
        assert result.exit_code == EXIT_UNUSABLE
        assert "Did you mean 'mock'?" in result.stderr


def test_requesters_of_a_log_without_any(home: Path) -> None:
    run("register", "mock", "name=ann", "--data-dir", "elsewhere")
    assert "ann" in run("requesters", "elsewhere").stdout
    assert run("requesters").exit_code == EXIT_UNUSABLE


class TestPlugins:
    def test_what_comes_with_the_package_is_listed(self) -> None:
        plugins = json.loads(run("plugins", "--json").stdout)["plugins"]
        names = {(plugin["abstraction_type"], plugin["name"]) for plugin in plugins}
        assert {("blueprint", "static_task"), ("architect", "local"), ("provider", "mock")} <= names
        (local,) = (plugin for plugin in plugins if plugin["name"] == "local")
        assert local["target"] == "mephisto_es.adapters.architects.local:LocalArchitect"
        assert local["package"] == "mephisto-es"

    def test_why_one_does_not_load_is_told(self, broken_plugin: None) -> None:
        result = run("plugins")
        assert result.exit_code == 1
        assert "blueprint 'nowhere'" in result.stderr
        assert "No module named 'no_such_module'" in result.stderr
        assert "static_task" in result.stdout


class TestWut:
    ONE_OF: ClassVar[dict[str, str]] = {
        "task": "mephisto.task.task_reward",
        "blueprint=static_task": "mephisto.blueprint.block_qualification",
        "architect=local": "mephisto.architect.port",
        "provider=mock": "mephisto.provider.requester_name",
        "requester=mock": "name",
    }

    @pytest.mark.parametrize("what", ONE_OF)
    def test_settings_are_told(self, what: str) -> None:
        assert self.ONE_OF[what] in run("wut", what).stdout
        settings = json.loads(run("wut", what, "--json").stdout)["settings"]
        (one,) = (setting for setting in settings if setting["name"] == self.ONE_OF[what])
        assert one["about"]

    def test_one_setting_is_told(self) -> None:
        assert len(run("wut", "architect=local", "port").stdout.splitlines()) == 1

    def test_the_default_of_a_choice_is_written_as_in_a_configuration(self) -> None:
        words = ("wut", "provider=prolific", "prolific_completion")
        assert "default: 'SERVER'" in run(*words).stdout
        assert json.loads(run(*words, "--json").stdout)["settings"][0]["default"] == "SERVER"

    @pytest.mark.parametrize("kind", ["blueprint", "architect", "provider", "requester"])
    def test_a_kind_lists_its_names(self, kind: str) -> None:
        assert "mock" in run("wut", kind).stdout.splitlines()

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["blueprnt"], "Did you mean 'blueprint'?"),
            (["architect=local", "prt"], "Did you mean 'port'?"),
            (["architect=lokal"], "Did you mean 'local'?"),
        ],
    )
    def test_what_there_is_not_is_told_with_the_nearest(self, arguments: list[str], said: str) -> None:
        result = run("wut", *arguments)
        assert result.exit_code == EXIT_UNUSABLE
        assert said in result.stderr


class TestCheck:
    def test_a_new_machine_is_ready(self, home: Path) -> None:
        result = run("check", "--json")
        assert result.exit_code == 0
        checked = json.loads(result.stdout)
        assert checked["ok"]
        states = {finding["what"]: finding["state"] for finding in checked["findings"]}
        assert states["SQLite"] == states["data folder"] == states["settings"] == "ok"
        assert list(home.iterdir()) == []

    def test_a_log_is_looked_at(self, home: Path) -> None:
        run("register", "mock", "name=ann")
        assert "1 events" in run("check").stdout
        (home / "mephisto_data" / "mephisto.db").write_text("a letter to a friend")
        result = run("check")
        assert result.exit_code == 1
        assert "is not a log of mephisto-es" in result.stdout

    def test_settings_that_cannot_be_read_are_wrong(self, home: Path) -> None:
        (home / "config.yml").write_text("a: [")
        result = run("check")
        assert result.exit_code == 1
        assert "config.yml cannot be used" in result.stdout

    def test_a_plugin_that_does_not_load_is_wrong(self, broken_plugin: None) -> None:
        result = run("check")
        assert result.exit_code == 1
        assert "No module named 'no_such_module'" in result.stdout

    def test_a_tool_that_is_missing_is_no_fault(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(home))
        result = run("check")
        assert result.exit_code == 0
        assert "Install Node.js 18 or later" in result.stdout

    def test_an_old_node_is_told(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        node = home / "node"
        node.write_text("#!/bin/sh\necho v12.22.9\n")
        node.chmod(0o755)
        monkeypatch.setenv("PATH", str(home))
        assert "12.22.9 is too old" in run("check").stdout

    def test_a_data_folder_that_cannot_be_made_is_wrong(self, home: Path) -> None:
        (home / "file").touch()
        add_config_arg("core", "main_data_directory", str(home / "file" / "data"))
        result = run("check")
        assert result.exit_code == 1
        assert "cannot be written to" in result.stdout
