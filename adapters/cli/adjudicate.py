"""Implements `mephisto-es adjudicate`: list items whose answers differ, and decide the answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click
import msgspec
import trio
from rich.markup import escape
from rich.table import Table

from ...core.entity_ref import EntityRef
from ...core.errors import ConfigError, UnknownEntityError
from ...core.operations.control.requests import LabelRequest
from ...events.ids import AssignmentId, TaskRunId, WorkerId
from ...projections.mephisto_db.queries import JsonValue
from ...projections.mephisto_db.reader import MephistoDB
from ...projections.queries.quality.agreement import Label
from ...projections.queries.quality.answers import shown_label
from ...projections.queries.quality.decided_labels import LabelDecision
from ...projections.queries.quality.disagreements import Disagreement, ItemQuestion, RunAnswers
from ...projections.queries.worker_names import worker_names
from ..control.client import open_control
from ..control.protocol import author_of
from ..control.reviews import content_key
from ..log.sqlite.as_of import open_as_of
from ..terminal import echo
from ..text import format_author, format_worker, printable
from .common.arguments import (
    EntityType,
    LogCommand,
    author_option,
    log_argument,
    pseudonyms_option,
    run_argument,
)
from .common.label_files import read_label_file
from .common.output import as_json_option, console, format_repeated, print_json, working
from .common.work_lines import shown_json

#: Characters of an answer that are printed.
MAX_ANSWER = 60
#: Items that are listed; `--json` has all of them.
SHOWN_ITEMS = 40


class Disagreements(msgspec.Struct, frozen=True, kw_only=True):
    """The items of a run whose answers differ."""

    run: str
    #: Those that nobody has decided, the smallest majority first; then those that were decided.
    disagreements: tuple[Disagreement, ...]


class AnswersAboutItem(msgspec.Struct, frozen=True, kw_only=True):
    """All answers to the questions about one item."""

    run: str
    item: AssignmentId
    #: The input data; None if it was erased.
    inputs: JsonValue
    questions: tuple[ItemQuestion, ...]


class NewDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that was asked for, and is durable."""

    question: str
    #: The answer; None if the decision was taken back.
    label: Label | None
    #: True if the same had been decided before, so that nothing was recorded.
    repeated: bool


class ItemDecisions(msgspec.Struct, frozen=True, kw_only=True):
    """The decisions about one item that were asked for."""

    run: str
    item: AssignmentId
    #: In the order of recording, after those that were recorded before.
    decisions: tuple[NewDecision, ...]


class FileDecisions(msgspec.Struct, frozen=True, kw_only=True):
    """The decisions of a file."""

    run: str
    #: Those about an item that were recorded before come first, item by item.
    items: tuple[ItemDecisions, ...]


