"""Describes the study of a run at Prolific, from the run's configuration."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from ....core.abstractions.resources import Resources
from ....core.errors import ConfigError
from ....core.operations.configuration.money import cents
from ....core.operations.configuration.task_settings import read_task_settings
from ..arrival_page import VisitEnd, VisitText
from ..link.arrival import ArrivalNames
from .api.client import BASE_URL
from .api.study_request import (
    ALLOW_GROUP_FILTER,
    BLOCK_GROUP_FILTER,
    CodeActor,
    CompletionCode,
    FixedScreenOutAction,
    PlainAction,
    SimpleAction,
    StudyFilter,
    StudyRequest,
    SubmissionsConfig,
    arrival_url,
)
from .filters import read_filters, without_people
from .settings import CompletionWay

#: The parameters that Prolific's documentation recommends.
ARRIVAL_NAMES = ArrivalNames("PROLIFIC_PID", work="SESSION_ID", study="STUDY_ID")
#: Where a participant's browser completes a submission.
COMPLETION_URL = "https://app.prolific.com/submissions/complete"
_CODE_LENGTH = 9
_PREFIX = "mephisto.provider"


class StudyCodes:
    """The completion codes of a run's study, the same in every process of the run."""

    def __init__(self, resources: Resources) -> None:
        secret = resources.secret_for("prolific completion codes").upper()
        #: For the participant's browser.
        self.participant = f"P{secret[:_CODE_LENGTH]}"
        #: For our server.
        self.server = f"S{secret[_CODE_LENGTH : 2 * _CODE_LENGTH]}"
        #: For people who were not admitted.
        self.screen_out = f"X{secret[2 * _CODE_LENGTH : 3 * _CODE_LENGTH]}"


def screen_out_cents(args: DictConfig) -> int | None:
    """Return the fixed reward of those who are screened out; None: there is none.

    Raises:
        ConfigError: it is no amount, or not between zero and the reward.
    """
    provider, key = args.provider, f"{_PREFIX}.prolific_screen_out_reward"
    if provider.prolific_screen_out_reward is None:
        return None
    reward = cents(provider.prolific_screen_out_reward, key=key)
    if not 0 < reward < read_task_settings(args.task).task_reward_cents:
        raise ConfigError(f"{key} must be above zero and below the reward", key=key)
    if provider.prolific_screen_out_slots < 1:
        slots = f"{_PREFIX}.prolific_screen_out_slots"
        raise ConfigError(f"{slots} says how many may get the screen-out reward", key=slots, hint="Set it to 1 or more")
    return reward


def check_settings(args: DictConfig) -> None:
    """Check everything about a study that can be checked without asking Prolific.

    Raises:
        ConfigError: a setting is wrong.
    """
    provider = args.provider
    if provider.prolific_id_option != "url_parameters":
        raise ConfigError(
            f"{_PREFIX}.prolific_id_option is {provider.prolific_id_option!r}",
            key=f"{_PREFIX}.prolific_id_option",
            hint="Use url_parameters: the page finds the participant's id in its address",
        )
    if provider.prolific_access_details:
        raise ConfigError(
            f"{_PREFIX}.prolific_access_details is for Prolific's Taskflow, which has several addresses",
            key=f"{_PREFIX}.prolific_access_details",
            hint="Leave it out: a run has one address and gives each worker a unit; make a run for each kind of page",
        )
    if provider.prolific_estimated_completion_time_in_minutes < 1:
        key = f"{_PREFIX}.prolific_estimated_completion_time_in_minutes"
        raise ConfigError(f"{key} must be at least 1", key=key)
    if read_task_settings(args.task).task_reward_cents == 0:
        raise ConfigError("Prolific has no unpaid studies", key="mephisto.task.task_reward", hint="Set a reward")
    read_filters(_requirements(args))
    screen_out_cents(args)


def page_url(args: DictConfig, server_url: str) -> str:
    """Return the address that participants open, with Prolific's placeholders."""
    return str(args.provider.prolific_external_study_url or arrival_url(f"{server_url.rstrip('/')}/"))


def visit_end(args: DictConfig, codes: StudyCodes, base_url: str) -> VisitEnd:
    """Return the end of a visit, as the page shows it."""
    site = COMPLETION_URL if base_url == BASE_URL else f"{base_url}/submissions/complete"
    url = f"{site}?cc={codes.participant}"
    if args.provider.prolific_completion is CompletionWay.REDIRECT:
        sentence, label = VisitText.PROLIFIC_ARRIVED, VisitText.PROLIFIC_BACK
        return VisitEnd(sentence=sentence, url=url, label=label, is_automatic=True)
    return VisitEnd(sentence=VisitText.PROLIFIC_TOLD, url=url, label=VisitText.PROLIFIC_COMPLETE)


def study_request(
    args: DictConfig,
    codes: StudyCodes,
    *,
    internal_name: str,
    url: str,
    project_id: str,
    allow_group: str | None,
    block_group: str | None,
    excluded_people: Sequence[str] = (),
) -> StudyRequest:
    """Return the draft of a study with one place.

    Args:
        args: the run's whole configuration.
        codes: its completion codes.
        internal_name: a name by which the study is found after a lost answer.
        url: the address of the page, with placeholders.
        project_id: the project of the study.
        allow_group: the participant group that may take part; None: everybody.
        block_group: the participant group that may not; None: there is none.
        excluded_people: people who may not take part either.
    """
    task, provider = read_task_settings(args.task), args.provider
    groups = ((ALLOW_GROUP_FILTER, allow_group), (BLOCK_GROUP_FILTER, block_group))
    filters = (
        *without_people(read_filters(_requirements(args)), excluded_people),
        *(StudyFilter(filter_id=name, selected_values=(group,)) for name, group in groups if group is not None),
    )
    return StudyRequest(
        name=task.task_title,
        description=task.task_description or task.task_title,
        internal_name=internal_name,
        reward=task.task_reward_cents,
        total_available_places=1,
        estimated_completion_time=provider.prolific_estimated_completion_time_in_minutes,
        maximum_allowed_time=max(
            -(-task.assignment_duration_in_seconds // 60), provider.prolific_estimated_completion_time_in_minutes
        ),
        completion_codes=tuple(_codes(args, codes)),
        external_study_url=url,
        filters=filters,
        submissions_config=SubmissionsConfig(max_submissions_per_participant=task.maximum_units_per_worker or -1),
        project=project_id,
    )


def _codes(args: DictConfig, codes: StudyCodes) -> list[CompletionCode]:
    review = (PlainAction(action=SimpleAction.MANUALLY_REVIEW),)
    found = [
        CompletionCode(code=codes.participant, actions=review),
        CompletionCode(code=codes.server, actor=CodeActor.RESEARCHER, actions=review),
    ]
    reward = screen_out_cents(args)
    if reward is not None:
        slots = args.provider.prolific_screen_out_slots
        action = FixedScreenOutAction(fixed_screen_out_reward=reward, slots=slots)
        found.append(
            CompletionCode(
                code=codes.screen_out, code_type="FIXED_SCREENOUT", actor=CodeActor.RESEARCHER, actions=(action,)
            )
        )
    return found


def _requirements(args: DictConfig) -> list[object]:
    found = OmegaConf.to_container(args.provider.prolific_eligibility_requirements, resolve=True)
    return found if isinstance(found, list) else []
