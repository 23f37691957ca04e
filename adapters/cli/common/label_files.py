"""Reads files of decisions on the answers to questions about items, so that a run's answers are read once for all."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ....core.entity_ref import parse_entity_ref
from ....core.errors import ConfigError
from ....events.ids import AssignmentId
from ...blueprints.csv_files import read_columns

KEY = "--decisions"
COLUMNS = ("assignment", "question", "answer", "note")


class WrittenDecision(NamedTuple):
    """A decision as a file has it."""

    item: AssignmentId
    question: str
    answer: str
    #: None: the line has none.
    note: str | None
    #: The line, for errors about it.
    where: str


def read_label_file(file: Path) -> list[WrittenDecision]:
    """Return the decisions in a CSV file with the columns assignment, question, answer and, if wanted, note.

    Lines without an answer are left out.

    Raises:
        ConfigError: the file cannot be read, decides nothing, or has a line that cannot be meant; nothing is to be
            recorded.
    """
    decisions: dict[tuple[AssignmentId, str], WrittenDecision] = {}
    for line, row in read_columns(file, COLUMNS[:-1], key=KEY):
        where = f"line {line} of {file.name}"
        name, question, answer, note = (row.get(column, "") for column in COLUMNS)
        if not answer:
            continue
        found = parse_entity_ref(name)
        if not name.isdecimal() and (found is None or found.kind != "assignment"):
            raise ConfigError(f"{where}: {name!r} is not an assignment", key=KEY, hint="Write assignment-12")
        if not question:
            raise ConfigError(f"{where}: the question is missing", key=KEY)
        item = AssignmentId(int(name) if found is None or found.kind != "assignment" else found.number)
        decision = WrittenDecision(item, question, answer, note or None, where)
        if decisions.setdefault((item, question), decision)[:-1] != decision[:-1]:
            raise ConfigError(f"{where}: {question!r} of assignment-{item} is decided twice", key=KEY)
    if not decisions:
        raise ConfigError(f"{file.name} has no line with an answer, so nothing was recorded", key=KEY)
    return list(decisions.values())
