"""The routers in Python and JavaScript have the same files, classes, methods and functions, under the same names.

Whoever mends one of them finds the place in the other. What only one has is listed here, with the reason.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import NODE_ROUTER

PYTHON = NODE_ROUTER.parent / "python"
NODE = NODE_ROUTER / "lib"

#: Files, or names in a file, that only the Python router has.
ONLY_IN_PYTHON = {
    "http/bodies: BodyReader.strict_json": "Node reads whole bodies beside its event loop, not parts of forms",
    "http/protocols": "Node's HTTP server has these limits",
    "http/form_reader: FormPart.begin": "busboy reads the headers of a part",
    "http/task_config: PageFiles": "Express serves static files itself",
    "http/task_config: PageFiles.file_response": "Express serves static files itself",
    "http/task_config: PageFiles.revalidate": "Express compares an ETag itself",
    "json_text: encode": "JSON.stringify",
    "json_text: reader": "msgspec reads a shape as a whole; JavaScript reads it member by member",
    "log: BoundedLog.flush": "logging asks for it",
    "log: JsonFormatter": "the libraries log, too",
    "log: JsonFormatter.format": "the libraries log, too",
    "log: log_to_stderr": "the libraries log, too",
    "sockets/connection: Connection.close_code": "ws closes a socket itself",
    "sockets/connection: Connection.next_packets": "ws has a queue of its own",
}

#: Files, or names in a file, that only the router in JavaScript has.
ONLY_IN_NODE = {
    "http/bodies: BodyReader.read_json": "read_body in Python reads a shape; here some take the bytes",
    "http/large_bodies": "a thread in JavaScript shares no objects: it is sent what it works on",
    "http/large_bodies_thread": "a thread in JavaScript is a module of its own",
    "journal/crc32": "Node has it only since 20.15",
    "errors: code_of": "an OSError has its text",
    "journal/journal_file: JournalFile.open": "a constructor cannot wait",
    "http/form_reader: FormReader.close": "busboy holds on to what it has not parsed",
    "json_text: raw_object": "msgspec encodes raw members",
    "json_text: members_of": "msgspec slices JSON",
    "json_text: items_of": "msgspec slices JSON",
    "json_text: read": "msgspec reads shapes",
    "json_text: read_text": "msgspec reads shapes",
    "json_text: read_integer": "msgspec reads shapes",
    "json_text: read_object": "msgspec reads shapes",
    "json_text: read_timestamp": "msgspec reads shapes",
    "json_text: optional": "msgspec reads shapes",
    "json_text: anything": "msgspec reads shapes",
}

_JS_EXPORT = re.compile(
    r"^export (?:async )?(?:class|function\*?) (\w+)|^ \* @typedef \{object\} (\w+)|^export const ([A-Z][a-z]\w*)",
    re.MULTILINE,
)
_JS_CLASS = re.compile(r"^export class (\w+)[^\n]*\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_JS_METHOD = re.compile(r"^  (?:static |async |get |\*)*(\w+)\(", re.MULTILINE)


def in_snake_case(name: str) -> str:
    """`unsentBytes` as `unsent_bytes`; a class keeps its name."""
    return name if name[0].isupper() else re.sub(r"(?<=[a-z0-9])[A-Z]", lambda found: f"_{found[0]}", name).lower()


def names_in_python(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.ClassDef(name=name) if not name.startswith("_"):
                yield name
                for part in node.body:
                    if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) and not part.name.startswith("_"):
                        yield f"{name}.{part.name}"
                    elif isinstance(part, ast.FunctionDef) and part.name == "__len__":
                        yield f"{name}.length"
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if not name.startswith("_"):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call()) if re.fullmatch("[a-z][a-z_]*", name):
                yield name  # a function made by another one
            case ast.AnnAssign(target=ast.Name(id=name)) if re.fullmatch("[a-z][a-z_]*", name):
                yield name


def names_in_javascript(path: Path) -> Iterator[str]:
    text = path.read_text()
    for found in _JS_EXPORT.finditer(text):
        yield in_snake_case(found[1] or found[2] or found[3])
    for name, body in _JS_CLASS.findall(text):
        for method in _JS_METHOD.findall(body):
            if method != "constructor":
                yield f"{name}.{in_snake_case(method)}"


def modules(folder: Path, suffix: str) -> dict[str, Path]:
    """The files of a router by their path without the suffix; the one that starts it is apart."""
    found = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob(f"*{suffix}")}
    return {name: path for name, path in found.items() if Path(name).name not in {"__init__", "__main__"}}


IN_PYTHON = modules(PYTHON, ".py")
IN_NODE = modules(NODE, ".js")
IN_BOTH = sorted(IN_PYTHON.keys() & IN_NODE.keys())


def test_both_have_the_same_files() -> None:
    assert len(IN_BOTH) > 20
    assert IN_PYTHON.keys() - IN_NODE.keys() == {name for name in ONLY_IN_PYTHON if ":" not in name}
    assert IN_NODE.keys() - IN_PYTHON.keys() == {name for name in ONLY_IN_NODE if ":" not in name}


@pytest.mark.parametrize("module", IN_BOTH)
def test_both_have_the_same_names_in_a_file(module: str) -> None:
    python = {f"{module}: {name}" for name in names_in_python(IN_PYTHON[module])}
    node = {f"{module}: {name}" for name in names_in_javascript(IN_NODE[module])}
    assert python
    assert sorted(python - node) == sorted(python & ONLY_IN_PYTHON.keys())
    assert sorted(node - python) == sorted(node & ONLY_IN_NODE.keys())


@pytest.mark.parametrize("name", [name for name in (*ONLY_IN_PYTHON, *ONLY_IN_NODE) if ":" in name])
def test_an_exception_is_needed(name: str) -> None:
    module, _, member = name.partition(": ")
    there = member in names_in_python(IN_PYTHON[module]), member in names_in_javascript(IN_NODE[module])
    assert there == (name in ONLY_IN_PYTHON, name in ONLY_IN_NODE)


def test_javascript_is_read_as_it_is_written(tmp_path: Path) -> None:
    text = """
/**
 * A shape.
 *
 * @typedef {object} Shape
 */
export async function* readThings(text) {}
function hidden() {}
export class Both extends Error {
  #hidden = 1;
  constructor() {
    this.method();
  }
  get isOpen() {
    if (this.isOpen) return;
  }
  static async open(
    path,
  ) {}
  #secret() {}
}
"""
    path = tmp_path / "example.js"
    path.write_text(text)
    assert sorted(names_in_javascript(path)) == ["Both", "Both.is_open", "Both.open", "Shape", "read_things"]


@pytest.mark.parametrize("path", [*IN_NODE.values(), NODE_ROUTER / "server.js"], ids=lambda path: path.stem)
def test_javascript_is_type_checked_and_its_head_says_what_it_does(path: Path) -> None:
    first, second, *_ = path.read_text().splitlines()
    assert first == "// @ts-check"
    assert second.startswith("/**")


@pytest.mark.parametrize("folder", sorted({path.parent for path in IN_NODE.values()}), ids=lambda path: path.name)
def test_a_folder_has_at_most_15_modules_of_at_most_400_lines(folder: Path) -> None:
    files = list(folder.glob("*.js"))
    assert len(files) <= 15
    assert all(len(path.read_text().splitlines()) <= 400 for path in files)
