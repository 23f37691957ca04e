"""Errors of calls to a crowd site; each class says what is known of the effect.

    SiteError
    ├── SiteRefusedError            the site answered no; nothing was changed
    │   ├── SiteCredentialsError    the key or token is not accepted
    │   └── SiteMissingError        there is no such object, or not yet
    ├── SiteThrottledError          the site was too busy; asking again later may succeed
    ├── SiteUnreachableError        no connection was made; nothing was changed
    ├── SiteUnavailableError        a call that changes nothing got no usable answer
    └── EffectUnknownError          a call may or may not have had its effect

Only `EffectUnknownError` leaves open what happened: look at the site before asking again.
No error carries a credential, a URL, a person's id or more than a bounded, printable part of what a site wrote.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

import msgspec

from ....core.errors import MephistoError
from ....core.redaction import REDACTED, redacted_text

#: Longest part of a site's own words in an error.
MAX_DETAIL_LENGTH = 500
#: Most ids that are taken from a site's words.
MAX_MENTIONED_IDS = 1000
#: Values shorter than this are not searched for in texts: replacing them would shred the text.
SHORTEST_HIDDEN_SECRET = 6

#: Ids of participants, submissions and studies, as the sites write them.
_ID = re.compile(r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{24,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})")


class SiteError(MephistoError):
    """A call to a crowd site did not succeed.

    Attributes:
        site: the site's name, for instance `prolific`.
        operation: the call, in words: `approve a submission`.
        status: the HTTP status; None if there was no answer.
        detail: the site's own words, bounded, without secrets and ids; empty if it gave none.
        mentioned_ids: the ids in the site's words. They can be a person's and never stand in the message.
        trace: the site's id of the request for its support; None if it gave none.
    """

    #: What became of the call, for the message.
    OUTCOME = "failed"

    def __init__(
        self,
        site: str,
        operation: str,
        *,
        status: int | None = None,
        detail: str = "",
        mentioned_ids: frozenset[str] = frozenset(),
        trace: str | None = None,
    ) -> None:
        self.site = site
        self.operation = operation
        self.status = status
        self.detail = detail
        self.mentioned_ids = mentioned_ids
        self.trace = trace
        answered = f" (status {status})" if status is not None else ""
        words = f": {detail}" if detail else ""
        support = f" [trace {trace}]" if trace else ""
        super().__init__(f"{site}: {operation} {self.OUTCOME}{answered}{words}{support}")


class SiteRefusedError(SiteError):
    """The site refused; nothing was changed.

    Attributes:
        is_final: True if the site shows that what was asked for has not happened before, either.
    """

    OUTCOME = "was refused"
    is_final: bool = False


class SiteCredentialsError(SiteRefusedError):
    """The site does not accept the key or token, or it does not cover this call."""

    OUTCOME = "was refused for lack of rights; register the account again with a valid key"


class SiteMissingError(SiteRefusedError):
    """The site has no such object. New objects can be missing from some answers for a while."""

    OUTCOME = "found nothing"


class SiteThrottledError(SiteError):
    """The site was too busy each time it was asked.

    Attributes:
        retry_after_seconds: the earliest time to ask again, if the site named one.
    """

    OUTCOME = "was put off by the site, which is busy"
    retry_after_seconds: float | None = None


class SiteUnreachableError(SiteError):
    """No connection could be made; the site has not seen the call."""

    OUTCOME = "did not reach the site"


class SiteUnavailableError(SiteError):
    """A call that changes nothing got no answer, a failure of the server, or one that cannot be read."""

    OUTCOME = "got no usable answer"


class EffectUnknownError(SiteError):
    """The answer is lost, unreadable or a failure of the server: the effect may have happened.

    Look at the site before asking again; a repeat can pay or send twice.
    """

    OUTCOME = "may have happened, but its answer is lost"


class _ErrorFields(msgspec.Struct):
    """The parts of an error that say something to people."""

    title: object = None
    detail: object = None
    message: object = None
    additional_information: object = None
    error: object = None


_decode_fields = msgspec.json.Decoder(_ErrorFields).decode


def site_words(body: bytes) -> str:
    """Return what an error's body says, in any of the shapes that sites use.

    These are `{"error": {"title", "detail", ...}}`, `{"message", "detail"}`, other JSON as it is, and plain text. HTML
    says nothing.
    """
    text = body.decode("utf-8", "replace").strip()
    try:
        fields = _decode_fields(body)
    except msgspec.DecodeError:
        return "" if text.startswith("<") else text.strip('"')
    if isinstance(fields.error, dict):
        fields = msgspec.convert(fields.error, _ErrorFields)
    said = (fields.title, fields.message, fields.error, fields.detail, fields.additional_information)
    return ": ".join(words for part in said if (words := _as_text(part))) or ("" if text == "{}" else text)


def harmless_text(text: str, secrets: Collection[str]) -> str:
    """Return a site's text in a form fit for messages: one line, printable, bounded, without secrets and ids."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_HIDDEN_SECRET:
            text = text.replace(secret, REDACTED)
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    line = _ID.sub("<id>", redacted_text(line))
    return line if len(line) <= MAX_DETAIL_LENGTH else f"{line[:MAX_DETAIL_LENGTH]}..."


def ids_in(text: str) -> frozenset[str]:
    """Return the ids that a site's text mentions, in lower case; at most a bounded number of them."""

    def found() -> Iterator[str]:
        for count, match in enumerate(_ID.finditer(text)):
            if count == MAX_MENTIONED_IDS:
                return
            yield match[0].lower()

    return frozenset(found())


def _as_text(part: object) -> str:
    if part is None:
        return ""
    return part if isinstance(part, str) else msgspec.json.encode(part).decode()
