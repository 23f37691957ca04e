import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import MISSING, DictConfig, OmegaConf

from mephisto_es.core.abstractions.args import ArchitectArgs, BlueprintArgs, CrowdProviderArgs
from mephisto_es.core.errors import ConfigError
from mephisto_es.core.operations.configuration.task_config import check_run_config, load_task_config
from mephisto_es.core.operations.configuration.task_settings import read_task_settings
from mephisto_es.core.operations.hydra_config import (
    TaskConfig,
    TaskRunArgs,
    build_default_task_config,
    register_script_config,
)
from mephisto_es.core.operations.registry import register_mephisto_abstraction

DEFAULTS = """#@package _global_
defaults:
  - /mephisto/blueprint: form
  - /mephisto/architect: nearby
  - /mephisto/provider: campus
"""
TASK = """
mephisto:
  blueprint:
    data_csv: ${task_dir}/data.csv
  task:
    task_name: sentences
    task_title: "Rate a sentence"
    task_description: "How natural does it sound?"
    task_reward: 0.30
    task_tags: "rating,short"
"""


@dataclass
class FormArgs(BlueprintArgs):
    data_csv: str = MISSING
    units_per_assignment: int | None = 1
    fields: list[str] = field(default_factory=list)
    service_token: int = 0
    rule: dict[str, Any] | None = None


@dataclass
class NearbyArgs(ArchitectArgs):
    hostname: str = "localhost"
    port: int = 3000


@dataclass
class FarArgs(ArchitectArgs):
    region: str = "north"


class Form:
    BLUEPRINT_TYPE = "form"
    ArgsClass = FormArgs


class Nearby:
    ARCHITECT_TYPE = "nearby"
    ArgsClass = NearbyArgs


class Far:
    ARCHITECT_TYPE = "far"
    ArgsClass = FarArgs


class Campus:
    PROVIDER_TYPE = "campus"
    ArgsClass = CrowdProviderArgs


@pytest.fixture
def conf(tmp_path: Path, fresh_registry: None) -> Path:
    """Return a script's `conf` folder with one good file; the plugins that it names are registered."""
    for abstraction in (Form, Nearby, Far, Campus):
        register_mephisto_abstraction()(abstraction)
    register_script_config("taskconfig", build_default_task_config("example"))
    folder = tmp_path / "hydra_configs" / "conf"
    folder.mkdir(parents=True)
    (folder / "example.yaml").write_text(DEFAULTS + TASK)
    return folder


@pytest.fixture
def load(conf: Path) -> Callable[..., DictConfig]:
    def load_with(*overrides: str) -> DictConfig:
        return load_task_config(conf.parents[1] / "run_task.py", "hydra_configs", "taskconfig", overrides)

    return load_with


Load = Callable[..., DictConfig]


def test_file_and_defaults_make_one_config(load: Load, conf: Path) -> None:
    cfg = load()
    assert cfg.task_dir == str(conf.parents[1])
    assert cfg.mephisto.blueprint.data_csv == f"{conf.parents[1]}/data.csv"
    assert cfg.mephisto.blueprint._blueprint_type == "form"
    assert cfg.mephisto.architect._architect_type == "nearby"
    assert cfg.mephisto.architect.port == 3000
    assert cfg.mephisto.provider._provider_type == "campus"
    assert cfg.mephisto.log_level == "info"


def test_the_command_line_chooses_and_sets(load: Load) -> None:
    cfg = load("mephisto/architect=far", "mephisto.task.task_reward=0.3", "mephisto.architect.region=south")
    assert cfg.mephisto.architect == {
        "_architect_type": "far",
        "server_type": "python",
        "server_source_path": None,
        "region": "south",
    }
    assert read_task_settings(cfg.mephisto.task).task_reward_cents == 30


def test_another_file_can_be_chosen(load: Load, conf: Path) -> None:
    (conf / "far_away.yaml").write_text(DEFAULTS.replace("nearby", "far") + TASK)
    assert load("conf=far_away").mephisto.architect.region == "north"


def test_a_script_has_settings_of_its_own(load: Load) -> None:
    base = build_default_task_config("example")

    @dataclass
    class MyConfig(base):  # type: ignore[valid-type, misc]  # made at run time, as in every launch script
        models: list[str] = field(default_factory=lambda: ["a"])

    register_script_config("taskconfig", MyConfig)
    cfg = load("models=[b,c]", "num_tasks=2")
    assert (cfg.models, cfg.num_tasks) == (["b", "c"], 2)
    with pytest.raises(ConfigError, match=r"no setting 'modles'. Did you mean 'models'"):
        load("modles=[b]")


