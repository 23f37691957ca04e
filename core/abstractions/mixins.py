"""What a blueprint can ask of workers before, and between, its ordinary units; all of it goes together.

A blueprint that extends a mixin takes the mixin's settings into its `ArgsClass` and its callbacks into its
`SharedStateClass`. None of the steps happens unless its setting is given. A worker meets them in this order:
qualifications, onboarding, screening, gold, unit.
"""

from .onboarding_required import OnboardingRequired, OnboardingRequiredArgs, OnboardingSharedState
from .screen_task_required import ScreenTaskRequired, ScreenTaskRequiredArgs, ScreenTaskSharedState
from .use_gold_unit import (
    GoldUnitSharedState,
    UseGoldUnit,
    UseGoldUnitArgs,
    get_gold_factory,
    worker_needs_gold,
    worker_qualifies,
)

__all__ = [
    "GoldUnitSharedState",
    "OnboardingRequired",
    "OnboardingRequiredArgs",
    "OnboardingSharedState",
    "ScreenTaskRequired",
    "ScreenTaskRequiredArgs",
    "ScreenTaskSharedState",
    "UseGoldUnit",
    "UseGoldUnitArgs",
    "get_gold_factory",
    "worker_needs_gold",
    "worker_qualifies",
]
