"""Facts about one run that its parts share: settings, plugins, qualifications, nursery."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import trio
from omegaconf import DictConfig

from ...events.ids import TaskRunId
from ..abstractions.architect import Architect
from ..abstractions.blueprint import Blueprint
from ..abstractions.crowd_provider import CrowdProvider
from ..abstractions.mixins import OnboardingRequired
from ..abstractions.qualifications import QualificationRule
from ..abstractions.screen_task_required import Screening, ScreenTaskRequired
from ..abstractions.task_runner import TaskRunner
from ..abstractions.use_gold_unit import Golds, UseGoldUnit
from .configuration.task_settings import TaskSettings
from .texts.catalogue import Texts, load_texts


@dataclass(frozen=True)
class RunContext:
    """Everything that is settled about a run before its server is deployed.

    Properties derived from the blueprint are cached: they are read for every worker, and reading a configuration is
    slow.
    """

    task_run: TaskRunId
    #: The run's whole configuration: the `mephisto` section of a config file.
    config: DictConfig
    settings: TaskSettings
    blueprint: Blueprint
    architect: Architect
    provider: CrowdProvider
    qualifications: tuple[QualificationRule, ...]
    task_runner: TaskRunner
    #: Owns the tasks of the run; cancelled as a whole when the run is over.
    nursery: trio.Nursery

    @cached_property
    def texts(self) -> Texts:
        """Texts that workers read from the router and from the page."""
        return load_texts(self.settings.language, self.settings.texts)

    @cached_property
    def onboarding_qualification(self) -> str | None:
        """Name of the qualification that marks onboarded workers; None if the run has no onboarding."""
        return self.blueprint.onboarding_qualification if isinstance(self.blueprint, OnboardingRequired) else None

    @cached_property
    def screening(self) -> Screening | None:
        """Screening settings; None if the run does not screen workers."""
        return self.blueprint.screening if isinstance(self.blueprint, ScreenTaskRequired) else None

    @cached_property
    def golds(self) -> Golds | None:
        """Gold unit settings; None if the run has no gold units."""
        return self.blueprint.golds if isinstance(self.blueprint, UseGoldUnit) else None

    @cached_property
    def qualification_names(self) -> frozenset[str]:
        """Names of all qualifications that the run checks or grants."""
        names = {rule.qualification_name for rule in self.qualifications}
        if self.onboarding_qualification:
            names.add(self.onboarding_qualification)
        if self.screening:
            names |= {self.screening.passed_qualification, self.screening.failed_qualification}
        if self.golds:
            names |= set(self.golds.qualifications)
        return frozenset(names)
