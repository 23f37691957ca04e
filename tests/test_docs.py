"""README.md, docs/ and the guides are true: commands parse, those marked `run` are run, pages are complete."""

import ast
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from html import unescape
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from random import Random
from typing import NamedTuple

import click
import pytest
import trio
from click.testing import CliRunner

import mephisto_es
from mephisto_es.adapters.cli.main import VERBS, main
from mephisto_es.adapters.crowd.bot import draw_bots
from mephisto_es.adapters.crowd.demo_run import run_demo
from mephisto_es.adapters.crowd.sentence_rating import configuration, rate, sentences
from mephisto_es.core.operations.registry import ENTRY_POINT_GROUPS
from mephisto_es.core.state.status_fold import LIFECYCLES
from mephisto_es.docs.generated.events import event_catalogue
from mephisto_es.docs.generated.lifecycles import all_lifecycles
from mephisto_es.docs.hooks import on_page_markdown, on_post_page
from mephisto_es.events.codec import KINDS

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
DOCS = ROOT / "docs"
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))}
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: Texts for contributors, which are no part of the site.
GUIDES = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "tests/README.md")
}
#: Every folder and file of the sources, from the root on.
PATHS = {
    f"/{path.relative_to(ROOT).as_posix()}"
    for folder in (
        "adapters",
        "core",
        "docs",
        "events",
        "examples",
        "projections",
        "tests",
        "tools",
        ".ci",
        ".docs",
        ".typing",
    )
    for path in (ROOT / folder, *(ROOT / folder).rglob("*"))
    if "node_modules" not in path.parts
} | {f"/{path.name}" for path in ROOT.iterdir()}
EXAMPLE = ROOT / "examples" / "sentence_rating"
#: Where the launch scripts are that a page is about; the example's, unless it stands here.
SCRIPTS_OF = {
    "docs/tutorial/static_task.md": DOCS / "tutorial" / "reviews",
    "docs/callbacks.md": DOCS / "tutorial" / "reviews",
    "docs/tutorial/own_page.md": DOCS / "tutorial" / "reviews",
    "docs/tutorial/remote_procedures.md": DOCS / "tutorial" / "reviews",
    "docs/tutorial/chat_in_turns.md": DOCS / "tutorial" / "chat_in_turns",
}
GIVE_UP_SECONDS = 300
#: What ends the words of a command that are for the command itself.
SHELL_WORDS = {">", ">>", "|"}

SCRIPT_CALL = re.compile(r"python run_\w+\.py")

_BLOCK = re.compile(r"^( *)```(?:console|\{ \.console([^}\n]*)\})\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SCRIPT = re.compile(r"^```\{ \.python \.run \}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: A block of a page that shows a file, with the file's name.
_TITLED = re.compile(r'^```\w+ title="([^"]+)"$', re.MULTILINE)
_INCLUDE_MARKER = re.compile(r"-+8 *<")
_EXPECTED_EXIT = re.compile(r"  # exits (\d+)$")


class Shown(NamedTuple):
    """A command in a page, with what the page shows of its output."""

    command: str
    exit_code: int
    output: str
    #: What the block is marked with: `.run`, `.output`.
    marks: frozenset[str]


def shown_in(text: str) -> Iterator[Shown]:
    """The commands of a page, in order."""
    for indent, marks, body in _BLOCK.findall(text):
        for part in re.split(rf"^{indent}\$ ", body, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            expected = _EXPECTED_EXIT.search(line)
            command = _EXPECTED_EXIT.sub("", line)
            yield Shown(command, int(expected[1]) if expected else 0, output, frozenset(marks.split()))


ALL = {"README.md": README} | GUIDES | TEXTS
COMMANDS = [(page, shown) for page, text in ALL.items() for shown in shown_in(text)]
VERB_COMMANDS = [(page, shown.command) for page, shown in COMMANDS if shown.command.startswith("mephisto-es ")]
SCRIPT_COMMANDS = sorted(
    {(SCRIPTS_OF.get(page, EXAMPLE), shown) for page, shown in COMMANDS if SCRIPT_CALL.match(shown.command)}, key=str
)
PYTHON_SCRIPTS = [(page, body) for page, text in ALL.items() for body in _SCRIPT.findall(text)]
#: What users import from.
PUBLIC_MODULES = {"mephisto_es", "mephisto_es.contracts"}
#: Python code that users read and copy.
USERS_CODE = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for folder in (DOCS / "tutorial", ROOT / "examples")
    for path in sorted(folder.rglob("*.py"))
} | {f"{page}, script {number}": body for number, (page, body) in enumerate(PYTHON_SCRIPTS)}
RUNNABLE_PAGES = sorted({page for page, shown in COMMANDS if ".run" in shown.marks})


def command_of(verb: str) -> click.Command:
    assert verb in VERBS, f"there is no mephisto-es {verb}"
    command = main.get_command(click.Context(main), verb)
    assert command is not None
    return command


