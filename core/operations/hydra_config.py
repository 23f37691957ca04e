"""Defines the configuration of runs for Hydra: structured configs, and the groups that plugins add options to.

A run's configuration is a `TaskConfig`. Its section `mephisto` has one part per kind of plugin, chosen by name from a
Hydra group (`mephisto/architect=local`), and the part `task`, which is the same for all runs. The `ArgsClass` of each
plugin is an option of its group; `operations.registry` adds it.

OmegaConf reads the annotations at run time, so they must be types that it knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..abstractions.args import ArchitectArgs, BlueprintArgs, CrowdProviderArgs, accepted
from ..errors import ConfigError

_PROVIDER = "mephisto_es"


class AbstractionType(Enum):
    """Kind of plugin that a run chooses by name; the value is the name of the Hydra group and of the setting."""

    BLUEPRINT = "blueprint"
    ARCHITECT = "architect"
    PROVIDER = "provider"

    @property
    def group(self) -> str:
        """Name of the Hydra group on the command line."""
        return f"mephisto/{self.value}"

    @property
    def type_field(self) -> str:
        """Name of the args field that holds the chosen name."""
        return f"_{self.value}_type"

    @property
    def class_attribute(self) -> str:
        """Name of the class attribute that holds the name of a plugin of this kind."""
        return f"{self.name}_TYPE"


#: The class that the args of all plugins of a kind extend.
ARGS_BASES = {
    AbstractionType.BLUEPRINT: BlueprintArgs,
    AbstractionType.ARCHITECT: ArchitectArgs,
    AbstractionType.PROVIDER: CrowdProviderArgs,
}


@dataclass
class TaskRunArgs:
    """Settings of a run that do not depend on its blueprint, architect or crowd provider."""

    task_name: str | None = field(
        default=None, metadata={"help": "Name of the task, which all its runs share; the blueprint's type if not set."}
    )
    project_name: str | None = field(
        default=None, metadata={"help": "Project that the task is put in, for grouping; left where it is if not set."}
    )
    task_title: str = field(default=MISSING, metadata={"help": "Title in the provider's list of tasks."})
    task_description: str = field(default=MISSING, metadata={"help": "Description of the task in a few sentences."})
    # A string, so that no float comes between the written amount and the cents that are paid.
    task_reward: str = field(default=MISSING, metadata={"help": "Pay for one unit, for example 0.30."})
    budget: str | None = field(
        default=None,
        metadata={
            "help": "Maximum total cost of the run with fees and bonuses, for example 50.00; no limit if not set."
        },
    )
    provider_fee_percent: int = field(
        default=0,
        metadata={"help": "Percentage that the provider adds to each payment; counts against the budget."},
    )
    bonus_limit: str = field(
        default="0", metadata={"help": "Bonus that the budget reserves for each unit, for example 0.10."}
    )
    pay_for_time: str = field(
        default="0",
        metadata={
            "help": "Pay for each minute of a worker whose work leads to nothing through no fault of theirs, because "
            "they return it or it is taken away."
        },
    )
    pay_for_time_limit: str | None = field(
        default=None, metadata={"help": "The most pay for time for one piece of work; the reward of a unit if not set."}
    )
    minimum_hourly_pay: str = field(
        default="0",
        metadata={"help": "Hourly pay, for example 12.00, up to which `mephisto-es review` proposes bonuses."},
    )
    # A text or a list; OmegaConf has no type for either.
    task_tags: Any = field(
        default=MISSING, metadata={"help": "Keywords to find the task by: a list, or a text with commas."}
    )
    task_lifetime_in_seconds: int = field(
        default=31 * 24 * 60 * 60, metadata={"help": "Time for which the task is offered."}
    )
    assignment_duration_in_seconds: int = field(default=30 * 60, metadata={"help": "Time a worker has for a unit."})
    no_submission_patience: int = field(
        default=12 * 60 * 60, metadata={"help": "Seconds without a submission after which the run pauses."}
    )
    allowed_concurrent: int = field(
        default=0, metadata={"help": "Maximum units per worker at a time, in this run; 0: no limit."}
    )
    maximum_units_per_worker: int = field(
        default=0, metadata={"help": "Maximum units per worker, in all runs of this task_name; 0: no limit."}
    )
    maximum_units_scope: str = field(
        default="task",
        metadata={"help": "What maximum_units_per_worker counts: task (all runs of this task_name) or run (this run)."},
    )
    max_num_concurrent_units: int = field(
        default=0, metadata={"help": "Maximum units offered or worked on at a time; 0: no limit."}
    )
    max_item_bytes: int = field(
        default=8 * 1024 * 1024, metadata={"help": "Maximum size of one data item as JSON, in bytes; at most 15 MiB."}
    )
    max_live_updates: int = field(
        default=10_000, metadata={"help": "Maximum number of live updates that the page of one agent may send."}
    )
    max_live_update_bytes: int = field(
        default=32 * 1024 * 1024, metadata={"help": "Maximum size of all live updates from the page of one agent."}
    )
    max_live_updates_in_run: int = field(
        default=1_000_000, metadata={"help": "Maximum number of live updates from all pages of the run."}
    )
    max_live_update_bytes_in_run: int = field(
        default=4 * 1024 * 1024 * 1024, metadata={"help": "Maximum size of all live updates of the run."}
    )
    language: str = field(
        default="en",
        metadata={"help": "Language of the texts on the page, for instance de."},
    )
    consent: str | None = field(
        default=None, metadata={"help": "Text that workers must agree to before they get work; none if not set."}
    )
    consent_version: str | None = field(
        default=None, metadata={"help": "Version of that text; by default made from the text itself."}
    )
    texts: dict[str, str] = field(
        default_factory=dict, metadata={"help": "Texts that replace those of the language, by key."}
    )
    submission_timeout: int = field(
        default=600, metadata={"help": "Seconds that a worker has to submit after task code has ended."}
    )
    approve_left_partners: bool = field(
        default=False,
        metadata={
            "help": "Whether the work of someone whose partner left is approved, and so paid, as soon as it ends; "
            "otherwise a reviewer decides."
        },
    )
    callback_timeout: int = field(
        default=300,
        metadata={
            "help": "Seconds after which a call of the task's code counts as failed; "
            "for code that runs while people work, seconds after they are done."
        },
    )
    post_install_script: str = field(
        default="", metadata={"help": "For `build_custom_bundle`: script to run between install and build."}
    )
    force_rebuild: bool = field(
        default=False, metadata={"help": "For `build_custom_bundle`: build even if nothing has changed."}
    )
    resume_incomplete_run: bool | None = field(
        default=None,
        metadata={
            "help": "If the task's last run is incomplete: true resumes it, false launches a new one. Asks if not set."
        },
    )
    standby: bool = field(
        default=False,
        metadata={
            "help": "If another machine drives the task's last run, or launches one now: wait, and take it over once "
            "that machine is gone. Needs a log in PostgreSQL."
        },
    )


@dataclass
class DatabaseArgs:
    """Settings of the log's storage."""

    data_dir: str | None = field(
        default=None, metadata={"help": "Data folder; core.main_data_directory of config.yml if not set."}
    )
    _database_type: str | None = field(
        default=None,
        metadata=accepted("Mephisto's kind of database.", "the log is stored in database.data_dir, whatever this says"),
    )


