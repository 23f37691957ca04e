import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import pytest
from hydra.core.config_store import ConfigStore

from mephisto_es.core.abstractions.args import ArchitectArgs, BlueprintArgs, CrowdProviderArgs
from mephisto_es.core.errors import ConfigError
from mephisto_es.core.operations.hydra_config import AbstractionType
from mephisto_es.core.operations.registry import (
    fill_registries,
    get_architect_from_type,
    get_blueprint_from_type,
    get_crowd_provider_from_type,
    get_valid_architect_types,
    get_valid_blueprint_types,
    get_valid_provider_types,
    load_failures,
    register_mephisto_abstraction,
    uses_mephisto,
)

pytestmark = pytest.mark.usefixtures("fresh_registry")
Install = Callable[[str, str, dict[str, list[str]]], None]


@dataclass
class QuizArgs(BlueprintArgs):
    questions: int = 3


class Quiz:
    BLUEPRINT_TYPE = "quiz"
    ArgsClass = QuizArgs


class Cloud:
    ARCHITECT_TYPE = "cloud"
    ArgsClass = ArchitectArgs


class Campus:
    PROVIDER_TYPE = "campus"
    ArgsClass = CrowdProviderArgs


def test_a_decorated_class_is_found_by_its_kind_and_name() -> None:
    for abstraction in (Quiz, Cloud, Campus):
        assert register_mephisto_abstraction()(abstraction) is abstraction
    found: list[type] = [
        get_blueprint_from_type("quiz"),
        get_architect_from_type("cloud"),
        get_crowd_provider_from_type("campus"),
    ]
    assert found == [Quiz, Cloud, Campus]
    assert get_valid_blueprint_types() == ["quiz"]
    assert get_valid_architect_types() == ["cloud"]
    assert get_valid_provider_types() == ["campus"]


def test_its_args_become_an_option_of_the_hydra_group_under_its_name() -> None:
    register_mephisto_abstraction()(Quiz)
    node = ConfigStore.instance().load("mephisto/blueprint/quiz.yaml").node
    assert node == {"_blueprint_type": "quiz", "block_qualification": None, "questions": 3, "tips_location": None}


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    register_mephisto_abstraction()(Quiz)
    register_mephisto_abstraction()(Cloud)
    with pytest.raises(ConfigError, match=r"no blueprint 'quizz'. Did you mean 'quiz'"):
        get_blueprint_from_type("quizz")
    with pytest.raises(ConfigError, match=r"no architect 'quiz'. Known are: cloud"):
        get_architect_from_type("quiz")
    with pytest.raises(ConfigError, match=r"no provider 'toloka'. None is known") as refusal:
        get_crowd_provider_from_type("toloka")
    assert refusal.value.key == "mephisto/provider"


def test_a_class_may_be_registered_again_but_its_name_is_not_for_another() -> None:
    class Impostor(Quiz):
        """Inherits the name."""

    register_mephisto_abstraction()(Quiz)
    register_mephisto_abstraction()(Quiz)
    with pytest.raises(ConfigError, match="Give it another BLUEPRINT_TYPE"):
        register_mephisto_abstraction()(Impostor)
    found: type = get_blueprint_from_type("quiz")
    assert found is Quiz


class Nameless:
    ArgsClass = BlueprintArgs


class TwoKinds:
    BLUEPRINT_TYPE = "two"
    ARCHITECT_TYPE = "two"
    ArgsClass = BlueprintArgs


class WithoutArgs:
    BLUEPRINT_TYPE = "without"


class WrongArgs:
    BLUEPRINT_TYPE = "wrong"
    ArgsClass = ArchitectArgs


class PlainArgs(BlueprintArgs):
    """Forgot to be a dataclass, so its field would be lost."""

    lost: int = 3


class ForgottenDecorator:
    BLUEPRINT_TYPE = "forgotten"
    ArgsClass = PlainArgs


@dataclass
class OpaqueArgs(BlueprintArgs):
    what: Quiz | None = None


