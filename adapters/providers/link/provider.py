"""Provides links: for a class, own staff, a panel, or any site that sends people with an id in the address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlencode

from msgspec.structs import replace
from omegaconf import DictConfig

from ....core.abstractions.args import CrowdProviderArgs
from ....core.abstractions.crowd.visits import VisitRefusedError, VisitTerms
from ....core.abstractions.crowd_provider import CrowdProvider
from ....core.errors import ConfigError
from ....core.operations.registry import register_mephisto_abstraction
from ....core.packet_data import ProviderData
from ....core.payloads import pseudonym
from ....events.engagement import RefusalReason
from ....events.ids import TaskRunId
from ..arrival_page import WRAPPER_FILE, VisitEnd, VisitText, arrival_settings
from .arrival import ArrivalNames, check_names
from .completion import CompletionCodes, check_template
from .invitations import InvitationSigner, LinkRefusal, LinkRefusedError

LINK = "link"
#: The parameter of the address that holds an invitation.
INVITATION_PARAMETER = "invitation"
_KEY = "mephisto.provider"
#: The work of a page for an invited person's second unit, their third one, and so on.
_NEXT_UNIT = re.compile(r"invited-([1-9][0-9]{0,5})")
_INVITATION_PURPOSE, _CODE_PURPOSE = "link invitations", "link completion codes"


@dataclass
class LinkProviderArgs(CrowdProviderArgs):
    """Settings of a run with links."""

    participant_parameter: str = field(
        default="participant", metadata={"help": "Parameter of the address that holds a person's id."}
    )
    work_parameter: str | None = field(
        default=None,
        metadata={
            "help": "Parameter that holds the id of one piece of work; each id is one unit. Unset: one for each person."
        },
    )
    study_parameter: str | None = field(
        default=None, metadata={"help": "Parameter that holds the id of the study at the panel."}
    )
    invitations_only: bool = field(
        default=False, metadata={"help": "Let in only people with an invitation of `mephisto-es invite RUN FILE`."}
    )
    max_people: int = field(default=0, metadata={"help": "People who may be let in; 0: no limit."})
    completion_url: str | None = field(
        default=None,
        metadata={"help": "Where people go after the work; {participant}, {work}, {study} and {code} are filled in."},
    )
    completion_code: bool = field(default=False, metadata={"help": "Show a code of their own to people who are done."})
    several_units: bool = field(
        default=False,
        metadata={"help": "Offer people a next unit after each one, up to mephisto.task.maximum_units_per_worker."},
    )


@register_mephisto_abstraction()
class LinkProvider(CrowdProvider):
    """People who come through links; they are paid by other means, or not at all."""

    PROVIDER_TYPE: ClassVar[str] = LINK
    ArgsClass: ClassVar[type[CrowdProviderArgs]] = LinkProviderArgs
    ARRIVAL_NOTE: ClassVar[str] = (
        "in the address that people open, each `...` is something of their own: an id that the panel fills in, or an "
        "invitation that `mephisto-es invite RUN FILE` makes"
    )

    @classmethod
    def check_settings(cls, args: DictConfig) -> None:
        """Check the settings.

        Raises:
            ConfigError: one cannot be used; the error names it.
        """
        settings = args.provider
        check_names(_names(settings))
        if settings.completion_url is not None:
            check_template(str(settings.completion_url))
        if settings.max_people < 0:
            raise ConfigError("max_people cannot be negative", key=f"{_KEY}.max_people", hint="Set 0 for no limit")
        if settings.several_units and settings.work_parameter is not None:
            raise ConfigError(
                f"with {_KEY}.work_parameter the site gives out each unit by itself, and people cannot take a next one",
                key=f"{_KEY}.several_units",
                hint="Leave one of the two out",
            )
        if settings.completion_url and "{code}" in settings.completion_url and not settings.completion_code:
            raise ConfigError(
                "the completion address has {code}, and people get no codes",
                key=f"{_KEY}.completion_code",
                hint=f"Set {_KEY}.completion_code=true",
            )

    # The page -------------------------------------------------------------------------------------------------------

    @property
    def requester_name(self) -> str:
        """The name of the account; nobody has to register it."""
        return str(self.args.provider.requester_name or LINK)

    def get_wrapper_js_path(self) -> Path:
        """Return the script that reads the ids from the address."""
        return WRAPPER_FILE

    def page_settings(self) -> Mapping[str, object]:
        """Return the names of the parameters, and the end of a visit."""
        settings = self.args.provider
        has_code, url = bool(settings.completion_code), settings.completion_url
        end = VisitEnd(
            sentence=VisitText.CODE if has_code else VisitText.ARRIVED,
            url=None if url is None else str(url),
            label=VisitText.CONTINUE,
            # With an automatic end nobody would see the way to the next unit.
            is_automatic=url is not None and not has_code and not settings.several_units,
            has_code=has_code,
        )
        proof = INVITATION_PARAMETER if settings.invitations_only else None
        return arrival_settings(
            LINK,
            _names(settings),
            end,
            proof=proof,
            binds_browser=proof is not None,
            several_units=bool(settings.several_units),
        )

    def worker_url(self, server_url: str) -> str:
        """Return the address for a panel, with a placeholder for each id; an invited person gets one of their own."""
        if self.args.provider.invitations_only:
            return f"{server_url}/?{INVITATION_PARAMETER}=..."
        names = [name for name in _names(self.args.provider)[:3] if name is not None]
        return f"{server_url}/?" + "&".join(f"{name}=..." for name in names)

    def visit_terms(self, page: ProviderData, now_seconds: float) -> VisitTerms:
        """Return the terms for a page: a valid invitation, room for another person, or none.

        Raises:
            VisitRefusedError: the run admits invited people only, and the invitation is not valid.
        """
        settings = self.args.provider
        max_people = settings.max_people or None
        if not settings.invitations_only:
            return VisitTerms(page, max_people=max_people)
        if page.provider_proof is None or page.provider_session is None:
            raise VisitRefusedError(RefusalReason.NOT_INVITED)
        signer = InvitationSigner(_secret(self.resources.secret_for(_INVITATION_PURPOSE)), self.resources.task_run)
        try:
            invitation = signer.read(page.provider_proof, now_seconds)
        except LinkRefusedError as error:
            expired = error.reason is LinkRefusal.EXPIRED
            reason = RefusalReason.INVITATION_EXPIRED if expired else RefusalReason.NOT_INVITED
            raise VisitRefusedError(reason) from error
        registration = invitation.serial
        if settings.several_units and (next_unit := _NEXT_UNIT.fullmatch(page.assignment_id or "")):
            registration = f"unit {next_unit[1]} of {invitation.serial}"
        certain = replace(page, worker_name=invitation.participant, agent_registration_id=registration)
        return VisitTerms(certain, invitation.serial, max_people)

    def completion_code(self, worker_name: str) -> str | None:
        """Return the code of a person who is done; None if people get none."""
        if not self.args.provider.completion_code:
            return None
        key = _secret(self.resources.secret_for(_CODE_PURPOSE))
        return CompletionCodes(key, self.resources.task_run).code(worker_name)


def _names(settings: DictConfig) -> ArrivalNames:
    return ArrivalNames(settings.participant_parameter, settings.work_parameter, settings.study_parameter)


def _secret(text: str) -> bytes:
    return text.encode()


def invitation_signer(pseudonym_key: bytes, run: TaskRunId) -> InvitationSigner:
    """Return the signer of a run's invitations.

    Args:
        pseudonym_key: the secret key of the log.
        run: the run.
    """
    return InvitationSigner(_secret(pseudonym(pseudonym_key, _INVITATION_PURPOSE, f"run-{run}")), run)


def completion_codes(pseudonym_key: bytes, run: TaskRunId) -> CompletionCodes:
    """Return the completion codes of a run.

    Args:
        pseudonym_key: the secret key of the log.
        run: the run.
    """
    return CompletionCodes(_secret(pseudonym(pseudonym_key, _CODE_PURPOSE, f"run-{run}")), run)


def invitation_url(server_url: str, invitation: str) -> str:
    """Return the address that an invited person opens."""
    return f"{server_url}/?{urlencode({INVITATION_PARAMETER: invitation})}"
