"""README.md says what the code does: its diagrams, its commands, its tree, and what `replay` prints."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from mephisto_es.adapters.cli.main import VERBS, main
from mephisto_es.core.lifecycles.agent import AGENT
from mephisto_es.core.lifecycles.engagement import ENGAGEMENT
from mephisto_es.core.lifecycles.onboarding import ONBOARDING
from mephisto_es.core.lifecycles.payment import PAYMENT
from mephisto_es.core.lifecycles.resource import RESOURCE
from mephisto_es.core.lifecycles.task_run import TASK_RUN
from mephisto_es.core.lifecycles.unit import UNIT
from mephisto_es.core.lifecycles.worker import WORKER

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LIFECYCLES = {
    lifecycle.name: lifecycle.diagram()
    for lifecycle in (UNIT, AGENT, ONBOARDING, WORKER, ENGAGEMENT, TASK_RUN, PAYMENT, RESOURCE)
}


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)\n```$", README, re.MULTILINE | re.DOTALL)


def test_every_lifecycle_is_drawn_as_it_is() -> None:
    assert blocks("mermaid") == list(LIFECYCLES.values())


@pytest.mark.parametrize("name", LIFECYCLES)
def test_every_lifecycle_has_its_heading(name: str) -> None:
    assert f"<summary>{name}</summary>" in README


def test_a_reader_has_launched_and_replayed_within_thirty_lines() -> None:
    first = "\n".join(README.splitlines()[:30])
    for said in ("make demo", "make test", "It is not", "mephisto-es replay", "legal"):
        assert said in first


def test_the_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"`make (\w+)`|^\$ make (\w+)$", README, re.MULTILINE))
    for target in {one or other for one, other in named}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"there is no make {target}"


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[1] for line in listed.splitlines()] == phony.split()
    assert all(len(line.split()) > 2 for line in listed.splitlines())


def test_the_verbs_and_their_options_exist() -> None:
    context = click.Context(main)
    for verb, rest in re.findall(r"[`$] ?mephisto-es ([a-z][\w-]*)([^`\n]*)", README):
        assert verb in VERBS, f"there is no mephisto-es {verb}"
        command = main.get_command(context, verb)
        assert command is not None
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[\w-]+", rest)) <= known


def test_the_tree_is_the_tree() -> None:
    (tree,) = (block for block in blocks("text") if block.startswith("events/"))
    above = Path()
    for line in tree.splitlines():
        name = line.split()[0]
        place = above / name if line.startswith("  ") else Path(name)
        assert (ROOT / place).exists(), f"there is no {place}"
        above = above if line.startswith("  ") else place


def test_the_example_is_shown_as_it_is() -> None:
    example = ROOT / "examples" / "sentence_rating"
    assert blocks("python") == [(example / "run_task.py").read_text().split('"""', 2)[2].strip()]
    assert blocks("yaml") == [(example / "hydra_configs" / "conf" / "sentence_rating.yaml").read_text().strip()]


def words(output: str) -> str:
    """Return the words of an output without figures, hashes, folders and line breaks."""
    plain = re.sub(r"\S*/mephisto\.db|\b[0-9a-f]{4,}\b|[\d,.]+", " ", output)
    return " ".join(plain.split())


def test_the_output_shown_is_what_the_demo_prints(tmp_path: Path) -> None:
    shown = blocks("console")[0].removeprefix("$ make demo\n")
    command = [str(Path(sys.executable).parent / "mephisto-es"), "demo", "--workers=5", "--units=12", "--think=0.1"]
    done = subprocess.run(
        [*command, f"--data-dir={tmp_path}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert words(shown) == words(done.stdout)
