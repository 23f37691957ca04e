"""Data of assignments and of agents' work, as launch scripts, task code and reviewers get it."""

from __future__ import annotations

from enum import Enum
from typing import Any, ClassVar

import msgspec

from ..lifecycles.agent import AgentStatus
from ..lifecycles.onboarding import OnboardingStatus

#: A JSON object, as pages and task code exchange them.
Update = dict[str, Any]


class InitializationData(msgspec.Struct, frozen=True, kw_only=True):
    """The data of one assignment."""

    #: Data that all its units share.
    shared: Update
    #: One object per unit, in the order of the unit indexes.
    unit_data: tuple[Update, ...] = ({},)

    def of_unit(self, unit_index: int) -> Update:
        """Return the data of the unit with an index: the shared data and the unit's own."""
        return self.shared | (self.unit_data[unit_index] if 0 <= unit_index < len(self.unit_data) else {})


class FileDetails(msgspec.Struct, frozen=True, kw_only=True):
    """An uploaded file as the worker's browser described it."""

    #: Name under which the file is stored, chosen by the router.
    filename: str
    #: The form field it was uploaded in.
    fieldname: str = ""
    #: Name on the worker's computer, without its folder.
    originalname: str = ""
    mimetype: str = "application/octet-stream"
    #: Bytes.
    size: int = 0


class WorkKind(Enum):
    """The shape of the outputs of a kind of task."""

    #: What the page submitted.
    FORM = "form"
    #: `messages` and `final_submission`.
    CHAT = "chat"
    #: `requests` and `final_submission`.
    PROCEDURES = "procedures"
    #: What the page submitted, with `messages` if live updates were exchanged: a task with code of its own.
    OTHER = "other"


class RemoteRequest(msgspec.Struct, frozen=True):
    """A call of a remote procedure, or the answer to one."""

    #: Id of the call; the answer has an id too.
    uuid: str
    #: The procedure; for an answer, the id of the call.
    target: str
    #: JSON text; None for an answer.
    args_json: str | None
    #: JSON text; None for a call, and for an answer that failed.
    response_json: str | None
    #: Seconds since the epoch.
    timestamp: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return msgspec.structs.asdict(self)