@click.command("adjudicate", cls=LogCommand)
@log_argument
@run_argument
@click.argument("assignment", type=EntityType("assignment"), required=False)
@click.option(
    "--label", "labels", multiple=True, metavar="QUESTION=ANSWER", help="Decide the answer to a question; repeatable."
)
@click.option("--take-back", "taken_back", multiple=True, metavar="QUESTION", help="Take the decision back.")
@click.option("--note", help="Why; recorded with each decision.")
@click.option(
    "--decisions",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Record the decisions of a CSV file (columns assignment, question, answer, and if wanted note).",
)
@click.option("--question", metavar="QUESTION", help="List the items on which answers to this question differ.")
@author_option
@pseudonyms_option
@as_json_option
def adjudicate_command(
    database: Path,
    run: EntityRef,
    assignment: EntityRef | None,
    labels: Sequence[str],
    taken_back: Sequence[str],
    note: str | None,
    file: Path | None,
    question: str | None,
    author: str | None,
    pseudonyms: bool,
    as_json: bool,
) -> None:
    """List the items of RUN whose answers differ, or decide what the answer to a question about ASSIGNMENT is.

    A decision is recorded with its author and the work that was looked at. It is the label of the item in exports and
    figures from then on, and judges nobody's work. Deciding again revises it. Without --label, the answers to
    ASSIGNMENT are shown. The input data of ASSIGNMENT is shown in any case, long data cut. For many items, write the
    decisions to a file: the answers of the run are read once for all of them.

    \b
    Examples:
      mephisto-es adjudicate mephisto_data 1
      mephisto-es adjudicate mephisto_data 1 assignment-12
      mephisto-es adjudicate mephisto_data 1 assignment-12 --label sentiment=negative --note "ironic"
      mephisto-es adjudicate mephisto_data 1 assignment-12 --take-back sentiment
      mephisto-es adjudicate mephisto_data 1 --decisions decided.csv
    """
    if file is not None:
        if assignment is not None or any((labels, taken_back, note, question)):
            raise click.UsageError("--decisions goes with no ASSIGNMENT and none of the other decisions.")
        _record_file(database, run, file, author_of(author), as_json=as_json)
        return
    _check_options(assignment, [*labels, *taken_back], note, question)
    with open_as_of(database) as moment:
        with working("reading the answers", is_quiet=as_json):
            answers = RunAnswers(moment, TaskRunId(run.number))
        if assignment is None:
            _print_list(run, answers.disagreements(question), as_json=as_json)
            return
        item = AssignmentId(assignment.number)
        questions, inputs = answers.about(item), _inputs_of(moment.db, item)
        wanted: list[tuple[str, str | None]] = [*map(_split, labels), *((name, None) for name in taken_back)]
        requests = [(name, text, answers.request(item, name, text, note)) for name, text in wanted]
        workers = (worker for one in questions for answer in one.answers for worker in answer.workers)
        names = {} if pseudonyms else worker_names(moment.db, workers)
    if not as_json:
        _print_inputs(item, inputs)
    if wanted:
        before = [_recorded_before(name, questions) for name, _, request in requests if request is None]
        new = [request for *_, request in requests if request is not None]
        if not as_json:
            _print_recorded_before(item, before)
        done = trio.run(_record, database, author_of(author), new, not as_json)
        if as_json:
            print_json(ItemDecisions(run=str(run), item=item, decisions=(*before, *done)))
    elif as_json:
        print_json(AnswersAboutItem(run=str(run), item=item, inputs=inputs, questions=questions))
    else:
        _print_item(item, questions, names)


def _check_options(
    assignment: EntityRef | None, decided: Sequence[str], note: str | None, question: str | None
) -> None:
    """Refuse options that do not go together.

    Raises:
        UsageError: they do not.
    """
    if decided and assignment is None:
        raise click.UsageError("--label and --take-back need an ASSIGNMENT.")
    if note and not decided:
        raise click.UsageError("--note goes with --label and --take-back.")
    if question is not None and assignment is not None:
        raise click.UsageError("--question lists items; leave out the ASSIGNMENT.")


def _record_file(database: Path, run: EntityRef, file: Path, author: str, *, as_json: bool) -> None:
    """Check all decisions of a file, and record them.

    Raises:
        ConfigError: one cannot be meant; nothing was recorded.
        CommandRefusedError: one was refused; those after it were not tried.
    """
    written = read_label_file(file)
    before: dict[AssignmentId, list[NewDecision]] = {one.item: [] for one in written}
    new: list[LabelRequest] = []
    with open_as_of(database) as moment, working("reading the answers", is_quiet=as_json):
        answers = RunAnswers(moment, TaskRunId(run.number))
        for one in written:
            try:
                request = answers.request(one.item, one.question, one.answer, one.note)
            except (UnknownEntityError, ConfigError) as error:
                raise ConfigError(f"{one.where}: {error}", key="--decisions") from error
            if request is None:
                before[one.item].append(_recorded_before(one.question, answers.about(one.item)))
            else:
                new.append(request)
    if not as_json:
        for item, decided in before.items():
            _print_recorded_before(item, decided)
    done = trio.run(_record, database, author, new, not as_json)
    for request, decision in zip(new, done, strict=True):
        before[request.assignment].append(decision)
    if as_json:
        items = (ItemDecisions(run=str(run), item=item, decisions=tuple(found)) for item, found in before.items())
        print_json(FileDecisions(run=str(run), items=tuple(items)))


def _split(text: str) -> tuple[str, str]:
    name, equals, answer = text.partition("=")
    if not equals or not name or not answer:
        raise click.UsageError(f"--label is {text!r}; write --label QUESTION=ANSWER.")
    return name, answer


