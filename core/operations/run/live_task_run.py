"""What the parts of a running job hand to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

import trio
from omegaconf import DictConfig

from ....events.ids import TaskRunId
from ...abstractions.mixins import OnboardingRequired, ScreenTaskRequired, UseGoldUnit

if TYPE_CHECKING:
    from ...abstractions.architect import Architect
    from ...abstractions.blueprint import Blueprint
    from ...abstractions.crowd_provider import CrowdProvider
    from ...abstractions.qualifications import QualificationRule
    from ...abstractions.screen_task_required import Screening
    from ...abstractions.task_runner import TaskRunner
    from ...abstractions.use_gold_unit import Golds
    from ..client_io_handler import ClientIOHandler
    from ..configuration.task_settings import TaskSettings
    from ..task_launcher import TaskLauncher
    from ..worker_pool import WorkerPool


class WorkerFailureReasons(Enum):
    """What a worker who gets no work is shown. The name stands in the log, the text on the page."""

    NOT_QUALIFIED = (
        "You are not currently qualified to work on this task. If you think this is a mistake, please contact us."
    )
    NO_AVAILABLE_UNITS = "There is currently no available work, please try again later."
    TOO_MANY_CONCURRENT = "You are already working on as many of these tasks as you may have at a time."
    MAX_FOR_TASK = "You have already worked on as many of these tasks as one person may."
    TASK_MISSING = (
        "You appear to have already completed this task, or have disconnected long enough for your session to clear."
    )


@dataclass
class LiveTaskRun:
    """A run that is going on, and everything that makes it go."""

    task_run: TaskRunId
    #: The run's whole configuration: what stands below `mephisto` in a config file.
    config: DictConfig
    settings: TaskSettings
    blueprint: Blueprint
    architect: Architect
    provider: CrowdProvider
    qualifications: tuple[QualificationRule, ...]
    task_runner: TaskRunner
    #: The tasks of this run; cancelled as a whole when it is over.
    nursery: trio.Nursery
    #: Where the server answers.
    url: str = ""
    task_launcher: TaskLauncher = field(init=False)
    client_io: ClientIOHandler = field(init=False)
    worker_pool: WorkerPool = field(init=False)

    # What the configuration says is looked at for each worker, and reading a configuration is slow.
    @cached_property
    def onboarding_qualification(self) -> str | None:
        """The qualification that says who was onboarded; None: the run onboards nobody."""
        return self.blueprint.onboarding_qualification if isinstance(self.blueprint, OnboardingRequired) else None

    @cached_property
    def screening(self) -> Screening | None:
        """How workers are screened; None: they are not."""
        return self.blueprint.screening if isinstance(self.blueprint, ScreenTaskRequired) else None

    @cached_property
    def golds(self) -> Golds | None:
        """How gold units are mixed in; None: they are not."""
        return self.blueprint.golds if isinstance(self.blueprint, UseGoldUnit) else None

    @property
    def qualification_names(self) -> set[str]:
        """The qualifications that the run looks at or grants."""
        names = {rule.qualification_name for rule in self.qualifications}
        if self.onboarding_qualification:
            names.add(self.onboarding_qualification)
        if self.screening:
            names |= {self.screening.passed_qualification, self.screening.failed_qualification}
        return names | (set(self.golds.qualifications) if self.golds else set())

    @property
    def worker_url(self) -> str:
        """The address a worker opens."""
        return self.provider.worker_url(self.url)
