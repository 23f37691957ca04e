"""The onboarding mixin: workers show that they understand a task before their first unit of any of its runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .agent import Update
from .blueprint import Blueprint, SharedTaskState


def _accept(_onboarding_data: Update) -> bool:
    return True


@dataclass
class OnboardingRequiredArgs:
    """The settings of an onboarding."""

    onboarding_qualification: str | None = field(
        default=None,
        metadata={"help": "Workers without this qualification are onboarded first; it is granted 1, or 0 on failure."},
    )


@dataclass
class OnboardingSharedState(SharedTaskState):
    """What a script passes for an onboarding."""

    #: What the page begins the onboarding with.
    onboarding_data: Update = field(default_factory=dict)
    #: `validate_onboarding(onboarding_data)`: whether what was handed in lets the worker pass.
    validate_onboarding: Callable[[Update], bool | Awaitable[bool]] = _accept


class OnboardingRequired(Blueprint):
    """A blueprint that can onboard workers before their first unit of any of its runs."""

    shared_state: OnboardingSharedState

    @property
    def onboarding_qualification(self) -> str | None:
        """The qualification that says who was onboarded; None: nobody has to be."""
        name: str | None = self.args.blueprint.onboarding_qualification
        return name