def _recorded_before(name: str, questions: Iterable[ItemQuestion]) -> NewDecision:
    """Return the decision on a question that is in the log."""
    label = next(one.decision.label for one in questions if one.question == name and one.decision is not None)
    return NewDecision(question=name, label=label, repeated=True)


def _print_recorded_before(item: AssignmentId, decisions: Iterable[NewDecision]) -> None:
    for one in decisions:
        echo(f"{_decided(item, one)}  (recorded before)")


async def _record(database: Path, author: str, requests: Iterable[LabelRequest], is_shown: bool) -> list[NewDecision]:
    """Record decisions, and return them; print each one when it is durable, if that is wanted.

    Raises:
        CommandRefusedError: one was refused; those after it were not tried.
    """
    done = []
    async with open_control(database, author) as control:
        for request in requests:
            reply = await control.execute(request, content_key(request, author))
            label = None if request.label is None else msgspec.json.decode(request.label, type=bool | int | float | str)
            done.append(NewDecision(question=request.question, label=label, repeated=reply.repeated))
            if is_shown:
                before = format_repeated(is_repeated=reply.repeated, by=reply.repeats)
                echo(f"{_decided(request.assignment, done[-1])}{before}")
    return done


def _decided(item: AssignmentId, decision: NewDecision) -> str:
    what = f"assignment-{item}: {printable(decision.question)}"
    if decision.label is None:
        return f"{what}: the decision is taken back"
    return f"{what} is {printable(shown_label(decision.label), MAX_ANSWER)}"


def _print_list(run: EntityRef, found: Sequence[Disagreement], *, as_json: bool) -> None:
    ordered = sorted(found, key=lambda one: one.decision is not None)
    if as_json:
        print_json(Disagreements(run=str(run), disagreements=tuple(ordered)))
        return
    open_ = [one for one in ordered if one.decision is None]
    if not found:
        echo(f"{run}: no answers differ.")
        return
    echo(f"{run}: answers differ, and nobody has decided: {len(open_):,}; decided: {len(found) - len(open_):,}")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("item", "question", "answers", "decided"):
        table.add_column(name, overflow="fold")
    for one in ordered[:SHOWN_ITEMS]:
        answers = ", ".join(f"{printable(label, MAX_ANSWER)} {count}" for label, count in one.answers.items())
        decided = "" if one.decision is None else _decision(one.decision)
        table.add_row(f"assignment-{one.item}", escape(printable(one.question)), escape(answers), escape(decided))
    console().print(table)
    if len(ordered) > SHOWN_ITEMS:
        echo(f"and {len(ordered) - SHOWN_ITEMS:,} more; --json has all of them")


def _inputs_of(db: MephistoDB, item: AssignmentId) -> JsonValue:
    """Return the input data of an item, as its first unit has it; None if it was erased."""
    unit = next(iter(db.find_units(assignment_id=item)), None)
    return None if unit is None else db.get_inputs(unit)


def _print_inputs(item: AssignmentId, inputs: JsonValue) -> None:
    shown = "(erased)" if inputs is None else shown_json(inputs)
    console().print(f"assignment-{item}  [dim]in[/] {shown}", soft_wrap=True, highlight=False)


def _print_item(item: AssignmentId, questions: Sequence[ItemQuestion], names: Mapping[WorkerId, str]) -> None:
    out = console()
    if not questions:
        echo(f"assignment-{item}: nobody has submitted anything yet.")
    for one in questions:
        out.print(f"[bold]{escape(printable(one.question))}[/]  {one.kind.value}")
        for answer in one.answers:
            who = ", ".join(format_worker(worker, names.get(worker)) for worker in answer.workers)
            out.print(f"  {escape(printable(shown_label(answer.label), MAX_ANSWER))}  [dim]{escape(who)}[/]")
        if one.decision is not None:
            out.print(f"  decided: {escape(_decision(one.decision))}")


def _decision(decision: LabelDecision) -> str:
    by = format_author(decision.reviewer)
    if decision.is_taken_back:
        return f"taken back by {by}"
    label = "erased" if decision.label is None else printable(shown_label(decision.label), MAX_ANSWER)
    return f"{label}, by {by}{'' if decision.note is None else f': {printable(decision.note)}'}"
