"""The page for people who come from Mephisto: each row of its tables is true."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

import mephisto_es
from mephisto_es.adapters.cli.main import ALIASES, VERBS
from mephisto_es.core.abstractions.args import remark_of
from mephisto_es.core.operations.hydra_config import AbstractionType, DatabaseArgs, MephistoConfig, TaskRunArgs
from mephisto_es.core.operations.registry import (
    get_architect_from_type,
    get_blueprint_from_type,
    get_crowd_provider_from_type,
    get_valid_types,
)

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "mephisto.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[tuple[str, ...]]:
    """Return the rows of the tables below a heading, without their headers."""
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    cells = [tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]) for line in lines]
    return [row for row in cells if row[0] not in ("in Mephisto", "setting", "Mephisto")]


def spans(cell: str) -> list[str]:
    """Return the pieces of code in a cell."""
    return re.findall(r"`([^`]+)`", cell)


@cache
def attributes() -> frozenset[str]:
    """Return the names of all methods, attributes and parameters of public classes and functions."""
    found: set[str] = set()
    for name in mephisto_es.__all__:
        one = getattr(mephisto_es, name)
        if inspect.isclass(one):
            found |= {*dir(one), *getattr(one, "__struct_fields__", ()), *inspect.get_annotations(one)}
        elif inspect.isfunction(one):
            found |= set(inspect.signature(one).parameters)
    return frozenset(found)


def plugins() -> set[str]:
    """Return the names of all plugins."""
    return {name for kind in AbstractionType for name in get_valid_types(kind)}


def is_there(code: str) -> bool:
    """Return whether a piece of code names something that exists here."""
    if code.startswith("mephisto-es "):
        verb = code.split()[1]
        return verb in VERBS or verb in ALIASES
    if code in VERBS or code in plugins():
        return True
    if code.endswith("_..."):
        return any(name.startswith(code.removesuffix("...")) for name in mephisto_es.PUBLIC_NAMES)
    words = code.removeprefix("async with ").removeprefix("await ").removeprefix("live_run.").removeprefix("X.")
    name = re.match(r"[\w.]+", words)
    parts = name[0].split(".") if name else []
    known = mephisto_es.PUBLIC_NAMES | attributes()
    return any(part in known for part in parts[-1:] + parts[:1])


#: Words in the second column that are no names.
PROSE = {"async", "await", "data_dir", "skip_crowd", "function(request_id, args, agent_state)"}


@pytest.mark.parametrize("row", rows("Names"), ids=lambda row: row[0][:50])
def test_what_a_row_names_is_there(row: tuple[str, str, str]) -> None:
    before, here, _ = row
    named = [code for code in spans(here) if code not in PROSE and not code.startswith(("{", '"'))]
    if "the same" in here:
        named += [code for code in spans(before) if not code.startswith("mephisto.") and "_..._" not in code]
    missing = [code for code in named if code not in PROSE and not is_there(code)]
    assert missing == []


@pytest.mark.parametrize("row", rows("What you change in a script"), ids=lambda row: row[0][:50])
def test_what_is_written_instead_is_there(row: tuple[str, str]) -> None:
    for code in spans(row[1]):
        if code.startswith("from mephisto_es import "):
            exec(code, {})  # the import is the test
        elif code not in PROSE and not code.startswith("async def"):
            assert is_there(code), code


@pytest.mark.parametrize("row", rows("Settings"), ids=lambda row: row[0][:50])
def test_a_setting_is_used_or_accepted_as_its_row_says(row: tuple[str, str]) -> None:
    blueprints = get_valid_types(AbstractionType.BLUEPRINT)
    sections: dict[str, list[type]] = {
        "task": [TaskRunArgs],
        "database": [DatabaseArgs],
        "": [MephistoConfig],
        "blueprint": [get_blueprint_from_type(name).ArgsClass for name in blueprints],
    }
    for setting in spans(row[0]):
        if setting in plugins():
            continue
        section, _, name = setting.rpartition(".")
        known = [one for owner in sections[section] for one in fields(owner) if one.name == name]
        assert known, setting
        for one in known:
            assert (remark_of(one.metadata) is not None) is row[1].startswith("accepted"), setting


def test_plugins_that_are_not_there_are_answered() -> None:
    answers: list[tuple[str, Callable[[str], object], str]] = [
        ("mephisto/architect=ec2", get_architect_from_type, "ec2"),
        ("mephisto/provider=mturk", get_crowd_provider_from_type, "mturk"),
        ("inhouse", get_crowd_provider_from_type, "inhouse"),
    ]
    for text, get, name in answers:
        assert f"`{text}`" in TEXT
        with pytest.raises(mephisto_es.ConfigError, match=r"\. (Run|The nearest|Use)"):
            get(name)
