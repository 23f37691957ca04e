"""Settings of Prolific: those of a run, most under Mephisto's names, and those of an account."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

from ....core.abstractions.args import CrowdProviderArgs, RequesterArgs
from .api.client import BASE_URL


class CompletionWay(Enum):
    """Ways in which Prolific learns that the work was submitted."""

    #: Our server tells it: closing the page loses nothing.
    SERVER = "server"
    #: The worker's browser goes to Prolific's address with the code.
    REDIRECT = "redirect"


@dataclass
class ProlificProviderArgs(CrowdProviderArgs):
    """Settings of a run on Prolific."""

    prolific_workspace_name: str = field(
        default="My Workspace", metadata={"help": "The workspace that pays; it must exist."}
    )
    prolific_project_name: str = field(
        default="Project", metadata={"help": "The project of the study; created if it does not exist."}
    )
    prolific_external_study_url: str = field(
        default="",
        metadata={
            "help": "Address of the page with Prolific's placeholders, if it is not that of the run's server with "
            "PROLIFIC_PID, STUDY_ID and SESSION_ID."
        },
    )
    prolific_access_details: list[Any] = field(
        default_factory=list,
        metadata={"help": "Refused: Prolific's Taskflow is not needed, because the server gives each worker a unit."},
    )
    prolific_id_option: str = field(
        default="url_parameters", metadata={"help": "How the id reaches the page; only url_parameters is supported."}
    )
    prolific_estimated_completion_time_in_minutes: int = field(
        default=5, metadata={"help": "Minutes that the work takes; Prolific computes the hourly pay from it."}
    )
    prolific_eligibility_requirements: list[Any] = field(
        default_factory=list,
        metadata={"help": "Who may take part: Prolific's filters, or Mephisto's requirements by name."},
    )
    prolific_allow_list_group_name: str = field(
        default="Allow list", metadata={"help": "Participant group that may take part, if it exists."}
    )
    prolific_block_list_group_name: str = field(
        default="Block list", metadata={"help": "Participant group of blocked workers, which may not take part."}
    )
    prolific_qualification_groups: dict[str, str] = field(
        default_factory=dict,
        metadata={"help": "Participant groups that follow qualifications granted here, while a run is live."},
    )
    prolific_completion: CompletionWay = field(
        default=CompletionWay.SERVER,
        metadata={"help": "SERVER: our server completes submissions. REDIRECT: the worker's browser does."},
    )
    prolific_screen_out_reward: str | None = field(
        default=None,
        metadata={
            "help": "Pay for those who fail the onboarding, for example 0.20; they have to return it if not set."
        },
    )
    prolific_screen_out_slots: int = field(
        default=0, metadata={"help": "How many may get it; the study pauses when they are used up."}
    )
    prolific_webhooks: bool = field(
        default=False,
        metadata={"help": "Have Prolific report at once what happens, to the page's server; it needs https."},
    )


@dataclass
class ProlificRequesterArgs(RequesterArgs):
    """Registration of a Prolific account."""

    api_key: str = field(default=MISSING, metadata={"help": "The account's API token, from Prolific's settings."})
    base_url: str = field(default=BASE_URL, metadata={"help": "Address of the API; a simulated site has another."})