def words(output: str) -> list[str]:
    """Return the words of an output without figures, hashes, folders and line breaks."""
    return re.sub(r"\S*/mephisto\.db|\b[0-9a-f]{8,}\b|[\d,.]+", " ", output).split()


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(folder), "COLUMNS": "120"}
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=GIVE_UP_SECONDS
    )


def run_verb(words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> subprocess.CompletedProcess[str]:
    """Run a verb in this process: one of its own takes half a second for each, nearly all of it to import."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("COLUMNS", "120")
    done = CliRunner().invoke(main, words, catch_exceptions=False)
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


# Commands ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "command"), VERB_COMMANDS)
def test_a_command_shown_can_be_parsed(page: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The files that a page names need not be there.
    monkeypatch.setattr(click.Path, "convert", lambda _self, value, _parameter, _context: Path(value))
    _, verb, *arguments = takewhile(lambda word: word not in SHELL_WORDS, shlex.split(command))
    command_of(verb).make_context(verb, arguments)


@pytest.mark.parametrize("page", ALL)
def test_a_command_in_a_sentence_has_its_verb_and_options(page: str) -> None:
    for verb, rest in re.findall(r"`mephisto-es ([a-z][\w-]*)([^`]*)`", ALL[page]):
        known = {option for parameter in command_of(verb).params for option in parameter.opts}
        assert set(re.findall(r"--[\w-]+", rest)) <= known


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a run that is over."""
    folder = tmp_path_factory.mktemp("docs") / "mephisto_data"
    crowd = draw_bots(Random(1), 5, rate, returning=0, disconnecting=0, think_seconds=0.05)
    task = configuration("python")
    nothing: dict[str, Callable[..., None]] = {"on_live": lambda _: None, "on_submitted": lambda: None}
    done = trio.run(partial(run_demo, task, sentences(30), folder, crowd, **nothing))
    assert done.is_success
    return folder


@pytest.mark.parametrize("page", RUNNABLE_PAGES)
def test_commands_marked_so_are_run(
    page: str, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished_run, tmp_path / "mephisto_data", ignore=shutil.ignore_patterns("runs"))
    for shown in shown_in(ALL[page]):
        if ".run" not in shown.marks:
            continue
        program, *arguments = shlex.split(shown.command)
        is_plain = program == "mephisto-es" and SHELL_WORDS.isdisjoint(arguments)
        done = run_verb(arguments, tmp_path, monkeypatch) if is_plain else run(shown.command, tmp_path)
        assert done.returncode == shown.exit_code, f"{shown.command}\n{done.stdout}{done.stderr}"
        if ".output" in shown.marks:
            assert words(shown.output) == words(done.stdout)


@pytest.mark.parametrize(("page", "script"), PYTHON_SCRIPTS)
def test_scripts_marked_so_are_run(page: str, script: str, finished_run: Path, tmp_path: Path) -> None:
    shutil.copytree(finished_run, tmp_path / "mephisto_data", ignore=shutil.ignore_patterns("runs"))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=GIVE_UP_SECONDS
    )
    assert done.returncode == 0, f"{page}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", ["README.md", *GUIDES])
