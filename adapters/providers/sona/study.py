"""Reads what a researcher copies from SONA: the completion URL of a study, and the codes of people who arrive.

Documentation: https://www.sona-systems.com/researcher/external-study-credit-granting/ and
.../researcher/using-the-survey-code-feature.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from ....core.errors import ConfigError, MephistoError

SERVER_PATH = "/services/SonaAPI.svc/WebstudyCredit"
BROWSER_PATH = "/webstudy_credit.aspx"
#: The setting that the URL comes from, as errors name it.
URL_KEY = "completion_url"

_NUMBER = re.compile(r"[0-9]{1,12}")
_TOKEN = re.compile(r"[0-9A-Za-z-]{8,100}")
#: Two to seven digits, and never a zero in front.
_SURVEY_CODE = re.compile(r"[1-9][0-9]{1,6}")


class CodeRefusal(Enum):
    """Reasons for not taking a survey code."""

    MISSING = "the address has no SONA code; open the study from the SONA site"
    REPEATED = "the address has more than one SONA code; open the study from the SONA site"
    PLACEHOLDER = "the SONA site did not fill in the code; the researcher has to check the study's URL"
    NOT_A_CODE = "the address has no valid SONA code; open the study from the SONA site"


class CodeRefusedError(MephistoError):
    """The code that a person arrives with cannot be one.

    Attributes:
        reason: the reason.
    """

    def __init__(self, reason: CodeRefusal) -> None:
        self.reason = reason
        super().__init__(reason.value)


class SonaStudy(NamedTuple):
    """A study at a SONA site, with the token that grants its credit."""

    #: The site, for instance `https://school.sona-systems.com`.
    site_url: str
    experiment_id: str
    #: A secret: it is all that is needed to grant credit.
    credit_token: str

    def __repr__(self) -> str:
        """Return a text without the token."""
        return f"SonaStudy({self.site_url!r}, {self.experiment_id!r}, credit_token=<redacted>)"

    def browser_url(self, survey_code: str) -> str:
        """Return the address that grants credit from a person's browser.

        It shows the token to the person, so it is a fallback only, never used beside the server's call.
        """
        query = {
            "experiment_id": self.experiment_id,
            "credit_token": self.credit_token,
            "survey_code": survey_code,
        }
        return f"{self.site_url}{BROWSER_PATH}?{urlencode(query)}"


def read_completion_url(pasted: str) -> SonaStudy:
    """Split the server-side completion URL of a study, as SONA shows it.

    Raises:
        ConfigError: it is another URL, or a part is missing. The error does not show the URL, which holds a secret.
    """
    parts = urlsplit(pasted.strip())
    if parts.path.casefold() == BROWSER_PATH.casefold():
        raise _wrong_url("is the client-side completion URL, which would show the token to participants")
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise _wrong_url("is not a URL")
    if parts.path.casefold() != SERVER_PATH.casefold():
        raise _wrong_url(f"does not lead to {SERVER_PATH}")
    query = parse_qs(parts.query, keep_blank_values=True)
    experiment_id, credit_token = (query.get(name, [""])[0] for name in ("experiment_id", "credit_token"))
    if not _NUMBER.fullmatch(experiment_id) or not _TOKEN.fullmatch(credit_token):
        raise _wrong_url("lacks a valid experiment_id or credit_token; it may have been cut off")
    return SonaStudy(urlunsplit((parts.scheme, parts.netloc, "", "", "")), experiment_id, credit_token)


def read_survey_code(values: list[str]) -> str:
    """Return the survey code of a person who arrives.

    The code is so short that it can be guessed: bind it to the first browser that brings it, and limit the tries.

    Args:
        values: all values of the query's parameter that carries it.

    Raises:
        CodeRefusedError: there is not exactly one valid code.
    """
    if not values or values == [""]:
        raise CodeRefusedError(CodeRefusal.MISSING)
    if len(values) > 1:
        raise CodeRefusedError(CodeRefusal.REPEATED)
    code = values[0].strip()
    if "%" in code or "SURVEY_CODE" in code.upper() or code.upper() == "XXXX":
        raise CodeRefusedError(CodeRefusal.PLACEHOLDER)
    if not _SURVEY_CODE.fullmatch(code):
        raise CodeRefusedError(CodeRefusal.NOT_A_CODE)
    return code


def _wrong_url(reason: str) -> ConfigError:
    return ConfigError(
        f"{URL_KEY} {reason}",
        key=URL_KEY,
        hint="Paste the server-side completion URL from the study's page at SONA, whole",
    )