class Opaque:
    BLUEPRINT_TYPE = "opaque"
    ArgsClass = OpaqueArgs


@pytest.mark.parametrize(
    ("abstraction", "complaint"),
    [
        (Nameless, "exactly one of the class attributes BLUEPRINT_TYPE, ARCHITECT_TYPE, PROVIDER_TYPE"),
        (TwoKinds, "exactly one of the class attributes"),
        (WithoutArgs, "must be a dataclass that extends BlueprintArgs"),
        (WrongArgs, "must be a dataclass that extends BlueprintArgs"),
        (ForgottenDecorator, "must be a dataclass that extends BlueprintArgs"),
        (Opaque, "OpaqueArgs cannot be a config"),
    ],
)
def test_a_class_that_cannot_be_chosen_is_refused_at_once(abstraction: type, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        register_mephisto_abstraction()(abstraction)
    assert get_valid_blueprint_types() == []


def test_uses_mephisto_registers_what_a_module_defines_and_nothing_it_only_imports() -> None:
    module = ModuleType("a_module")
    own = type("Own", (), {"BLUEPRINT_TYPE": "own", "ArgsClass": BlueprintArgs, "__module__": "a_module"})
    vars(module).update(Own=own, Quiz=Quiz, number=3)
    uses_mephisto(module)
    assert get_valid_blueprint_types() == ["own"]


PLUGIN = """
from mephisto_es.core.abstractions.args import ArchitectArgs, BlueprintArgs
from mephisto_es.core.operations.registry import register_mephisto_abstraction

@register_mephisto_abstraction()
class Decorated:
    BLUEPRINT_TYPE = "decorated"
    ArgsClass = BlueprintArgs

class Undecorated:
    ARCHITECT_TYPE = "undecorated"
    ArgsClass = ArchitectArgs
"""


def test_installed_plugins_are_found_without_being_imported_by_anybody(install: Install) -> None:
    install(
        "plug_good",
        PLUGIN,
        {"blueprints": ["decorated = plug_good:Decorated"], "architects": ["undecorated = plug_good:Undecorated"]},
    )
    assert get_blueprint_from_type("decorated").__name__ == "Decorated"
    assert get_valid_architect_types() == ["undecorated"]
    assert load_failures() == ()


def test_a_plugin_that_does_not_load_spoils_nothing_and_says_why(install: Install) -> None:
    install("plug_raises", "raise RuntimeError('no GPU here')", {"blueprints": ["gpu = plug_raises:Gpu"]})
    install("plug_absent", "", {"blueprints": ["absent = plug_absent:Absent"]})
    install("plug_fine", PLUGIN, {"blueprints": ["decorated = plug_fine:Decorated"]})
    assert get_valid_blueprint_types() == ["decorated"]
    reasons = {failure.name: (failure.package, failure.target, failure.reason) for failure in load_failures()}
    assert reasons["gpu"] == ("plug_raises", "plug_raises:Gpu", "RuntimeError: no GPU here")
    assert reasons["absent"][2].startswith("AttributeError: ")
    with pytest.raises(ConfigError, match=r"'gpu' is installed but did not load: RuntimeError: no GPU here"):
        get_blueprint_from_type("gpu")


def test_a_failed_plugin_is_tried_and_reported_once(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("plug_once", "raise RuntimeError('once')", {"providers": ["once = plug_once:Once"]})
    fill_registries()
    fill_registries()
    assert len(load_failures()) == 1
    assert load_failures()[0].abstraction_type is AbstractionType.PROVIDER
    assert capsys.readouterr().err.count("plugin did not load") == 1


def test_core_imports_no_adapter() -> None:
    program = (
        "import sys, mephisto_es.core.operations.registry, mephisto_es.core.operations.configuration.task_config\n"
        "print([name for name in sys.modules if name.startswith('mephisto_es.adapters')])"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (finished.stdout, finished.stderr) == ("[]\n", "")
