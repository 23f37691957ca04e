"""Describes the page script of a crowd site: the parameters that name the worker, and how a visit ends."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path

import msgspec

from .link.arrival import ArrivalNames

#: The script that reads `MEPHISTO_PROVIDER` and `MEPHISTO_TEXTS`.
WRAPPER_FILE = Path(__file__).parent / "page" / "wrap_crowd_source.js"


class VisitText(Enum):
    """Texts at the end of a visit, by their keys in the catalogue; `{code}` is replaced by the worker's code."""

    ARRIVED = "visit.arrived"
    CODE = "visit.code"
    CONTINUE = "visit.continue"
    CONNECT_CODE = "visit.connect_code"
    PROLIFIC_ARRIVED = "visit.prolific_arrived"
    PROLIFIC_BACK = "visit.prolific_back"
    PROLIFIC_TOLD = "visit.prolific_told"
    PROLIFIC_COMPLETE = "visit.prolific_complete"
    SONA_CREDIT = "visit.sona_credit"


class VisitEnd(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The end of a visit, once the server has the work."""

    #: Shown at the top of the page.
    sentence: VisitText
    #: The address back to the site; `{participant}`, `{work}` and `{study}` are the ids that arrived. None: no link.
    url: str | None = None
    #: Text of the link.
    label: VisitText | None = None
    #: True: open the address at once instead of showing it.
    is_automatic: bool = False
    #: The completion code that all workers share; None: there is none.
    code: str | None = None
    #: True: ask the server for the worker's completion code, and show it; `{code}` in the address is replaced by it.
    has_code: bool = False


class _PageSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Settings of the page script."""

    provider: str
    worker: str
    work: str | None
    study: str | None
    ignores_case: bool
    #: True if the work has the worker's id where the address names none.
    work_is_worker: bool
    #: The parameter with an invitation, which the server reads; None: there are no invitations.
    proof: str | None
    #: True: the address has to be opened in one browser only.
    binds_browser: bool
    #: True if a person may take one unit after the other.
    several_units: bool
    completion: VisitEnd


def arrival_settings(
    provider: str,
    names: ArrivalNames,
    end: VisitEnd,
    *,
    work_is_worker: bool = False,
    proof: str | None = None,
    binds_browser: bool = False,
    several_units: bool = False,
) -> Mapping[str, object]:
    """Return the settings of the page script, for `CrowdProvider.page_settings`.

    Args:
        provider: the provider's type.
        names: the parameters of the address.
        end: the end of a visit.
        work_is_worker: True if the site finds a person's work by the person's id too.
        proof: the parameter with an invitation, in place of the one with the worker's id.
        binds_browser: True if an address may be used in one browser only.
        several_units: True if a person may take one unit after the other.
    """
    settings = _PageSettings(
        provider=provider,
        worker=names.participant,
        work=names.work,
        study=names.study,
        ignores_case=names.ignores_case,
        work_is_worker=work_is_worker,
        proof=proof,
        binds_browser=binds_browser,
        several_units=several_units,
        completion=end,
    )
    found: Mapping[str, object] = msgspec.to_builtins(settings)
    return found
