"""Records the label that a reviewer decided for an item."""

from __future__ import annotations

from ...command_issuer import CommandIssuer
from ...commands.review import LabelAssignment
from ...ledger import Ledger
from ...payloads import seal
from ...ports import AppendResult, Ids
from .requests import LabelRequest


async def record_label(ledger: Ledger, ids: Ids, author: str, request: LabelRequest, key: str) -> AppendResult:
    """Decide the answer to a question about an assignment's data, or take such a decision back.

    It returns when the decision is durable. A cancelled call does not withdraw it.

    Args:
        ledger: executes the command; its writer task is running.
        ids: source of salts.
        author: the reviewer.
        request: the decision. A note is erased together with the answer.
        key: idempotency key.

    Raises:
        UnknownEntityError: there is no such assignment or unit.
        CommandRefusedError: it is not legal now; the message says why.
        LogError: nothing was written, or it is not known whether it was.
    """
    answer, reason = (
        None if text is None else seal(text.encode(), ids.salt(), request.worker)
        for text in (request.label, request.note or None)
    )
    command = LabelAssignment(
        task_run=request.task_run,
        assignment=request.assignment,
        question=request.question,
        label=None if answer is None else answer.ref,
        units=request.units,
        note=None if reason is None else reason.ref,
        reviewer=author,
        after=request.after,
        worker=request.worker,
    )
    payloads = [one for one in (answer, reason) if one is not None]
    return await CommandIssuer(ledger, ids, author).issue(command, *payloads, command_id=key)