def test_hydra_takes_nothing_over(load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run_task.py", "--not-for-hydra"])
    root = logging.getLogger()
    before = (os.getcwd(), root.handlers[:], root.level, sorted(path.name for path in tmp_path.iterdir()))
    load()
    assert (os.getcwd(), root.handlers, root.level, sorted(path.name for path in tmp_path.iterdir())) == before
    assert not GlobalHydra.instance().is_initialized()


def test_the_task_settings_are_those_of_the_args_with_cents_for_amounts(load: Load) -> None:
    settings = read_task_settings(load("mephisto.task.allowed_concurrent=2").mephisto.task)
    assert settings.task_reward_cents == 30
    assert settings.allowed_concurrent == 2
    assert (settings.task_lifetime_in_seconds, settings.no_submission_patience) == (2_678_400, 43_200)
    assert (settings.assignment_duration_in_seconds, settings.submission_timeout) == (1800, 600)
    names = {name.removesuffix("_cents") for name in settings.__struct_fields__}
    assert names == set(TaskRunArgs.__dataclass_fields__)


@pytest.mark.parametrize(
    ("overrides", "key", "sentence"),
    [
        (
            ["mephisto.task.task_rewrd=0.3"],
            "mephisto.task.task_rewrd",
            "on the command line: there is no setting 'mephisto.task.task_rewrd'. "
            "Did you mean 'mephisto.task.task_reward'?",
        ),
        (["task_reward=0.3"], "task_reward", "Did you mean 'mephisto.task.task_reward'?"),
        (["mephisto.architect.prot=1"], "mephisto.architect.prot", "Did you mean 'mephisto.architect.port'?"),
        (["+mephisto.architect.prot=1"], "mephisto.architect.prot", "Did you mean 'mephisto.architect.port'?"),
        (["mephisto.num_tasks=3"], "mephisto.num_tasks", "Did you mean 'num_tasks'?"),
        (["zzz=3"], "zzz", "Known are: mephisto, num_tasks, task_dir"),
        (["mephisto/architect=nearbye"], "mephisto/architect", "no architect 'nearbye'. Did you mean 'nearby'?"),
        (["mephisto/archtect=far"], "mephisto/archtect", "Did you mean 'mephisto/architect'?"),
        (["mephisto.architect=far"], "mephisto.architect", "Choose one with mephisto/architect=NAME"),
        (["~mephisto/architect"], "mephisto/architect", "no architect is chosen"),
        (["+mephisto/architect=far"], "mephisto/architect", "Write mephisto/architect=NAME without a +"),
        (["conf=exmple"], "conf", "Did you mean 'example'?"),
        (["mephisto.architect.port=x"], "mephisto.architect.port", "is 'x', which is not a whole number"),
        (
            ["mephisto.blueprint.units_per_assignment=1.5"],
            "mephisto.blueprint.units_per_assignment",
            "is 1.5, which is not a whole number or null",
        ),
        (["mephisto.blueprint.fields=a"], "mephisto.blueprint.fields", "is 'a', which is not a list"),
        (["mephisto.task.force_rebuild=maybe"], "mephisto.task.force_rebuild", "which is not true or false"),
        (["mephisto.task.task_title=null"], "mephisto.task.task_title", "is null, which is not a text"),
        (["mephisto.task=3"], "mephisto.task", "is 3, which is not a group of settings"),
        (["mephisto.task.task_title="], "mephisto.task.task_title", "which is out of range"),
        (["mephisto.task.allowed_concurrent=-1"], "mephisto.task.allowed_concurrent", "is -1, which is out of range"),
        (["mephisto.task.submission_timeout=0"], "mephisto.task.submission_timeout", "is 0, which is out of range"),
        (["mephisto.task.task_reward=0.305"], "mephisto.task.task_reward", "not a whole number of cents"),
        (
            ["mephisto.task.task_reward=1,2"],
            "mephisto.task.task_reward",
            "Write a list as",
        ),
        (["mephisto.task.task_title='${nobody}'"], "mephisto.task.task_title", "Interpolation key 'nobody' not found"),
        (["mephisto.task.task_title='${oc.env:NOBODY_X}'"], "mephisto.task.task_title", "'NOBODY_X' not found"),
        (["mephisto.log_level=lod"], "mephisto.log_level", "there is no log level 'lod'"),
        (["mephisto.task.task_title"], "mephisto.task.task_title", "is not followed by =value"),
        (["mephisto.task.task_title=a [b"], "mephisto.task.task_title", "the value needs quotes"),
        (["mephisto.task.texts.submit=Send"], "mephisto.task.texts.submit", "adds a key with a plus: +mephisto."),
        (["mephisto.blueprint.rule.most=1"], None, "sets a mapping, or a part of one, that the configuration file"),
        (["+mephisto.blueprint.rule={most: 1}"], None, "Write it in the file"),
        (["~mephisto.task.task_title"], "mephisto.task.task_title", "on the command line: mephisto.task.task_title"),
    ],
)
def test_a_wrong_command_line_is_answered_in_one_sentence(
    load: Load, overrides: list[str], key: str | None, sentence: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(*overrides)
    assert refusal.value.key == key
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "key", "sentence"),
    [
        (
            DEFAULTS + "mephisto: {blueprint: {data_cvs: x}}",
            "mephisto.blueprint.data_cvs",
            "in FILE: there is no setting 'mephisto.blueprint.data_cvs'. Did you mean 'mephisto.blueprint.data_csv'?",
        ),
        (
            DEFAULTS + "mephisto: {task: {allowed_concurrent: many}}",
            "mephisto.task.allowed_concurrent",
            "in FILE: mephisto.task.allowed_concurrent is 'many', which is not a whole number",
        ),
        (DEFAULTS + "mephist: {}", "mephist", "in FILE: there is no setting 'mephist'. Did you mean 'mephisto'?"),
        (DEFAULTS + "mephisto: null", "mephisto", "in FILE: mephisto"),
        (DEFAULTS + "mephisto: [a\n b: c", "FILE", "FILE, line 7 is not YAML"),
        (DEFAULTS + TASK.replace("task_title", "task_tilte"), "mephisto.task.task_tilte", "Did you mean"),
        (DEFAULTS + "mephisto: {task: {task_title: x}}", "mephisto.task.task_description", "is not set"),
        (DEFAULTS.replace("form", "from") + TASK, "mephisto/blueprint", "no blueprint 'from'. Did you mean 'form'?"),
        (DEFAULTS.replace("/blueprint", "/bluprint"), "mephisto/bluprint", "Did you mean 'mephisto/blueprint'?"),
        (DEFAULTS.replace("  - /mephisto/provider: campus\n", "") + TASK, "mephisto/provider", "no provider is chosen"),
        (TASK, "conf", "The first line of the file must be: #@package _global_"),
        ("", "conf", "The first line of the file must be"),
        ("just text", "conf", "The first line of the file must be"),
        ("#@package _global_\ndefaults: 3", None, "defaults must be a list"),
        (b"#@package _global_\n# \xe9", "DIR", "not UTF-8 text"),
    ],
)
def test_a_wrong_file_is_named_in_one_sentence(
    load: Load, conf: Path, text: str | bytes, key: str | None, sentence: str
) -> None:
    file = conf / "example.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as refusal:
        load()
    named = {"FILE": str(file), "DIR": str(conf.parent)}
    assert refusal.value.key == named.get(key or "", key)
    assert sentence.replace("FILE", str(file)) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_class_that_is_merged_after_its_plugins_is_explained(load: Load, conf: Path) -> None:
    (conf / "plain.yaml").write_text(f"#@package _global_\n{TASK}")

    @dataclass
    class OldConfig(TaskConfig):
        defaults: list[Any] = field(default_factory=lambda: [{"mephisto/blueprint": "form"}, {"conf": "plain"}])

    register_script_config("taskconfig", OldConfig)
    with pytest.warns(UserWarning, match="missing `_self_`"), pytest.raises(ConfigError) as refused:
        load()
    assert "Merge error: BlueprintArgs is not a subclass of FormArgs" in str(refused.value)
    assert 'Put "_self_" first in the defaults list' in str(refused.value)
    assert "block_qualification" not in str(refused.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"there is no folder {tmp_path}/hydra_configs"):
        load_task_config(tmp_path / "run_task.py", "hydra_configs", "taskconfig", [])


