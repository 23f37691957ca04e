"""Implements `mephisto-es export`: export the units of a run as a table."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import click
import msgspec

from ...core.entity_ref import EntityRef
from ...events.ids import TaskRunId
from ...projections.mephisto_db.queries import JsonValue
from ...projections.queries.quality.answers import questions_of, read_work
from ...projections.queries.quality.decided_labels import label_decisions
from ...projections.queries.quality.final_labels import labels_by_item
from ...projections.queries.quality.labels import labels_of
from ...projections.queries.quality.stop_labels import stop_labels
from ...projections.queries.unit_records import UnitRecord, UnitValues, unit_records, unit_values
from ...projections.queries.uploads import uploads_of_run
from ..exports.anonymous import anonymized, without_file_names
from ..exports.columns import UnitTable
from ..exports.dataset import write_dataset
from ..exports.facts import Publication
from ..exports.files import copy_files
from ..exports.formats import FORMATS, load_writer
from ..exports.run_facts import facts_of
from ..log.sqlite.as_of import LogAsOf
from ..quality.loading import find_aggregator
from ..quality.stop_plan import stop_plan
from ..terminal import echo
from .common.arguments import AsOfOption, LogCommand, as_of_options, log_argument, run_argument
from .common.output import opened_output, working

#: A folder that Hugging Face `load_dataset` reads, instead of a file.
DATASET = "huggingface"


@click.command("export", cls=LogCommand)
@log_argument
@run_argument
@click.option(
    "--format",
    "name",
    type=click.Choice([*FORMATS, DATASET]),
    default="jsonl",
    show_default=True,
    help="The format.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write, or the folder for huggingface.  [default: standard output]",
)
@click.option(
    "--files",
    "files_dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Copy uploaded files to this folder; the column `files` has their paths below it.",
)
@click.option("--names/--no-names", default=True, show_default=True, help="Include the workers' names at the provider.")
@click.option(
    "--anonymous",
    is_flag=True,
    help="Number the workers, and leave out names, notes, authors of verdicts, positions and times of day.",
)
@click.option(
    "--labels",
    is_flag=True,
    help="Add the labels of each item: majority, and Dawid-Skene and MACE if the extra quality is installed.",
)
@click.option("--license", "license_url", metavar="URL", help="With huggingface: the license, for the descriptions.")
@click.option("--creator", metavar="NAME", help="With huggingface: who publishes the dataset.")
@click.option("--url", metavar="URL", help="With huggingface: the address where it will be published.")
@as_of_options
def export_command(
    database: Path,
    run: EntityRef,
    name: str,
    output: Path | None,
    files_dir: Path | None,
    names: bool,
    anonymous: bool,
    labels: bool,
    license_url: str | None,
    creator: str | None,
    url: str | None,
    as_of: AsOfOption,
) -> None:
    """Export the units of RUN as a table, one row each, with inputs, outputs, worker, statuses, times and pay.

    Every format has the columns of `UnitRecord`; all but jsonl also have one for each value in inputs and outputs,
    such as input.text and output.label. `seqs` are the positions in the log of the events behind a row. In csv, a text
    that a spreadsheet would take for a formula begins with an apostrophe. --anonymous does not change what workers
    wrote: read it before you publish it. parquet and huggingface need an extra: pip install 'mephisto-es[parquet]'.
    --labels adds label.QUESTION.label with .label_source, the method that it is by, and .label_confidence: a reviewer's
    decision (`mephisto-es adjudicate`) comes first, with .label_author, then the run's stop_when, then Dawid-Skene if
    workers gave enough answers, else the majority. It also adds label.QUESTION.METHOD.label, .confidence and .answers.

    \b
    Examples:
      mephisto-es export mephisto_data 1 --format csv -o run-1.csv
      mephisto-es export mephisto_data 1 --no-names | jq .outputs
      mephisto-es export mephisto_data 1 --format huggingface --anonymous -o dataset
    """
    publication = Publication(license=license_url, creator=creator, url=url)
    with as_of.open(database) as moment:
        number = TaskRunId(run.number)
        by_item = _labels_by_item(moment, number, authors=not anonymous) if labels else None
        copies = None if files_dir is None else copy_files(uploads_of_run(moment.db, number, database), files_dir)

        def records() -> Iterable[UnitRecord]:
            found = unit_records(moment, number, names=names)
            complete = (_completed(record, copies, by_item) for record in found)
            return anonymized(complete) if anonymous else complete

        def values() -> Iterable[UnitValues]:
            for found in unit_values(moment, number):
                outputs = without_file_names(found.outputs) if anonymous else found.outputs
                labels = _labels_of(found, by_item)
                yield msgspec.structs.replace(found, outputs=outputs, labels=labels)

        table = UnitTable(records, values)
        if name == DATASET:
            if output is None:
                raise click.UsageError("--format huggingface writes a folder: give it with -o.")
            facts = facts_of(moment, number, publication, is_anonymous=anonymous, has_labels=labels)
            count = write_dataset(table, output, facts)
        else:
            write = load_writer(name)
            are_rows_seen = output is None and sys.stdout.isatty()
            with working("exporting", is_quiet=are_rows_seen), opened_output(output) as file:
                count = write(table, file)
    if output is not None:
        echo(f"{count:,} unit{'s' * (count != 1)} in {output}", err=True)


def _completed(
    record: UnitRecord, copies: Mapping[str, PurePosixPath] | None, by_item: Mapping[int, JsonValue] | None
) -> UnitRecord:
    """Return a row with the paths of copied files and the labels of its item, if they are wanted."""
    if copies is None and by_item is None:
        return record
    files = record.files if copies is None else tuple(str(copies.get(file, file)) for file in record.files)
    return msgspec.structs.replace(record, files=files, labels=_labels_of(record, by_item))


def _labels_of(row: UnitRecord | UnitValues, by_item: Mapping[int, JsonValue] | None) -> JsonValue:
    return None if by_item is None or row.unit_index < 0 else by_item.get(row.assignment_id)


def _labels_by_item(moment: LogAsOf, run: TaskRunId, *, authors: bool) -> dict[int, JsonValue]:
    aggregator = find_aggregator()
    questions, decisions = questions_of(read_work(moment, run)), label_decisions(moment, run)
    found = [one for question in questions for one in labels_of(question, aggregator, decisions)]
    settled = stop_labels(moment, run, stop_plan(moment, run), questions)
    return labels_by_item(questions, found, settled, authors=authors)
