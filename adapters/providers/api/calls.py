"""Describes one call to a crowd site: what is sent, how its answer is read, and when it may be repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from ....core.errors import ConfigError
from .amounts import AnswerType, answer_decoder

Result = TypeVar("Result")

#: Longer texts are no ids.
MAX_ID_LENGTH = 200


class Repeat(Enum):
    """Cases in which the client itself sends a call again. A call that reached nobody is always sent again."""

    #: It changes nothing: after any failure that may pass.
    READ = "read"
    #: A second one changes nothing more, by the site's documentation: after any failure that may pass.
    IDEMPOTENT = "idempotent"
    #: A second one could do it twice: only after the site said that it was too busy.
    THROTTLED = "throttled"
    #: A second one could do it twice, and nobody promises that a busy site did nothing: never.
    NEVER = "never"


class OpenEnum(Enum):
    """An enum of a site's values, with a member `UNKNOWN` for those that its documentation does not have."""

    @classmethod
    def _missing_(cls, value: object) -> OpenEnum:  # noqa: ARG003  # the name is enum's
        return cls["UNKNOWN"]


class HttpAnswer(NamedTuple):
    """The whole answer to one attempt."""

    status: int
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes


class SiteCall(msgspec.Struct, Generic[Result], frozen=True, kw_only=True):
    """One call.

    Attributes:
        operation: the call in words, for errors and log lines: `approve a submission`.
        method: the HTTP method.
        path: the path after the site's base URL, with a leading slash, ids quoted.
        read: turns a successful answer into the result; raises ValueError or msgspec.DecodeError if it cannot.
        query: the query's parameters. They never reach an error or log line.
        body: the JSON body; None: there is none.
        headers: further headers, for instance an idempotency token.
        repeat: when the client may send it again.
        reads_every_status: True if `read` understands failures as well; what it cannot read is handled by status.
    """

    operation: str
    method: str
    path: str
    read: Callable[[HttpAnswer], Result]
    query: Mapping[str, str] = {}
    body: bytes | None = None
    headers: Mapping[str, str] = {}
    repeat: Repeat = Repeat.NEVER
    reads_every_status: bool = False


def json_as(answer: type[AnswerType]) -> Callable[[HttpAnswer], AnswerType]:
    """Return a reader for answers whose body is JSON of this type."""
    decode = answer_decoder(answer)
    return lambda http: decode(http.body)


def no_content(http: HttpAnswer) -> None:  # a reader takes the answer
    """Read an answer whose body says nothing that is used."""


def path_id(text: str) -> str:
    """Return an id for use in a path.

    Raises:
        ConfigError: it is empty or too long to be an id.
    """
    if not 0 < len(text) <= MAX_ID_LENGTH or text in {".", ".."}:
        raise ConfigError("an id is empty or too long", hint="Use the id as the site shows it")
    return quote(text, safe="")
