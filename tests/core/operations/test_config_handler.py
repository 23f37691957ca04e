import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mephisto_es.core.errors import ConfigError
from mephisto_es.core.operations.config_handler import (
    CONFIG_FILE_VARIABLE,
    CORE_SECTION,
    DATA_STORAGE_KEY,
    add_config_arg,
    config_file,
    get_config,
    get_config_arg,
    get_raw_config,
    init_config,
    write_config,
)


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    chosen = tmp_path / "home" / "config.yml"
    monkeypatch.setenv(CONFIG_FILE_VARIABLE, str(chosen))
    return chosen


def only_file(path: Path) -> bool:
    """Assert that no temporary file was left next to the settings."""
    return [found.name for found in path.parent.iterdir()] == [path.name]


def test_the_default_is_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_FILE_VARIABLE, "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config_file() == tmp_path / ".mephisto" / "config.yml"


def test_without_a_file_nothing_is_set(path: Path) -> None:
    assert get_config() == {}
    assert get_raw_config() == ""
    assert get_config_arg(CORE_SECTION, DATA_STORAGE_KEY) is None
    assert not path.exists()


def test_init_makes_a_file_once(path: Path) -> None:
    init_config()
    assert get_config() == {CORE_SECTION: {}}
    add_config_arg(CORE_SECTION, DATA_STORAGE_KEY, "/data")
    init_config()
    assert get_config_arg(CORE_SECTION, DATA_STORAGE_KEY) == "/data"
    assert only_file(path)


def test_adding_one_value_leaves_the_others(path: Path) -> None:
    write_config({"a": {"x": 1, "y": [1, {"z": None}]}, "b": {"x": "é"}})
    add_config_arg("a", "x", 2)
    add_config_arg("c", "new", True)
    assert get_config() == {"a": {"x": 2, "y": [1, {"z": None}]}, "b": {"x": "é"}, "c": {"new": True}}
    assert only_file(path)


plain = st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(min_size=1), st.dictionaries(st.text(min_size=1), plain | st.lists(plain))))
def test_what_is_written_is_read(path: Path, config: dict[str, dict[str, object]]) -> None:
    write_config(config)
    assert get_config() == config
    assert only_file(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"core: {a: 1\nb: sk-geheim\n", "line 2 is not YAML"),
        (b"core: *geheim\n", "line 1 is not YAML"),
        (b"a: !!python/object:os.geheim {}\n", "line 1 is not YAML"),
        (b"\xff\xfe geheim", "not UTF-8"),
        (b"a: \x00geheim", "not YAML"),
        (b"- geheim\n", "no sections"),
        (b"geheim", "no sections"),
        (b"core: geheim\n", "section 'core' has no keys"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_kept(path: Path, text: bytes, why: str) -> None:
    path.parent.mkdir()
    path.write_bytes(text)
    attempts: list[Callable[[], object]] = [
        get_config,
        lambda: get_config_arg("core", "a"),
        lambda: add_config_arg("core", "a", 1),
        lambda: write_config({"core": {}}),
    ]
    for attempt in attempts:
        with pytest.raises(ConfigError, match=why) as refusal:
            attempt()
        assert refusal.value.key == str(path)
        assert str(path) in str(refusal.value)
        assert "geheim" not in str(refusal.value)
    assert path.read_bytes() == text
    assert only_file(path)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "core:\n"])
def test_empty_files_and_sections_are_settings_too(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    add_config_arg("core", "a", 1)
    assert get_config() == {"core": {"a": 1}}


def test_a_value_that_yaml_cannot_hold_changes_nothing(path: Path) -> None:
    write_config({"a": {"x": 1}})
    with pytest.raises(ConfigError, match="cannot hold"):
        add_config_arg("a", "y", object())
    assert get_config() == {"a": {"x": 1}}
    assert only_file(path)


def test_the_file_is_private_and_keeps_the_mode_it_was_given(path: Path) -> None:
    init_config()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    add_config_arg("a", "x", 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_to_the_settings_stays_a_link(path: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.yml"
    real.write_text("a: {x: 1}\n")
    path.parent.mkdir()
    path.symlink_to(real)
    add_config_arg("a", "y", 2)
    assert path.is_symlink()
    assert "y: 2" in real.read_text()


def test_a_crash_while_writing_leaves_the_old_settings(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config({"a": {"x": 1}})

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        add_config_arg("a", "x", 2)
    assert get_config() == {"a": {"x": 1}}
    assert only_file(path)


def test_a_folder_in_the_place_of_the_file_is_named(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(ConfigError, match=str(path)):
        get_config()


def test_a_file_in_the_place_of_the_folder_is_named(path: Path) -> None:
    path.parent.write_text("not a folder")
    with pytest.raises(ConfigError, match=str(path)):
        init_config()


def test_a_read_only_folder_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir(mode=0o500)
    if os.access(path.parent, os.W_OK):  # root may write there, but not into the kernel's own folders
        monkeypatch.setenv(CONFIG_FILE_VARIABLE, "/sys/config.yml")
    with pytest.raises(ConfigError, match="cannot be written"):
        init_config()
