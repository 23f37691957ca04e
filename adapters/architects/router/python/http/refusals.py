"""Turns errors into answers: a status and a sentence, always as JSON, and nothing internal."""

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..errors import JournalUnwritableError, MalformedJsonError, OutboxFullError, RefusalError, UnknownAgentError
from ..log import log

_REFUSALS: dict[type[Exception], RefusalError] = {
    UnknownAgentError: RefusalError(403, "This agent is not known here. Please reload the page."),
    OutboxFullError: RefusalError(507, "The task server can take no more work at the moment. Please try again later."),
    JournalUnwritableError: RefusalError(
        503, "The task server cannot store anything at the moment. Please try again in a minute."
    ),
}

#: Errors that have an answer of their own; any other is answered 500.
EXPECTED_ERRORS: tuple[type[Exception], ...] = (RefusalError, MalformedJsonError, HTTPException, *_REFUSALS)


def refusal_for(error: Exception) -> RefusalError:
    """Return the refusal with which a failed request is answered."""
    match error:
        case RefusalError():
            return error
        case MalformedJsonError():
            return RefusalError(400, f"The request is not what is expected here: {error}.")
        case HTTPException():
            return RefusalError(error.status_code, f"{error.detail}.")
        case _:
            fallback = RefusalError(500, "The task server failed at this request. Please try again.")
            return _REFUSALS.get(type(error), fallback)


async def answer_error(request: Request, error: Exception) -> Response:
    """Answer a request whose handler raised an error."""
    refusal = refusal_for(error)
    if refusal.status == 500:
        log("request_failed", method=request.method, path=request.url.path, error=type(error).__name__)
    body = msgspec.json.encode({"error": refusal.sentence})
    return Response(body, refusal.status, media_type="application/json; charset=utf-8")