def test_the_value_of_a_secret_is_not_repeated(load: Load) -> None:
    for override in ("mephisto.blueprint.service_token=hunter2", "mephisto.blueprint.service_token=hunter2 [x"):
        with pytest.raises(ConfigError) as refusal:
            load(override)
        assert refusal.value.key == "mephisto.blueprint.service_token"
        assert "hunter2" not in str(refusal.value)


def test_a_config_built_by_hand_is_checked_the_same_way(load: Load) -> None:
    good = load().mephisto
    assert check_run_config(good).task_name == "sentences"
    plain = OmegaConf.create(OmegaConf.to_container(good, resolve=True))
    assert isinstance(plain, DictConfig)
    assert check_run_config(plain) == check_run_config(good)
    del plain.task.allowed_concurrent, plain.log_level
    assert check_run_config(plain) == check_run_config(good)


@pytest.mark.parametrize(
    ("setting", "value", "complaint"),
    [
        ("architect", {}, "no architect is chosen"),
        ("provider", None, "no provider is chosen"),
        ("log_level", "lod", "no log level 'lod'"),
        ("task", {}, r"mephisto\.task\.task_title is not set"),
        ("task", None, r"mephisto\.task\.task_title is not set"),
        (
            "task.allowed_concurrent",
            "many",
            r"mephisto\.task\.allowed_concurrent is 'many', which is not a whole number",
        ),
        ("task.allowed_concurent", 1, r"Did you mean 'mephisto\.task\.allowed_concurrent'"),
        (
            "task.task_title",
            "${nobody}",
            r"task_title refers to something that does not exist",
        ),
        ("task.task_reward", 0.305, "not a whole number of cents"),
    ],
)
def test_what_is_wrong_in_a_config_built_by_hand_is_named(
    load: Load, setting: str, value: object, complaint: str
) -> None:
    plain = OmegaConf.create(OmegaConf.to_container(load().mephisto, resolve=True))
    assert isinstance(plain, DictConfig)
    OmegaConf.update(plain, setting, value, merge=False)
    with pytest.raises(ConfigError, match=complaint):
        check_run_config(plain)


def test_a_config_of_nothing_is_refused(load: Load) -> None:
    for empty in (OmegaConf.create({}), OmegaConf.structured(TaskConfig).mephisto):
        with pytest.raises(ConfigError, match="no blueprint is chosen"):
            check_run_config(empty)
