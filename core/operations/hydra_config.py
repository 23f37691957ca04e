"""What a run can be told, as Hydra sees it: structured configs, and the groups that plugins add to.

A run's configuration is a `TaskConfig`. Below `mephisto` it has one part for each abstraction, chosen by name from a
Hydra group (`mephisto/architect=local`), and `task`, which is the same for all runs. Each abstraction's `ArgsClass` is
an option of its group; `operations.registry` adds them as it learns of them.

The annotations are read at run time by OmegaConf, so they must be types that it knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..abstractions.args import ArchitectArgs, BlueprintArgs, CrowdProviderArgs
from ..errors import ConfigError

_PROVIDER = "mephisto_es"


class AbstractionType(Enum):
    """What can be chosen by name for a run; the value is the name of the Hydra group and of the setting."""

    BLUEPRINT = "blueprint"
    ARCHITECT = "architect"
    PROVIDER = "provider"

    @property
    def group(self) -> str:
        """The Hydra group, as it is chosen from on a command line."""
        return f"mephisto/{self.value}"

    @property
    def type_field(self) -> str:
        """The field of the args that holds the chosen name."""
        return f"_{self.value}_type"

    @property
    def class_attribute(self) -> str:
        """The attribute by which a class says that it is of this kind, and its name."""
        return f"{self.name}_TYPE"


_ARGS_BASES = {
    AbstractionType.BLUEPRINT: BlueprintArgs,
    AbstractionType.ARCHITECT: ArchitectArgs,
    AbstractionType.PROVIDER: CrowdProviderArgs,
}


@dataclass
class TaskRunArgs:
    """The settings of a run that do not depend on what the task is or where its workers come from."""

    task_name: str | None = field(
        default=None, metadata={"help": "Runs of one name are one task; the blueprint's type if not set."}
    )
    task_title: str = field(default=MISSING, metadata={"help": "What workers see in the provider's list."})
    task_description: str = field(default=MISSING, metadata={"help": "What there is to do, in some sentences."})
    # A string, so that no float stands between what was written and the cents that are paid.
    task_reward: str = field(default=MISSING, metadata={"help": "Pay for one unit, for instance 0.30."})
    budget: str | None = field(
        default=None,
        metadata={
            "help": "What the run may cost in all, with fees and bonuses, for instance 50.00; no limit if not set."
        },
    )
    provider_fee_percent: int = field(
        default=0, metadata={"help": "What the provider takes on top of each payment; counted against the budget."}
    )
    bonus_limit: str = field(
        default="0", metadata={"help": "The bonus that is kept back from the budget for each unit, for instance 0.10."}
    )
    task_tags: str = field(default=MISSING, metadata={"help": "Words to find the task by, with commas between."})
    task_lifetime_in_seconds: int = field(
        default=31 * 24 * 60 * 60, metadata={"help": "How long the work is on offer."}
    )
    assignment_duration_in_seconds: int = field(default=30 * 60, metadata={"help": "How long a worker has for a unit."})
    no_submission_patience: int = field(
        default=12 * 60 * 60, metadata={"help": "Seconds without any submission after which the run is stopped."}
    )
    allowed_concurrent: int = field(default=0, metadata={"help": "Units one worker may have at a time; 0: no limit."})
    maximum_units_per_worker: int = field(
        default=0, metadata={"help": "Units one worker may have in all; 0: no limit."}
    )
    max_num_concurrent_units: int = field(
        default=0, metadata={"help": "Units on offer or in work at a time; 0: no limit."}
    )
    max_item_bytes: int = field(
        default=8 * 1024 * 1024, metadata={"help": "Bytes that one piece of data may have as JSON; at most 15 MiB."}
    )
    submission_timeout: int = field(
        default=600, metadata={"help": "Seconds a finished worker has to press the submit button."}
    )
    post_install_script: str = field(
        default="", metadata={"help": "For `build_custom_bundle`: run between install and build."}
    )
    force_rebuild: bool = field(
        default=False, metadata={"help": "For `build_custom_bundle`: build even if nothing has changed."}
    )
    resume_incomplete_run: bool = field(
        default=False, metadata={"help": "Go on with the task's last run if it is not complete."}
    )


@dataclass
class DatabaseArgs:
    """Where the log of a run is kept."""

    data_dir: str | None = field(
        default=None, metadata={"help": "The folder; the one of config.yml (core.main_data_directory) if not set."}
    )


@dataclass
class MetricsArgs:
    """Where the operator's figures are shown to Prometheus, at /metrics."""

    port: int | None = field(default=None, metadata={"help": "The port; they are not shown if not set."})
    host: str = field(
        default="127.0.0.1", metadata={"help": "The address to listen on; the figures name no worker and no run."}
    )


