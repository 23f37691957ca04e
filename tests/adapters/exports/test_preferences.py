"""Comparisons of two texts: votes, Bradley-Terry scores, and JSON Lines for training with preferences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.projections.queries.quality.bradley_terry import OptionVotes, bradley_terry, win_probability
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import judged_history

COLUMNS = ("--prompt", "input.id", "--options", "output.a", "output.b", "--choice", "output.better")


def run(*words: str | Path | int) -> Result:
    return CliRunner().invoke(command.main, [*map(str, words)])


def test_scores_by_hand() -> None:
    """Without a prior, 3 wins to 1 are odds of 3; with one of half a win and half a loss they are less."""
    exact = bradley_terry([OptionVotes("x", "y", 3), OptionVotes("y", "x", 1)], prior=1e-9)
    assert win_probability(exact["x"], exact["y"]) == pytest.approx(0.75, abs=1e-3)
    scores = bradley_terry([OptionVotes("x", "y", 3), OptionVotes("y", "x", 1)])
    assert 0.5 < win_probability(scores["x"], scores["y"]) < 0.75
    assert scores["x"] == pytest.approx(-scores["y"])


def test_an_option_that_always_wins_is_not_infinitely_strong() -> None:
    scores = bradley_terry([OptionVotes("x", "y", 9), OptionVotes("y", "z", 9)])
    assert scores["x"] > scores["y"] > scores["z"]
    assert scores["x"] < 10
    assert bradley_terry([]) == {}


def test_preferences_are_written_with_votes_and_scores(tmp_path: Path) -> None:
    # Three workers for each item. Items 1: two for a. 2: a tie and an unclear answer. 3: all for the text of b.
    answers = {1: ["a", "output.b", "output.a"], 2: ["a", "b", "neither"], 3: ["text B", "b", "b"]}

    def answer(worker: int, item: int) -> dict[str, object]:
        return {"a": "text A", "b": "text B", "better": answers[item][worker - 1]}

    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(judged_history(3, 3, 3, answer, shared=lambda item: {"prompt": f"prompt {item}"}))
    columns = ("--prompt", "input.prompt", *COLUMNS[2:])
    done = run("preferences", path, 1, *columns)
    assert done.exit_code == 0, done.output
    assert done.stderr == "2 preferences; left out: 1 ties, 1 answers that name neither text\n"
    first, second = map(json.loads, done.stdout.splitlines())
    assert {name: first[name] for name in ("prompt", "chosen", "rejected", "votes_chosen", "votes_rejected")} == {
        "prompt": "prompt 1",
        "chosen": "text A",
        "rejected": "text B",
        "votes_chosen": 2,
        "votes_rejected": 1,
    }
    assert (second["chosen"], second["votes_chosen"], second["votes_rejected"]) == ("text B", 3, 0)
    assert second["score_chosen"] > first["score_chosen"] > 0 > first["score_rejected"]
    assert 0.5 < first["probability"] < second["probability"] < 1

    out = tmp_path / "preferences.jsonl"
    assert run("preferences", path, 1, *columns, "-o", out).stdout == ""
    assert len(out.read_text().splitlines()) == 2
    wrong = run("preferences", path, 1, "--prompt", "input.promt", *COLUMNS[2:])
    assert wrong.exit_code == 2
    assert "there is no column 'input.promt'. Did you mean 'input.prompt'?" in wrong.stderr
    # A number is no text to train with.
    assert "0 preferences; left out: 0 ties, 9 answers" in run("preferences", path, 1, *COLUMNS).stderr
