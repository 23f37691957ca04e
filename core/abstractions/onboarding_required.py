"""The onboarding mixin: workers show that they understand a task before their first unit of any of its runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from .blueprint import Blueprint
from .shared_task_state import OnboardingSharedState as OnboardingSharedState


@dataclass
class OnboardingRequiredArgs:
    """The settings of an onboarding."""

    onboarding_qualification: str | None = field(
        default=None,
        metadata={"help": "Workers without this qualification are onboarded first; it is granted 1, or 0 on failure."},
    )


class OnboardingRequired(Blueprint):
    """A blueprint that can onboard workers before their first unit of any of its runs."""

    shared_state: OnboardingSharedState

    @property
    def onboarding_qualification(self) -> str | None:
        """The qualification that says who was onboarded; None: nobody has to be."""
        name: str | None = self.args.blueprint.onboarding_qualification
        return name
