"""Local architects as a run's configuration makes them."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from mephisto_es.adapters.architects.local import LocalArchitect
from mephisto_es.core.abstractions.architect import ArchitectContext
from mephisto_es.core.abstractions.blueprint import SharedTaskState
from mephisto_es.core.abstractions.resources import Resources
from mephisto_es.core.operations.hydra_config import MephistoConfig
from mephisto_es.events.ids import TaskRunId


def run_config(**settings: object) -> DictConfig:
    config: DictConfig = OmegaConf.structured(MephistoConfig)
    config.architect = OmegaConf.structured(LocalArchitect.ArgsClass(_architect_type="local"))
    for name, value in {"port": 0, **settings}.items():
        config.architect[name] = value
    return config


def local(
    folder: Path, resources: Resources, architect_class: type[LocalArchitect] = LocalArchitect, /, **settings: object
) -> LocalArchitect:
    config = run_config(**settings)
    LocalArchitect.assert_task_args(config, SharedTaskState())
    return architect_class(ArchitectContext(config, SharedTaskState(), TaskRunId(1), folder, resources))