def test_a_file_that_a_guide_names_exists(page: str) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", ALL[page]):
        assert ((ROOT / page).parent / link).exists(), f"there is no {link}"
    for name in re.findall(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|md|yaml|js|toml)|(?:[\w.-]+/)+)`", ALL[page]):
        # A guide may name a file from the folder that its section is about.
        assert any(path.endswith(f"/{name.rstrip('/')}") for path in PATHS), f"there is no {name}"


@pytest.mark.parametrize("page", ["README.md", *GUIDES])
def test_a_heading_that_a_guide_links_to_exists(page: str) -> None:
    for name, heading in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", ALL[page]):
        text = ((ROOT / page).parent / name).read_text(encoding="utf-8") if name else ALL[page]
        slugs = [
            re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", text, re.M)
        ]
        assert heading in slugs, f"{name} has no heading {heading}"


@pytest.mark.parametrize("page", ALL)
def test_a_page_names_nothing_deeper_than_the_public_names(page: str) -> None:
    named = set(re.findall(r"\bmephisto_es(?:\.\w+)+", ALL[page]))
    for name in named - PUBLIC_MODULES - set(ENTRY_POINT_GROUPS.values()):
        module, _, attribute = name.rpartition(".")
        assert module in PUBLIC_MODULES, f"{name} is private"
        assert attribute in import_module(module).__all__, f"{name} is private"


@pytest.mark.parametrize("script", USERS_CODE)
def test_a_script_for_users_imports_public_names(script: str) -> None:
    for node in ast.walk(ast.parse(USERS_CODE[script])):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mephisto_es":
            assert node.module in PUBLIC_MODULES
            assert {alias.name for alias in node.names} <= set(import_module(node.module).__all__)


def test_every_public_name_is_in_the_reference_once() -> None:
    marks = re.findall(r"^<!-- generated: public ([^\n]+?) -->$", "\n".join(TEXTS.values()), re.MULTILINE)
    errors = [name for name in mephisto_es.__all__ if name.endswith("Error")]
    assert "<!-- generated: error-reference -->" in TEXTS["docs/errors.md"]
    assert sorted([name for mark in marks for name in mark.split()] + errors) == sorted(mephisto_es.__all__)


def test_the_quickstart_shows_the_demo_as_the_readme_does() -> None:
    (block,) = (body for _, _, body in _BLOCK.findall(TEXTS["docs/quickstart.md"]) if "mephisto-es demo" in body)
    (readme,) = (body for _, _, body in _BLOCK.findall(README) if "$ make demo" in body)
    results = [re.sub(r"^\$ (make|mephisto-es) demo.*$", "", one, flags=re.MULTILINE) for one in (block, readme)]
    assert words(results[0]) == words(results[1])


@pytest.mark.parametrize(("folder", "shown"), SCRIPT_COMMANDS)
def test_a_scripts_settings_are_as_shown(
    folder: Path, shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, script, *arguments = shlex.split(shown.command)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(folder)
    # Heroku's own needs are looked at when a run is launched, not when its configuration is shown.
    monkeypatch.setattr(sys, "argv", [script, *arguments, "--cfg", "job"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(folder / script), run_name="__main__")
    said = capsys.readouterr()
    assert (ended.value.code or 0) == shown.exit_code, said.err
    if shown.exit_code:
        assert shown.output.strip() in said.err


# The site ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built pages."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        check=True,
        timeout=GIVE_UP_SECONDS,
    )
    return folder


def built(site: Path, page: str) -> str:
    """Return the text of a built page, without its tags."""
    name = Path(page).relative_to("docs").with_suffix("")
    html = (site / ("." if name.name == "index" else name) / "index.html").read_text(encoding="utf-8")
    return unescape(re.sub(r"<[^>]*>", "", html))


def test_no_page_shows_an_include_marker(site: Path) -> None:
    assert [page for page in TEXTS if _INCLUDE_MARKER.search(built(site, page))] == []


@pytest.mark.parametrize(("page", "folder"), SCRIPTS_OF.items())
def test_a_tutorial_page_shows_its_files_whole(page: str, folder: Path, site: Path) -> None:
    names = [name for name in _TITLED.findall(TEXTS[page]) if (folder / name).exists()]
    assert names
    for name in names:
        assert (folder / name).read_text(encoding="utf-8").strip() in built(site, page), name


# Generated parts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", TEXTS)
def test_a_page_can_be_completed(page: str) -> None:
    completed = on_page_markdown(TEXTS[page])
    assert "<!-- generated:" not in completed
    assert "**Not built:**" not in completed
    # A reader of the file alone is told where the rest is.
    assert TEXTS[page].count("> **Not built:** ") == ("<!-- generated:" in TEXTS[page])


@pytest.mark.parametrize("state", [mephisto_es.SharedStaticTaskState, mephisto_es.SharedRemoteProcedureTaskState])
def test_every_callback_of_a_script_is_in_the_guide(state: type[mephisto_es.SharedTaskState]) -> None:
    guide = TEXTS["docs/callbacks.md"]
    callbacks = {known.name: known.metadata["called_with"] for known in fields(state) if known.metadata}
    assert {"worker_can_do_unit", "on_unit_submitted"} < callbacks.keys()
    for name, parameters in callbacks.items():
        shown = (
            f"function({', '.join(parameters)})" if name == "function_registry" else f"{name}({', '.join(parameters)})"
        )
        assert f"| `{shown}` |" in guide


def test_a_page_that_asks_for_what_there_is_not_is_an_error() -> None:
    with pytest.raises(KeyError):
        on_page_markdown("<!-- generated: weather -->")


@pytest.mark.parametrize("tag", ['<script src="https://cdn.example/x.js">', "<img src=//cdn.example/x.png>"])
def test_a_page_that_needs_the_network_is_an_error(tag: str) -> None:
    with pytest.raises(ValueError, match=r"cdn\.example"):
        on_post_page(f"<p>{tag}</p>")


def test_every_event_is_in_the_catalogue() -> None:
    assert set(re.findall(r"^### `\w+` \{: #(\w+) \}$", event_catalogue(), re.MULTILINE)) == KINDS


def test_every_step_is_in_a_chart() -> None:
    steps = {
        (row.event, source, row.target)
        for lifecycle in LIFECYCLES
        for row in lifecycle.steps
        for source in row.sources
        if source is not row.target
    }
    assert all_lifecycles().count("<circle") == len(steps)
