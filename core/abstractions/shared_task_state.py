"""What a launch script passes that a config file cannot: data for the pages, and code to ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .agent import Unit, Update
from .callbacks import called_with


@dataclass
class SharedTaskState:
    """What any task takes.

    Callbacks may be plain functions, which run in worker threads, or `async` ones. Their answers are recorded.
    """

    #: Added to what the page gets as its task config.
    task_config: Update = field(default_factory=dict)
    #: Rules made by `make_qualification_dict`; a worker must satisfy all of them.
    qualifications: Sequence[Mapping[str, object]] = field(default_factory=list)
    #: `worker_can_do_unit(worker_id, unit)`: whether this worker may have this unit.
    worker_can_do_unit: Callable[[int, Unit], bool | Awaitable[bool]] | None = field(
        default=None, metadata=called_with("worker_id", "unit")
    )
    #: `on_unit_submitted(unit)`: told of each unit that was handed in, with its agent; of a screening or gold unit its
    #: answer says whether it was done well.
    on_unit_submitted: Callable[[Unit], bool | Awaitable[bool | None] | None] | None = field(
        default=None, metadata=called_with("unit")
    )


def _accept(_onboarding_data: Update) -> bool:
    return True


@dataclass
class OnboardingSharedState(SharedTaskState):
    """What a script passes for an onboarding."""

    #: What the page begins the onboarding with.
    onboarding_data: Update = field(default_factory=dict)
    #: `validate_onboarding(onboarding_data)`: whether what was handed in lets the worker pass.
    validate_onboarding: Callable[[Update], bool | Awaitable[bool]] = field(
        default=_accept, metadata=called_with("onboarding_data")
    )
