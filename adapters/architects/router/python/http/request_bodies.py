"""The JSON bodies of requests: their shapes, and readers that refuse anything else.

The readers take strict JSON and raise `MalformedJsonError`. What a task put into a body stays text.
"""

from typing import Annotated

import msgspec
from msgspec import UNSET, Raw

from ..json_text import reader
from ..packets import Timestamp

_NULL = Raw(b"null")
_EMPTY = Raw(b"{}")


#: A name as a provider's page gives it: 1 to 255 characters, not only spaces, without control characters.
WorkerName = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"\A(?=[^\x00-\x1f\x7f-\x9f]+\Z).*\S")]


#: What a worker says against a rejection: not only spaces.
AppealText = Annotated[str, msgspec.Meta(min_length=1, max_length=4000, pattern=r"\S")]


#: The number of a run, as far as every number in JSON is exact.
RunNumber = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]


class RequestAgentBody(msgspec.Struct):
    """POST /request_agent."""

    provider_data: Raw
    client_timestamp: Timestamp = UNSET


class WorkerNames(msgspec.Struct):
    """The part of the `provider_data` of POST /request_agent that says who asks."""

    worker_name: WorkerName
    agent_registration_id: WorkerName


class OnboardingSubmission(msgspec.Struct):
    """The `provider_data` of POST /submit_onboarding."""

    agent: str = msgspec.field(name="USED_AGENT_ID")
    onboarding_data: Raw = _EMPTY


class SubmitOnboardingBody(msgspec.Struct):
    """POST /submit_onboarding."""

    provider_data: OnboardingSubmission
    client_timestamp: Timestamp = UNSET


class SubmitTaskBody(msgspec.Struct):
    """POST /submit_task as JSON."""

    agent: str = msgspec.field(name="USED_AGENT_ID")
    final_data: Raw = _NULL
    client_timestamp: Timestamp = UNSET


class SubmitMetadataBody(msgspec.Struct):
    """POST /submit_metadata."""

    agent: str = msgspec.field(name="USED_AGENT_ID")
    #: An object; it stays the text that it was, with names that occur twice.
    metadata: Raw
    client_timestamp: Timestamp = UNSET


class ReturnTaskBody(msgspec.Struct):
    """POST /return_task, an addition of ours that no page of Mephisto's sends."""

    agent: str = msgspec.field(name="USED_AGENT_ID")
    client_timestamp: Timestamp = UNSET


class AgentStatusBody(msgspec.Struct):
    """POST /agent_status, an addition of ours."""

    agent: str = msgspec.field(name="USED_AGENT_ID")


class SubmitAppealBody(msgspec.Struct):
    """POST /submit_appeal, an addition of ours: a worker objects to the rejection of their work."""

    agent: str = msgspec.field(name="USED_AGENT_ID")
    text: AppealText
    client_timestamp: Timestamp = UNSET


class WorkerPageBody(msgspec.Struct):
    """POST /worker_page, an addition of ours."""

    #: The token in the page's address.
    worker_page: WorkerName
    #: A run; the worker withdraws the consent to it.
    withdraw_consent: RunNumber | None = None
    #: The token of an agent of the worker, who wants a receipt of that work.
    receipt: WorkerName | None = None
    client_timestamp: Timestamp = UNSET


class LogErrorBody(msgspec.Struct):
    """POST /log_error; the agent is null until the page has one."""

    agent: str | None = msgspec.field(name="USED_AGENT_ID", default=None)
    error_data: Raw = _NULL
    client_timestamp: Timestamp = UNSET


read_request_agent = reader(RequestAgentBody)
read_worker_names = reader(WorkerNames)
read_submit_onboarding = reader(SubmitOnboardingBody)
read_submit_task = reader(SubmitTaskBody)
_read_submit_metadata = reader(SubmitMetadataBody)
_read_object = reader(dict[str, Raw])
read_return_task = reader(ReturnTaskBody)
read_agent_status = reader(AgentStatusBody)
read_submit_appeal = reader(SubmitAppealBody)
read_worker_page = reader(WorkerPageBody)
read_log_error = reader(LogErrorBody)


def read_submit_metadata(text: bytes) -> SubmitMetadataBody:
    """Read the body of POST /submit_metadata.

    Raises:
        MalformedJsonError: it is not such a body, or its metadata is no object.
    """
    body = _read_submit_metadata(text)
    read_metadata(bytes(body.metadata))
    return body


def read_metadata(text: bytes) -> Raw:
    """Return the metadata of a form as the text that it is.

    Raises:
        MalformedJsonError: it is no object.
    """
    _read_object(text)
    return Raw(text)
