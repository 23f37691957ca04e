"""The command itself: its verbs, aliases and errors."""

import json
import subprocess
import sys

import click
import pytest
import trio
from click.testing import CliRunner

from mephisto_es.adapters.cli.main import ALIASES, GROUPS, VERBS, LazyGroup, main
from mephisto_es.core.errors import ConfigError, MephistoError, UnknownEntityError


def run_failing(*errors: MephistoError) -> tuple[int, str]:
    """Return exit code and message of the command when a verb's tasks fail."""

    async def fail(error: MephistoError) -> None:
        await trio.lowlevel.cancel_shielded_checkpoint()
        raise error

    async def fail_together() -> None:
        async with trio.open_nursery() as nursery:
            for error in errors:
                nursery.start_soon(fail, error)

    group = LazyGroup("mephisto-es")
    group.add_command(click.Command("try", callback=lambda: trio.run(fail_together)))
    result = CliRunner().invoke(group, ["try"])
    assert result.stdout == ""
    return result.exit_code, result.stderr


def test_a_refusal_ends_in_a_sentence() -> None:
    assert run_failing(UnknownEntityError("unit/1/9")) == (1, "mephisto-es try: there is no unit-9\n")


def test_unusable_input_is_told_from_a_refusal() -> None:
    code, said = run_failing(ConfigError("data.csv is missing", hint="Name another"))
    assert (code, said) == (2, "mephisto-es try: data.csv is missing. Name another\n")


def test_each_of_several_errors_is_told() -> None:
    code, said = run_failing(UnknownEntityError("unit/1/9"), ConfigError("data.csv is missing"))
    assert code == 2
    assert sorted(said.splitlines()) == [
        "mephisto-es try: data.csv is missing",
        "mephisto-es try: there is no unit-9",
    ]


def test_a_bug_is_not_dressed_up() -> None:
    group = LazyGroup("mephisto-es")
    group.add_command(click.Command("try", callback=lambda: [][0]))
    assert isinstance(CliRunner().invoke(group, ["try"]).exception, IndexError)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_is_there_and_explains_itself(verb: str) -> None:
    result = CliRunner().invoke(main, [verb, "--help"])
    assert result.exit_code == 0
    assert "Usage: " in result.stdout


@pytest.mark.parametrize(
    ("former", "now"),
    [
        ("forget", ["erase"]),
        ("leaks", ["resources", "list"]),
        ("reap", ["resources", "release"]),
        ("why-open", ["blockers"]),
    ],
)
def test_a_former_name_still_works_and_is_not_listed(former: str, now: list[str]) -> None:
    assert former in ALIASES
    helps = [CliRunner().invoke(main, [*words, "--help"]) for words in ([former], now)]
    assert [result.exit_code for result in helps] == [0, 0]
    assert helps[0].stdout.partition("]")[2] == helps[1].stdout.partition("]")[2]
    assert f"Former name, which still works: {former}." in helps[0].stdout
    assert f"  {former} " not in CliRunner().invoke(main, ["--help"]).stdout


def test_an_unknown_verb_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["lanch"])
    assert result.exit_code == 2
    assert "No such command 'lanch'. See mephisto-es --help." in result.stderr


def test_a_mistyped_verb_is_suggested() -> None:
    assert "No such command 'timline'. Did you mean 'timeline'?" in CliRunner().invoke(main, ["timline"]).stderr


def test_help_groups_the_verbs() -> None:
    headings = [line for line in CliRunner().invoke(main, ["--help"]).stdout.splitlines() if line.endswith(":")]
    assert headings == ["Options:", *(f"{group}:" for group in GROUPS)]
    assert {verb for verbs in GROUPS.values() for verb in verbs} <= VERBS.keys() | {"files"}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["status", "nowhere.db", "--json"], 2, "there is no log at nowhere.db; check the path"),
        (["timeline", "--json"], 2, "Missing argument 'ID'."),
    ],
)
def test_programs_get_errors_as_json(words: list[str], code: int, message: str) -> None:
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, result.stderr) == (code, "")
    assert json.loads(result.stdout) == {"error": {"verb": words[0], "messages": [message]}}


#: Verbs that answer from a log as it stands, and what takes them longer to load than to answer.
_QUICK = ("runs", "status", "timeline", "explain", "blockers", "ledger", "show", "verify")
_SLOW_TO_LOAD = ("trio", "hydra", "httpx", "pandas", "pyarrow", "starlette")


def test_verbs_that_only_look_load_nothing_large() -> None:
    modules = [VERBS[verb].target.partition(":")[0] for verb in _QUICK]
    script = (
        "import sys, importlib\n"
        f"for name in {modules!r}: importlib.import_module('mephisto_es.adapters.cli.' + name)\n"
        f"print([name for name in {_SLOW_TO_LOAD!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_help_lists_the_verbs_without_importing_them() -> None:
    script = (
        "import sys\n"
        "from mephisto_es.adapters.cli.main import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print([name for name in ('trio', 'hydra', 'httpx', 'sqlite_utils') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    help_text, _, imported = done.stdout.rstrip().rpartition("\n")
    assert imported == "[]"
    unwrapped = " ".join(help_text.split())
    for verb, found in VERBS.items():
        assert f"{verb} {found.about}" in unwrapped
