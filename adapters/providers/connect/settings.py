"""Settings of CloudResearch Connect: those of a run, and those of an account."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from ....core.abstractions.args import CrowdProviderArgs, RequesterArgs
from .client import BASE_URL


@dataclass
class ConnectProviderArgs(CrowdProviderArgs):
    """Settings of a run on CloudResearch Connect."""

    connect_estimated_time_in_minutes: int = field(
        default=5,
        metadata={"help": "Minutes that the work takes, at least 2; Connect computes the hourly pay from it."},
    )
    connect_project_url: str = field(
        default="", metadata={"help": "Address of the page, if it is not that of the run's server."}
    )
    connect_instructions: str = field(
        default="",
        metadata={"help": "Instructions that people see before they accept, as HTML; the description if empty."},
    )
    connect_included_participants: list[str] = field(
        default_factory=list, metadata={"help": "Ids of the only people who may take part; frozen by the launch."}
    )
    connect_excluded_participants: list[str] = field(
        default_factory=list,
        metadata={"help": "Ids of people who may not take part, beside blocked workers; frozen by the launch."},
    )
    connect_excluded_projects: list[str] = field(
        default_factory=list, metadata={"help": "Ids of projects whose people may not take part."}
    )


@dataclass
class ConnectRequesterArgs(RequesterArgs):
    """Registration of a Connect account."""

    api_key: str = field(default=MISSING, metadata={"help": "The account's API key, which CloudResearch gives out."})
    base_url: str = field(default=BASE_URL, metadata={"help": "Address of the API; a simulated site has another."})
