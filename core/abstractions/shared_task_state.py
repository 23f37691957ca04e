"""State that a launch script passes to a run because a config file cannot hold it: data and callbacks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .agent import Unit, Update, Worker
from .callbacks import called_with, quick


@dataclass
class SharedTaskState:
    """State that any task takes.

    Callbacks may be plain functions, which run in worker threads, or `async` ones. Their answers are recorded.
    """

    #: Added to the page's task config.
    task_config: Update = field(default_factory=dict)
    #: Rules made by `make_qualification_dict`, all of which a worker must satisfy.
    qualifications: Sequence[Mapping[str, object]] = field(default_factory=list)
    #: `worker_can_do_unit(worker, unit)` returns whether the worker may have the unit.
    worker_can_do_unit: Callable[[Worker, Unit], bool | Awaitable[bool]] | None = field(
        default=None, metadata=called_with("worker", "unit")
    )
    #: `on_unit_submitted(unit)` is called for each submission; the unit has its agent. For a screening or gold unit it
    #: returns whether the unit was done well.
    on_unit_submitted: Callable[[Unit], bool | Awaitable[bool | None] | None] | None = field(
        default=None, metadata=called_with("unit")
    )


@quick
def _accept(_onboarding_data: Update) -> bool:
    return True


@dataclass
class OnboardingSharedState(SharedTaskState):
    """State for a task with an onboarding."""

    #: Initial data of the onboarding page.
    onboarding_data: Update = field(default_factory=dict)
    #: `validate_onboarding(onboarding_data)` returns whether a worker passes. The data has `inputs`, which the page
    #: started with, and `outputs`, which the worker submitted; after live updates `outputs` has `messages`, for chats
    #: beside the `final_submission`, and `agent` is the onboarding agent.
    validate_onboarding: Callable[[Update], bool | Awaitable[bool]] = field(
        default=_accept, metadata=called_with("onboarding_data")
    )
