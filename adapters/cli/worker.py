"""Implements `mephisto-es worker`: block a worker, grant or revoke qualifications, give a bonus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import trio

from ...core.entity_ref import EntityRef
from ...core.operations.configuration.money import amount, cents
from ...core.operations.control.requests import (
    AnyRequest,
    BlockRequest,
    BonusRequest,
    GrantRequest,
    Reply,
    RevokeRequest,
    UnblockRequest,
    WithdrawConsentRequest,
)
from ...core.operations.services.worker_page import page_address, page_token
from ...events.ids import TaskRunId, UnitId, WorkerId
from ...events.payment import PaymentOwed
from ...events.streams import run_of
from ...projections.queries.worker_names import worker_names
from ..advice import advised
from ..composition.rejections import bonus_warning
from ..control.client import new_key, open_control
from ..control.protocol import author_of
from ..control.reviews import content_key
from ..log.sqlite.as_of import open_as_of
from ..log.sqlite.reader import LogReader
from ..terminal import echo
from ..text import format_author, format_worker
from .common.arguments import EntityType, LogCommand, RunType, author_option, log_argument, pseudonyms_option

#: The default value of a granted qualification.
GRANTED = 1
#: The reason that is recorded for a withdrawal.
WITHDRAWN = "the worker asked for it"


@click.command("worker", cls=LogCommand)
@log_argument
@click.argument("worker", type=EntityType("worker"))
@click.option("--block", metavar="REASON", help="Give the worker no more work.")
@click.option("--unblock", metavar="REASON", help="Let a blocked worker work again.")
@click.option("--grant", metavar="NAME[=VALUE]", help="Grant a qualification, or change its value.")
@click.option("--revoke", metavar="NAME", help="Revoke a qualification.")
@click.option("--bonus", metavar="AMOUNT", help="Owe the worker a bonus: 0.50.")
@click.option(
    "--unit",
    type=EntityType("unit"),
    metavar="UNIT",
    help="The unit that the bonus is for; the latest that was approved or waits for review, unless given.",
)
@click.option("--reason", metavar="REASON", help="The reason for the bonus; required.")
@click.option(
    "--withdraw-consent",
    type=RunType(),
    metavar="RUN",
    help="Withdraw the worker's consent to a run: what they sent in it is deleted, and pay stays owed.",
)
@click.option("--page", is_flag=True, help="Print the address of the worker's own page, without that of the server.")
@click.option("--again", is_flag=True, help="Give a bonus of the same amount and reason once more.")
@author_option
@pseudonyms_option
def worker_command(
    database: Path,
    worker: EntityRef,
    block: str | None,
    unblock: str | None,
    grant: str | None,
    revoke: str | None,
    bonus: str | None,
    unit: EntityRef | None,
    reason: str | None,
    withdraw_consent: EntityRef | None,
    page: bool,
    again: bool,
    author: str | None,
    pseudonyms: bool,
) -> None:
    """Block or unblock WORKER, grant or revoke qualifications, give a bonus. `explain` shows earlier decisions.

    WORKER is an id, or the name at the provider. If it may be both, you are told how to write which.

    This works while a run is live: a blocked worker is refused at the next request. A bonus becomes owed once, however
    often the same command is repeated; `mephisto-es pay` pays it.

    \b
    Examples:
      mephisto-es worker mephisto_data worker-3 --grant can-rate=2
      mephisto-es worker mephisto_data worker-3 --block "answers at random"
      mephisto-es worker mephisto_data worker-3 --page
      mephisto-es worker mephisto_data worker-3 --withdraw-consent 1
      mephisto-es worker mephisto_data worker-3 --bonus 0.50 --reason "found a mistake in the task" --unit unit-12
    """
    if page:
        _print_page(database, WorkerId(worker.number))
        return
    if not any((block, unblock, grant, revoke, bonus, withdraw_consent)):
        raise click.UsageError(
            "Nothing to do: give --block, --unblock, --grant, --revoke, --bonus, --withdraw-consent or --page."
        )
    if bool(bonus) != bool(reason) or (unit and not bonus):
        raise click.UsageError("--bonus needs --reason; --reason and --unit go only with --bonus.")
    bonus_cents = cents(bonus, key="--bonus") if bonus else 0
    number, who = WorkerId(worker.number), author_of(author)
    requests = list(_requests(number, unblock, grant, revoke, block, withdraw_consent))
    owed = BonusRequest(
        worker=number, amount_cents=bonus_cents, reason=reason or "", unit=UnitId(unit.number) if unit else None
    )
    keyed: list[tuple[AnyRequest, str]] = [(request, new_key()) for request in requests]
    if bonus:
        keyed.append((owed, new_key() if again else content_key(owed)))
    reply = trio.run(_execute, database, who, keyed)
    label = label_of_worker(database, number, pseudonyms=pseudonyms)
    for request in requests:
        echo(f"{label}: {_done(request)}")
    if bonus and reply.repeated:
        by = "" if reply.repeats is None else f" by {format_author(reply.repeats)}"
        echo(f"{label}: this bonus was given before{by}, and is not given twice; --again gives another one")
    elif bonus:
        echo(f"{label}: bonus of {amount(bonus_cents)}{_unit_of(database, reply.seq)}")
        _warn_of_bonus(database, reply.seq)


def _done(request: AnyRequest) -> str:
    match request:
        case BlockRequest():
            return f"blocked: {request.reason}"
        case UnblockRequest():
            return f"unblocked: {request.reason}"
        case GrantRequest():
            return f"has the qualification {request.qualification} with value {request.value}"
        case RevokeRequest():
            return f"has the qualification {request.qualification} no more"
        case WithdrawConsentRequest():
            return f"consent to run-{request.task_run} withdrawn, and what was sent in it deleted"
        case _:
            return "done"


def _unit_of(database: Path, seq: int | None) -> str:
    """Return the unit that a bonus is for, as the end of a sentence."""
    if seq is None:
        return ""
    with LogReader(database) as log:
        events = [recorded.envelope.event for recorded in log.read(seq - 1, seq)]
    return "".join(f" for unit-{event.unit}" for event in events if isinstance(event, PaymentOwed))


def _warn_of_bonus(database: Path, seq: int | None) -> None:
    """Say that a bonus will not be paid by the provider of its run, if that is so."""
    if seq is None:
        return
    with open_as_of(database) as moment, LogReader(database) as log:
        for stream in {recorded.envelope.stream for recorded in log.read(seq - 1, seq)}:
            warning = bonus_warning(moment, run_of(stream))
            if warning is not None:
                echo(advised(warning))


def _requests(
    worker: WorkerId,
    unblock: str | None,
    grant: str | None,
    revoke: str | None,
    block: str | None,
    withdraw_consent: EntityRef | None,
) -> Iterator[AnyRequest]:
    """Yield the requests about a worker, in the order in which they are executed."""
    if unblock:
        yield UnblockRequest(worker=worker, reason=unblock)
    if grant:
        yield _grant(worker, grant)
    if revoke:
        yield RevokeRequest(worker=worker, qualification=revoke, reason="revoked by a reviewer")
    if block:
        yield BlockRequest(worker=worker, reason=block)
    if withdraw_consent:
        yield WithdrawConsentRequest(task_run=TaskRunId(withdraw_consent.number), worker=worker, reason=WITHDRAWN)


def label_of_worker(database: Path, worker: WorkerId, *, pseudonyms: bool) -> str:
    """Return a worker's id, with the name at the provider if it is to be shown."""
    if pseudonyms:
        return f"worker-{worker}"
    with open_as_of(database) as moment:
        return format_worker(worker, worker_names(moment.db, [worker]).get(worker))


async def _execute(database: Path, author: str, requests: Sequence[tuple[AnyRequest, str]]) -> Reply:
    """Execute requests in order; return the reply to the last one."""
    reply = Reply()
    async with open_control(database, author) as control:
        for request, key in requests:
            reply = await control.execute(request, key)
    return reply


def _print_page(database: Path, worker: WorkerId) -> None:
    with LogReader(database) as log:
        echo(page_address(page_token(log.pseudonym_key, worker)))


def _grant(worker: WorkerId, written: str) -> GrantRequest:
    name, equals, value = written.partition("=")
    try:
        return GrantRequest(worker=worker, qualification=name, value=int(value) if equals else GRANTED)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a whole number.", param_hint="--grant") from None
