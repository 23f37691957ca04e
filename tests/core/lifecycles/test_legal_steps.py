"""The steps of all lifecycles are those of `legal_steps.txt`: a log that has a step must stay legal in later releases.

A step that is added is a line more. Write the file with `python -m tests.core.lifecycles.test_legal_steps`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mephisto_es.core.lifecycles.table import ABSENT
from mephisto_es.events.base import kind_of

from .test_tables import KINDS

FILE = Path(__file__).with_name("legal_steps.txt")


def legal_steps() -> Iterator[str]:
    """Every step of every lifecycle, one a line."""
    for lifecycle in (kind.lifecycle for kind in KINDS.values()):
        for row in lifecycle.steps:
            for source in row.sources:
                status = ABSENT if source is None else source.value
                yield f"{lifecycle.name}: {status} --{kind_of(row.event)}--> {row.target.value}"


def test_the_legal_steps_are_those_that_logs_may_have() -> None:
    assert sorted(legal_steps()) == FILE.read_text().splitlines()


if __name__ == "__main__":
    FILE.write_text("".join(f"{line}\n" for line in sorted(legal_steps())))
