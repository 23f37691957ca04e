"""Reads files of decisions on the answers to questions about items, so that a run's answers are read once for all."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

from ....core.entity_ref import parse_entity_ref
from ....core.errors import ConfigError
from ....events.ids import AssignmentId

KEY = "--decisions"
COLUMNS = ("assignment", "question", "answer", "note")


class WrittenDecision(NamedTuple):
    """A decision as a file has it."""

    item: AssignmentId
    question: str
    answer: str
    #: None: the line has none.
    note: str | None


def read_label_file(file: Path) -> list[WrittenDecision]:
    """Return the decisions in a CSV file with the columns assignment, question, answer and, if wanted, note.

    Lines without an answer are left out.

    Raises:
        ConfigError: the file cannot be read, or a line cannot be meant; nothing is to be recorded.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{file} cannot be read: {error}", key=KEY) from error
    decisions: dict[tuple[AssignmentId, str], WrittenDecision] = {}
    for number, row in enumerate(rows, start=2):
        where = f"line {number} of {file.name}"
        name, question, answer, note = ((row.get(column) or "").strip() for column in COLUMNS)
        if not answer:
            continue
        found = parse_entity_ref(name)
        if not name.isdecimal() and (found is None or found.kind != "assignment"):
            raise ConfigError(f"{where}: {name!r} is not an assignment", key=KEY, hint="Write assignment-12")
        if not question:
            raise ConfigError(
                f"{where}: the question is missing", key=KEY, hint=f"The columns are {', '.join(COLUMNS)}"
            )
        item = AssignmentId(int(name) if found is None or found.kind != "assignment" else found.number)
        decision = WrittenDecision(item, question, answer, note or None)
        if decisions.setdefault((item, question), decision) != decision:
            raise ConfigError(f"{where}: {question!r} of assignment-{item} is decided twice", key=KEY)
    return list(decisions.values())