@dataclass
class MetricsArgs:
    """Settings of the metrics endpoint for Prometheus, /metrics."""

    port: int | None = field(default=None, metadata={"help": "Port of the endpoint; no endpoint if not set."})
    host: str = field(
        default="127.0.0.1", metadata={"help": "Address to listen on; the metrics name no worker and no run."}
    )


@dataclass
class NotifyArgs:
    """Settings of notices, which are sent to people who do not look at the run.

    What grants access comes from environment variables, because a run's configuration is recorded.
    """

    events: list[str] = field(
        default_factory=lambda: [
            *("paused", "failed", "admission", "budget", "callbacks", "appeals", "approvals", "anchor", "disk")
        ],
        metadata={
            "help": "What is worth a notice: paused, failed, completed, admission, budget, callbacks, appeals, "
            "approvals, anchor, disk, or the name of any event, such as agent_submitted."
        },
    )
    webhook_url: str | None = field(
        default=None, metadata={"help": "Address that each notice is posted to as JSON, starting with https://."}
    )
    webhook_signed_with: str | None = field(
        default=None,
        metadata={"help": "Environment variable with the key that signs these requests, as in Standard Webhooks."},
    )
    slack_url_from: str | None = field(
        default=None, metadata={"help": "Environment variable with the address of an incoming webhook of Slack."}
    )
    smtp_host: str | None = field(default=None, metadata={"help": "Mail server that sends notices."})
    smtp_port: int = field(default=587, metadata={"help": "Its port."})
    smtp_encrypts: bool = field(default=True, metadata={"help": "Whether to encrypt the connection to it (STARTTLS)."})
    smtp_from: str | None = field(default=None, metadata={"help": "Address that the mail comes from."})
    smtp_to: list[str] = field(default_factory=list, metadata={"help": "Addresses that the mail goes to."})
    smtp_user: str | None = field(default=None, metadata={"help": "User name at the mail server, if it wants one."})
    smtp_login_from: str | None = field(
        default=None, metadata={"help": "Environment variable with the password of that user."}
    )