class AgentState(msgspec.Struct, frozen=True):
    """The data of one agent's work, with Mephisto's methods to read it and its constants for statuses."""

    STATUS_ONBOARDING: ClassVar[str] = OnboardingStatus.ONBOARDING.value
    STATUS_ACCEPTED: ClassVar[str] = AgentStatus.ACCEPTED.value
    STATUS_WAITING: ClassVar[str] = AgentStatus.WAITING.value
    STATUS_IN_TASK: ClassVar[str] = AgentStatus.IN_TASK.value
    STATUS_COMPLETED: ClassVar[str] = AgentStatus.COMPLETED.value
    STATUS_APPROVED: ClassVar[str] = AgentStatus.APPROVED.value
    STATUS_SOFT_REJECTED: ClassVar[str] = AgentStatus.SOFT_REJECTED.value
    STATUS_REJECTED: ClassVar[str] = AgentStatus.REJECTED.value
    STATUS_DISCONNECT: ClassVar[str] = AgentStatus.DISCONNECT.value
    STATUS_TIMEOUT: ClassVar[str] = AgentStatus.TIMEOUT.value
    STATUS_RETURNED: ClassVar[str] = AgentStatus.RETURNED.value
    STATUS_EXPIRED: ClassVar[str] = AgentStatus.EXPIRED.value
    STATUS_PARTNER_DISCONNECT: ClassVar[str] = AgentStatus.PARTNER_DISCONNECT.value

    #: Data that the page started with.
    inputs: dict[str, Any]
    #: The submission, as decoded JSON; None if there is none, or it was erased. For work with live updates an object
    #: with `messages` or `requests` and the `final_submission`.
    outputs: Any = None
    kind: WorkKind = WorkKind.FORM
    #: What the worker left beside the work, and the times: `tips`, `feedback`, `worker_opinion`, `default`,
    #: `task_start`, `task_end`.
    metadata: dict[str, Any] = {}

    def get_init_state(self) -> dict[str, Any]:
        """Return the data that the page started with."""
        return self.inputs

    def get_data(self) -> dict[str, Any]:
        """Return the work under the names `inputs` and `outputs`, with the times where Mephisto has them."""
        data = {"inputs": self.inputs, "outputs": self.outputs}
        match self.kind:
            case WorkKind.FORM | WorkKind.OTHER:
                return data
            case WorkKind.CHAT:
                return {**data, "metadata": self.metadata}
            case WorkKind.PROCEDURES:
                return {**data, "start_time": self.get_task_start(), "end_time": self.get_task_end()}

    def get_parsed_data(self) -> dict[str, Any]:
        """Return the work for people: `get_data`, and for a chat Mephisto's parts of it by their own names too."""
        data = self.get_data()
        if self.kind is not WorkKind.CHAT:
            return data
        names = (message["task_data"].get("agent_display_name") for message in self.messages if _has_data(message))
        worlds = (message["WORLD_DATA"] for message in self.messages[-1:] if "WORLD_DATA" in message)
        return {
            **data,
            "agent_name": next((name for name in names if name is not None), None),
            "initial_data": self.inputs,
            "messages": self.messages,
            "save_data": next(worlds, None),
            "final_submission": self.final_submission,
        }

    def get_metadata(self) -> dict[str, Any]:
        """Return what the worker left beside the work, and the times."""
        return self.metadata

    def get_task_start(self) -> float | None:
        """Return when the work started, in seconds since the epoch; None if it has not."""
        start: float | None = self.metadata.get("task_start")
        return start

    def get_task_end(self) -> float | None:
        """Return when the work was submitted, in seconds since the epoch; None if it was not."""
        end: float | None = self.metadata.get("task_end")
        return end

    def get_tips(self) -> list[dict[str, Any]] | None:
        """Return the worker's tips for others; None if there are none."""
        tips: list[dict[str, Any]] | None = self.metadata.get("tips")
        return tips

    def get_feedback(self) -> list[dict[str, Any]] | None:
        """Return the worker's feedback on the task; None if there is none."""
        feedback: list[dict[str, Any]] | None = self.metadata.get("feedback")
        return feedback

    def get_worker_opinion(self) -> dict[str, Any] | None:
        """Return the worker's opinion, with its questions and attachments; None if there is none."""
        opinion: dict[str, Any] | None = self.metadata.get("worker_opinion")
        return opinion

    @property
    def init_data(self) -> dict[str, Any]:
        """The data that the page started with, under the name of Mephisto's remote procedures."""
        return self.inputs

    @property
    def final_submission(self) -> Any:
        """The submission of the page, without messages and requests; None if there is none."""
        match self.kind:
            case WorkKind.FORM:
                return self.outputs
            case WorkKind.OTHER if isinstance(self.outputs, dict):
                return {key: value for key, value in self.outputs.items() if key != "messages"}
            case WorkKind.OTHER:
                return self.outputs
            case WorkKind.CHAT | WorkKind.PROCEDURES:
                return None if self.outputs is None else self.outputs["final_submission"]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The live updates of the work, the oldest first, each with its `timestamp`."""
        messages = self.outputs.get("messages") if isinstance(self.outputs, dict) else None
        return messages if isinstance(messages, list) else []

    @property
    def requests(self) -> dict[str, RemoteRequest]:
        """Calls of remote procedures and the answers to them, by their ids, the oldest first."""
        if self.kind is not WorkKind.PROCEDURES or self.outputs is None:
            return {}
        return {one["uuid"]: RemoteRequest(**one) for one in self.outputs["requests"]}


def _has_data(message: dict[str, Any]) -> bool:
    return isinstance(message.get("task_data"), dict)


def to_plain(value: object) -> object:
    """Convert a value of numpy or pandas to plain Python types.

    Raises:
        TypeError: the value is of another type.
    """
    tolist = getattr(value, "tolist", None)
    if callable(tolist) and not isinstance(value, type):
        return tolist()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
