"""Reopens and extends runs: checks what only the blueprint of a run knows, seals items, and issues the commands."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ....events import streams
from ....events.ids import TaskRunId
from ....events.task_run import TaskRunCreated
from ...command_issuer import CommandIssuer
from ...commands.task_run import AddedItems, ExtendRun, ReopenRun
from ...errors import CommandRefusedError, UnknownEntityError
from ...ledger import Ledger
from ...payloads import seal
from ...ports import AppendResult, Ids
from ..registry import get_blueprint_from_type
from ..run.plan import stored_config
from .requests import ExtendRequest


class _UnitTerms(NamedTuple):
    """Facts about the units of an assignment, by the blueprint."""

    #: They are worked on together.
    are_together: bool
    #: There are as many as the label needs.
    follow_labels: bool


class RunExtension:
    """Reopens and extends runs in the name of an author.

    Raises (all methods):
        UnknownEntityError: there is no such run.
        CommandRefusedError: the command is not legal now; the message says why.
        LogError: nothing was written, or it is not known whether it was.
    """

    def __init__(self, ledger: Ledger, ids: Ids, author: str) -> None:
        """Initialize.

        Args:
            ledger: executes the commands; its writer task is running.
            ids: source of ids and salts.
            author: who reopens or extends, as the log records it.
        """
        self._ledger = ledger
        self._ids = ids
        self._issuer = CommandIssuer(ledger, ids, author)

    async def reopen(self, run: TaskRunId, reason: str, *, command_id: str) -> AppendResult:
        """Put the expired units of an ended run back; those of assignments that are partly done, too, if they can be.

        Args:
            run: the run.
            reason: recorded in the log.
            command_id: names the command, so that it can be issued again and is still executed once.
        """
        try:
            partial = not self._unit_terms(run).are_together
        except CommandRefusedError:
            partial = False  # nobody can tell
        return await self._issuer.issue(ReopenRun(task_run=run, reason=reason, partial=partial), command_id=command_id)

    async def extend(self, request: ExtendRequest, *, command_id: str) -> AppendResult:
        """Give a run more to do, or more to spend.

        Args:
            request: what the run is to be given.
            command_id: names the command, so that it can be issued again and is still executed once.
        """
        run = request.task_run
        if request.units_per_assignment is not None:
            terms = self._unit_terms(run)
            if terms.are_together:
                raise CommandRefusedError(
                    f"the units of an assignment of run {run} are done together: their number cannot be raised"
                )
            if terms.follow_labels:
                raise CommandRefusedError(
                    f"the items of run {run} get as many units as their labels need: raise stop_when.max"
                )
        payload = seal(msgspec.json.encode(request.items), self._ids.salt()) if request.items else None
        command = ExtendRun(
            task_run=run,
            reason=request.reason,
            items=None if payload is None else AddedItems(len(request.items), payload.ref),
            units_per_assignment=request.units_per_assignment,
            changes_budget=request.changes_budget,
            budget_cents=request.budget_cents,
        )
        return await self._issuer.issue(command, *([] if payload is None else [payload]), command_id=command_id)

    def _unit_terms(self, run: TaskRunId) -> _UnitTerms:
        """Return what the blueprint of a run says about the units of an assignment.

        Raises:
            CommandRefusedError: the blueprint of the run cannot be made, so nobody can tell.
        """
        history = self._ledger.log.history(streams.task_run(run))
        created = history[0].envelope.event if history else None
        if not isinstance(created, TaskRunCreated):
            raise UnknownEntityError(streams.task_run(run))
        try:
            blueprint_class = get_blueprint_from_type(created.blueprint_type)
            blueprint = blueprint_class(stored_config(created), blueprint_class.SharedStateClass())
            return _UnitTerms(blueprint.make_task_runner().is_concurrent, blueprint.label_plan is not None)
        except Exception as error:
            # A blueprint's code may raise anything.
            raise CommandRefusedError(
                f"the blueprint {created.blueprint_type!r} of run {run} cannot be made here: {type(error).__name__}"
            ) from error