@dataclass
class MephistoConfig:
    """All that `Operator.launch_task_run` takes from a configuration."""

    blueprint: BlueprintArgs = field(default_factory=BlueprintArgs)
    provider: CrowdProviderArgs = field(default_factory=CrowdProviderArgs)
    architect: ArchitectArgs = field(default_factory=ArchitectArgs)
    task: TaskRunArgs = field(default_factory=TaskRunArgs)
    database: DatabaseArgs = field(default_factory=DatabaseArgs)
    metrics: MetricsArgs = field(default_factory=MetricsArgs)
    log_level: str = field(default="info", metadata={"help": "debug, info, warning, error or critical."})


@dataclass
class TaskConfig:
    """The configuration of a launch script; extend it for settings of the script's own."""

    mephisto: MephistoConfig = field(default_factory=MephistoConfig)
    task_dir: str = field(default=MISSING, metadata={"help": "The script's folder, if not set."})
    num_tasks: int = field(default=5, metadata={"help": "How many tasks to make, for scripts that make them up."})
    # Hydra's own key. It takes no other type than a list of anything.
    defaults: list[Any] = field(default_factory=lambda: ["_self_"])


def build_default_task_config(conf_name: str) -> type[TaskConfig]:
    """A `TaskConfig` that starts from `conf/<conf_name>.yaml`; to be extended, or used as it is."""

    @dataclass
    class DefaultTaskConfig(TaskConfig):
        """A task's configuration with a file to start from."""

        defaults: list[Any] = field(default_factory=lambda: ["_self_", {"conf": conf_name}])

    return DefaultTaskConfig


def register_script_config(name: str, module: type[TaskConfig]) -> None:
    """Make a script's config class known to Hydra, to be composed by this name."""
    ConfigStore.instance().store(name=name, node=module, provider=_PROVIDER)


def register_abstraction_config(name: str, node: object, abstraction_type: str) -> None:
    """Make an args class an option of a Hydra group.

    Args:
        name: the option: `static_task` in `mephisto/blueprint=static_task`.
        node: an args class. It need not fill in its `_..._type`.
        abstraction_type: blueprint, architect or provider.

    Raises:
        ConfigError: `node` is not a dataclass that extends the args of its kind.
    """
    kind = AbstractionType(abstraction_type)
    base = _ARGS_BASES[kind]
    if not (isinstance(node, type) and issubclass(node, base) and "__dataclass_fields__" in vars(node)):
        raise ConfigError(
            f"the ArgsClass of the {kind.value} {name!r} is {node!r}",
            key="ArgsClass",
            hint=f"It must be a dataclass that extends {base.__name__}",
        )
    try:
        config = OmegaConf.structured(node)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{node.__name__} cannot be a config: {error.msg}", key="ArgsClass") from error
    config[kind.type_field] = name
    ConfigStore.instance().store(name=name, node=config, group=kind.group, provider=_PROVIDER)


def initialize_named_configs() -> None:
    """Make the configuration that every run has known to Hydra, under Mephisto's name for it."""
    ConfigStore.instance().store(name="base_mephisto_config", node=MephistoConfig, group="mephisto", provider=_PROVIDER)
