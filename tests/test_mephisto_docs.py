"""The page for people who come from Mephisto: each row of its tables is true."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

import mephisto_es
from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.cli.main import ALIASES, MEPHISTO_VERBS, VERBS
from mephisto_es.adapters.porting.names import new_name
from mephisto_es.adapters.porting.script import port_script
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
        return any(name.startswith(code.removesuffix("...")) for name in mephisto_es.__all__)
    words = code.removeprefix("async with ").removeprefix("await ").removeprefix("live_run.").removeprefix("X.")
    name = re.match(r"[\w.]+", words)
    parts = name[0].split(".") if name else []
    known = {*mephisto_es.__all__} | attributes()
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


# Each row is not only true: a test does what it says.

TESTS = Path(__file__).parent
#: Files that name everything without doing anything.
_LISTS = {"test_mephisto_docs.py", "public_names.py", "mephisto_settings.py"}
#: Names whose rows say that they are gone.
GONE: dict[str, type] = {
    "update_status": mephisto_es.AgentView,
    "mark_done": mephisto_es.AgentView,
    "update_agent": mephisto_es.MephistoDB,
    "update_unit": mephisto_es.MephistoDB,
    "launch": mephisto_es.UnitView,
    "expire": mephisto_es.UnitView,
    "get_valid_units_for_worker": mephisto_es.TaskRunView,
    "reserve_unit": mephisto_es.TaskRunView,
    "save_data": mephisto_es.AgentState,
    "set_init_state": mephisto_es.AgentState,
    "update_data": mephisto_es.AgentState,
    "update_submit": mephisto_es.AgentState,
    "loop_wrap": mephisto_es.LiveTaskRun,
    "associate_agent_with_registration": mephisto_es.ClientIOHandler,
    "push_status_update": mephisto_es.WorkerPool,
    "STATUS_CHECK_TIME": mephisto_es.Channel,
    "UnitClass": mephisto_es.CrowdProvider,
    "RequesterClass": mephisto_es.CrowdProvider,
    "WorkerClass": mephisto_es.CrowdProvider,
    "AgentClass": mephisto_es.CrowdProvider,
}


@cache
def words_of_tests() -> frozenset[str]:
    """Return the words in the code of all tests, with the scripts that they run."""
    files = (file for file in TESTS.rglob("*.py") if file.name not in _LISTS and "porting" not in file.parts)
    texts = (file.read_text(encoding="utf-8").replace(r"\n", " ") for file in files)
    return frozenset(word for text in texts for word in re.findall(r"\w+", text))


def names_in(code: str) -> list[str]:
    """Return the names that a piece of code uses: of `agent.state.get_data()` the last one, of `X(...)` it alone."""
    if code.startswith("mephisto-es "):
        return [code.split()[1].replace("-", "_")]
    head = re.match(r"[\w.]+", re.sub(r"^(async with|await|async def|def|from \S+ import) ", "", code))
    return [] if head is None else [head[0].rpartition(".")[2] or head[0]]


@pytest.mark.parametrize(
    "row",
    [*rows("What you change in a script"), *rows("Settings"), *rows("Names")],
    ids=lambda row: row[0][:50],
)
def test_what_a_row_names_is_done_by_a_test(row: tuple[str, ...]) -> None:
    used = [name for cell in row[:2] for code in spans(cell) if code not in PROSE for name in names_in(code)]
    known = {*mephisto_es.__all__} | attributes() | set(VERBS)
    ours = [name for name in used if name in known and name not in GONE]
    set_here = [code for code in spans(row[0]) if re.fullmatch(r"(blueprint|task|database)\.\w+", code)]
    settings = [code.rpartition(".")[2] for code in set_here]
    untested = [name for name in (*ours, *settings) if name not in words_of_tests()]
    assert untested == []
    assert ours or settings or used == ["main", "main"] or set(used) & GONE.keys(), row


@pytest.mark.parametrize("name", GONE)
def test_what_a_row_says_is_gone_is_gone(name: str) -> None:
    assert not hasattr(GONE[name], name)
    assert name in TEXT or name.startswith("update_")


@pytest.mark.parametrize("name", GONE)
def test_port_reports_what_is_gone(name: str) -> None:
    owners: dict[type, str] = {mephisto_es.UnitView: "unit", mephisto_es.AgentState: "state"}
    owner = owners.get(GONE[name], "one")
    kind = GONE[name].__name__
    uses = {
        "STATUS_CHECK_TIME": f"from mephisto.x import {kind}\nprint({kind}.{name})",
        **{one: f"class Own:\n    {one} = int" for one in ("UnitClass", "RequesterClass", "WorkerClass", "AgentClass")},
    }
    assert port_script(uses.get(name, f"{owner}.{name}(1)"), "old.py").obstacles


@pytest.mark.parametrize("row", rows("Names"), ids=lambda row: row[0][:50])
def test_port_knows_the_counterpart_that_a_row_names(row: tuple[str, str, str]) -> None:
    names = [code.partition("(")[0] for code in spans(row[0])]
    owners = {name.partition(".")[0] for name in names}
    for name in (one for one in owners if re.fullmatch("([A-Z][a-z]+[A-Z]?)+[A-Za-z]*", one) and one not in GONE):
        new = new_name("mephisto.x", name)
        assert new.public or new.remedy == mephisto_es.FORMER_NAMES.get(name), name


@pytest.mark.parametrize("verb", MEPHISTO_VERBS)
def test_a_verb_of_mephisto_is_answered_with_ours(verb: str) -> None:
    result = CliRunner().invoke(command.main, [verb])
    assert result.exit_code == 2
    assert f"No such command {verb!r}. {MEPHISTO_VERBS[verb]}" in result.stderr
    assert set(re.findall(r"mephisto-es ([\w-]+)", MEPHISTO_VERBS[verb])) <= VERBS.keys()