@dataclass
class QualityArgs:
    """Settings of `mephisto-es quality`. They suggest a look at a worker, and never decide anything."""

    min_gold: float | None = field(
        default=None, metadata={"help": "Share of gold units that a worker should have right, for example 0.8."}
    )
    min_seconds: float | None = field(
        default=None, metadata={"help": "Seconds that a piece of work should take at least."}
    )


@dataclass
class MephistoConfig:
    """The `mephisto` section of a configuration, which `Operator.launch_task_run` takes."""

    blueprint: BlueprintArgs = field(default_factory=BlueprintArgs)
    provider: CrowdProviderArgs = field(default_factory=CrowdProviderArgs)
    architect: ArchitectArgs = field(default_factory=ArchitectArgs)
    task: TaskRunArgs = field(default_factory=TaskRunArgs)
    database: DatabaseArgs = field(default_factory=DatabaseArgs)
    metrics: MetricsArgs = field(default_factory=MetricsArgs)
    notify: NotifyArgs = field(default_factory=NotifyArgs)
    quality: QualityArgs = field(default_factory=QualityArgs)
    log_level: str = field(default="info", metadata={"help": "debug, info, warning, error or critical."})
    datapath: str | None = field(default=None, metadata={"help": "Mephisto's older name of database.data_dir."})


@dataclass
class TaskConfig:
    """Configuration of a launch script. Scripts extend it with their own settings."""

    mephisto: MephistoConfig = field(default_factory=MephistoConfig)
    task_dir: str = field(default=MISSING, metadata={"help": "Folder of the task; the script's folder if not set."})
    num_tasks: int = field(default=5, metadata={"help": "Number of tasks, for scripts that generate them."})
    # A key of Hydra, which accepts no other type.
    defaults: list[Any] = field(default_factory=lambda: ["_self_"])


def build_default_task_config(conf_name: str) -> type[TaskConfig]:
    """Return a `TaskConfig` class that starts from `conf/<conf_name>.yaml`, to be extended or used as it is."""

    @dataclass
    class DefaultTaskConfig(TaskConfig):
        """A task's configuration that starts from a file."""

        defaults: list[Any] = field(default_factory=lambda: ["_self_", {"conf": conf_name}])

    return DefaultTaskConfig


def register_script_config(name: str, module: type[TaskConfig]) -> None:
    """Register a script's config class with Hydra under a name."""
    ConfigStore.instance().store(name=name, node=module, provider=_PROVIDER)


def register_abstraction_config(name: str, node: object, abstraction_type: str) -> None:
    """Make an args class an option of a Hydra group.

    Args:
        name: the option: `static_task` in `mephisto/blueprint=static_task`.
        node: an args class; its `_..._type` may be unset.
        abstraction_type: blueprint, architect or provider.

    Raises:
        ConfigError: `node` is not a dataclass that extends the args of its kind.
    """
    kind = AbstractionType(abstraction_type)
    base = ARGS_BASES[kind]
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
    """Register the configuration that every run has with Hydra, under Mephisto's name for it."""
    ConfigStore.instance().store(name="base_mephisto_config", node=MephistoConfig, group="mephisto", provider=_PROVIDER)
