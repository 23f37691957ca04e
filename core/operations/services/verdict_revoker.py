"""Revokes what a faulty function of a run's code said against workers, with its consequences in later runs."""

from __future__ import annotations

import msgspec

from ....events import streams
from ....events.ids import QualificationId, TaskRunId, WorkerId
from ....events.task_run import TaskRunCreated
from ...abstractions.use_gold_unit import Golds
from ...command_issuer import CommandIssuer
from ...commands.admission import GoldQualifications, RevokeVerdicts, ScreeningQualifications
from ...decisions.worker_rights.revoke_verdicts import REVOCABLE
from ...errors import CommandRefusedError
from ...ledger import Ledger
from ...ports import Ids
from ...suggestions import did_you_mean


class _BlueprintSettings(msgspec.Struct, frozen=True):
    """The settings of a run's blueprint that name qualifications."""

    onboarding_qualification: str | None = None
    passed_qualification_name: str | None = None
    block_qualification: str | None = None
    gold_qualification_base: str | None = None


class _RunConfig(msgspec.Struct, frozen=True):
    blueprint: _BlueprintSettings = _BlueprintSettings()


class VerdictRevoker:
    """Revokes verdicts in the name of one author."""

    def __init__(self, ledger: Ledger, ids: Ids, actor: str) -> None:
        self._ledger = ledger
        self._issuer = CommandIssuer(ledger, ids, actor)

    async def revoke(self, run: TaskRunId, function: str, reason: str) -> list[WorkerId]:
        """Let what a function said against workers of a run not count; returns when that is durable.

        Args:
            run: the run.
            function: the name of the callback.
            reason: recorded in the log.

        Returns:
            The workers against whom it had said something.

        Raises:
            UnknownEntityError: there is no such run.
            CommandRefusedError: the function says nothing against workers.
        """
        if function not in REVOCABLE:
            raise CommandRefusedError(f"{function!r} gives no verdicts on workers. {did_you_mean(function, REVOCABLE)}")
        onboarding, screening, golds = self._qualifications(run)
        prefix = streams.engagement(run, WorkerId(0)).rpartition("/")[0]
        engaged = [
            one.worker for stream, one in self._ledger.state.engagements.items() if stream.startswith(f"{prefix}/")
        ]
        revoked: list[WorkerId] = []
        for worker in engaged:
            command = RevokeVerdicts(
                task_run=run,
                worker=worker,
                callback=function,
                reason=reason,
                onboarding=onboarding,
                screening=screening,
                golds=golds,
            )
            if (await self._issuer.issue(command)).events:
                revoked.append(worker)
        return revoked

    def _qualifications(
        self, run: TaskRunId
    ) -> tuple[QualificationId | None, ScreeningQualifications | None, GoldQualifications | None]:
        """Return the qualifications in which the run keeps its verdicts."""
        self._ledger.state.runs[run]  # refuses a run that does not exist
        created = self._ledger.log.history(streams.task_run(run))[0].envelope.event
        config = created.config if isinstance(created, TaskRunCreated) else "{}"
        settings = msgspec.json.decode(config, type=_RunConfig).blueprint
        ids = self._ledger.state.qualifications_by_name
        passed, failed = ids.get(settings.passed_qualification_name or ""), ids.get(settings.block_qualification or "")
        golds = (
            []
            if settings.gold_qualification_base is None
            else Golds(settings.gold_qualification_base, 0, 0, 0).qualifications
        )
        found = [ids[name] for name in golds if name in ids]
        return (
            ids.get(settings.onboarding_qualification or ""),
            None if passed is None or failed is None else ScreeningQualifications(passed, failed),
            GoldQualifications(*found) if len(found) == len(golds) and found else None,
        )
