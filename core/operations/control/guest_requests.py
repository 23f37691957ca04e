"""Follows what people ask of a live run on other machines: the log has their request, and its driver acts on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ....events.envelope import RecordedEvent
from ....events.task_run import TaskRunAdmissionResumed, TaskRunDraining, TaskRunPaused, TaskRunStopping
from ...command_issuer import OPERATOR
from ..logger_core import get_logger

logger = get_logger(__name__)


class DrivenRun(Protocol):
    """A run that can be asked to pause or to end; see `LiveRunDriver`."""

    def stop(self, reason: str, *, at_once: bool, author: str) -> None:
        """Stop giving out work, and end the run."""

    def drain(self, reason: str, *, author: str) -> None:
        """Give no work to newcomers, and pause the run once nobody is at work."""

    def pause(self, reason: str, *, author: str) -> None:
        """Leave the run now."""


class AskedCode(Protocol):
    """The code of a run; see `LiveTaskRun`."""

    def retry_soon(self, reason: str) -> None:
        """Ask the code again about everybody whom it failed on."""


def follow_requests(run: DrivenRun, code: AskedCode, events: Sequence[RecordedEvent]) -> None:
    """Do what durable events of a run ask of its driver, and of its code.

    Here the driver acts first and records it then, so it finds itself asked for what it does already. The author tells
    a request from its own decision to stop, which asks for nothing.
    """
    for recorded in events:
        author = recorded.envelope.actor
        if author == OPERATOR:
            continue
        match recorded.envelope.event:
            case TaskRunDraining(reason=reason):
                run.drain(reason, author=author)
            case TaskRunPaused(reason=reason):
                run.pause(reason, author=author)
            case TaskRunStopping(reason=reason, at_once=at_once):
                run.stop(reason, at_once=at_once, author=author)
            case TaskRunAdmissionResumed(reason=reason):
                code.retry_soon(reason)
