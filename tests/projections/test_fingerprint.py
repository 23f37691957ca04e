"""The code that a projection's fingerprint covers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mephisto_es.projections.engine.fingerprint import code_fingerprint, sources
from mephisto_es.projections.mephisto_db import MephistoDbProjection
from mephisto_es.projections.mephisto_db import projection as fold

PACKAGE = Path(fold.__file__).parents[2]


def relative(files: set[Path]) -> set[str]:
    return {file.relative_to(PACKAGE).as_posix() for file in files}


def test_the_view_rests_on_its_fold_the_lifecycles_and_the_events() -> None:
    found = relative(sources(Path(fold.__file__)))
    assert found >= {
        "projections/mephisto_db/projection.py",
        "projections/mephisto_db/rows.py",
        "projections/mephisto_db/tables.py",
        "core/state/status_fold.py",
        "core/lifecycles/table.py",
        "core/lifecycles/unit.py",
        "events/unit.py",
        "events/upcasting.py",
    }


def test_it_does_not_rest_on_what_only_reads_it() -> None:
    found = relative(sources(Path(fold.__file__)))
    assert "projections/mephisto_db/reader.py" not in found
    assert "projections/engine/rebuild.py" not in found
    outer = ("adapters/", "core/operations/", "projections/audit/", "projections/queries/")
    assert not any(name.startswith(outer) for name in found)


def test_no_import_of_what_it_rests_on_is_missed() -> None:
    found = sources(Path(fold.__file__))
    for source in found:
        for node in ast.parse(source.read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.level:
                module = source.parents[node.level - 1].joinpath(*(node.module or "").split("."))
                wanted = {module.with_suffix(".py"), *(module / f"{each.name}.py" for each in node.names)}
                assert wanted & found, f"{source} line {node.lineno}"


@pytest.mark.parametrize(
    "line",
    [
        "from .. import shared",
        "from ..shared import thing",
        "from ..shared import thing as other",
        "from ..shared import (\n    one,\n    other,\n)",
        "from ..between import anything",
        "from ..box import shared as other",
        "from ..box import what_it_hands_on",
    ],
)
def test_each_way_to_import_is_followed(tmp_path: Path, line: str) -> None:
    for name, text in {
        "package/module.py": f'"""A module."""\n\n{line}\n',
        "between.py": "from . import shared\nfrom .box import shared as other\n",
        "shared.py": "",
        "box/__init__.py": "from .shared import what_it_hands_on\n",
        "box/shared.py": "from __future__ import annotations\n",
        "unrelated.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = {file.relative_to(tmp_path).as_posix() for file in sources(tmp_path / "package/module.py")}
    assert found & {"shared.py", "box/shared.py"}
    assert "unrelated.py" not in found


def test_it_is_a_name_and_always_the_same() -> None:
    assert code_fingerprint(MephistoDbProjection()) == code_fingerprint(MephistoDbProjection())
    assert len(code_fingerprint(MephistoDbProjection())) == 32
