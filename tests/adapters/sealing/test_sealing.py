"""Seals and proofs on the command line, checked by two implementations that share no code."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.sealing.keys import make_key
from mephisto_es.adapters.sealing.seal_files import PublicKeys
from mephisto_es.adapters.sealing.seals import verify_proof
from mephisto_es.projections.sealing.notes import SealError

from ...json_schema import assert_fits
from ..log.support import edited
from . import second_implementation
from .proof_samples import sealed_units
from .sealed_history import ENDED, HALF, HISTORY, LIVE, STATE, commit, run_of

FORGERIES = int(os.environ.get("FORGERIES", "12"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))
    commit(tmp_path / "mephisto.db", 0, len(HISTORY))
    return tmp_path


def ask(*words: str | Path) -> Result:
    return CliRunner().invoke(command.main, list(map(str, words)))


def structured(code: int, *words: str | Path) -> Any:
    result = ask(*words, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def sealed(folder: Path, *options: str | Path) -> Any:
    done = structured(0, "seal", folder, str(run_of(ENDED[0])), *options)
    return assert_fits("seal", json.dumps(done))


def test_a_unit_is_proved_without_the_log(folder: Path) -> None:
    seal = sealed(folder, "--name", "example.edu/lab")
    for unit in ENDED[:5]:
        proved = structured(0, "prove", folder, f"unit-{unit}", "--seal", seal["seal"])
        proof = Path(assert_fits("prove", json.dumps(proved))["proof"])
        shown = ask("verify", "--proof", proof, "--public-key", seal["public_key"])
        assert shown.exit_code == 0, shown.output
        assert shown.stdout.startswith(f"genuine  unit-{unit} of run-{run_of(unit)}, in the log example.edu/lab of ")
        assert "; no event of the unit, its item or its agents is left out\n" in shown.stdout
        events = second_implementation.verify_unit(proof.read_text(), seal["public_key"])
        assert len(shown.stdout.splitlines()) == 1 + len(events)
        recorded = [event for one in HISTORY for event in one.events if event[0] in {each["stream"] for each in events}]
        assert len(recorded) == len(events)


def test_the_seal_of_the_run_is_found(folder: Path) -> None:
    unit = ENDED[0]
    missing = ask("prove", folder, f"unit-{unit}")
    assert missing.exit_code == 2
    assert f"run-{run_of(unit)} has not been sealed" in missing.stderr
    structured(0, "seal", folder, str(run_of(unit)))
    assert Path(structured(0, "prove", folder, f"unit-{unit}")["proof"]).exists()


def test_a_proof_has_nothing_of_others_and_no_values(folder: Path) -> None:
    seal = sealed(folder)
    proof = Path(structured(0, "prove", folder, f"unit-{ENDED[0]}", "--seal", seal["seal"])["proof"]).read_text()
    values = [payload.body.decode() for one in HISTORY for payload in one.payloads if len(payload.body) > 8]
    assert values
    assert not [value for value in values if value in proof or json.dumps(value)[1:-1] in proof]


def test_forgeries_are_refused_by_both(folder: Path) -> None:
    seal, random = sealed(folder), Random(1)
    path = folder / "forged.proof"
    proof = Path(structured(0, "prove", folder, f"unit-{ENDED[0]}", "--seal", seal["seal"])["proof"]).read_text()
    genuine = ask("verify", "--proof", folder / f"unit-{ENDED[0]}.proof", "--public-key", seal["public_key"]).stdout
    letters = [index for index, letter in enumerate(proof) if letter.isalnum()]
    for _ in range(FORGERIES):
        index = random.choice(letters)
        forged = proof[:index] + ("x" if proof[index] != "x" else "y") + proof[index + 1 :]
        path.write_text(forged)
        verdict = ask("verify", "--proof", path, "--public-key", seal["public_key"])
        try:
            second_implementation.verify_unit(forged, seal["public_key"])
            is_genuine = True
        except (AssertionError, ValueError, KeyError, TypeError):
            is_genuine = False
        assert (verdict.exit_code == 0) == is_genuine, (index, verdict.output)
        # Bits that base64 leaves unused may differ; nothing else.
        if is_genuine:
            assert verdict.stdout == genuine


def test_an_event_that_is_left_out_is_noticed(folder: Path) -> None:
    seal = sealed(folder)
    path = Path(structured(0, "prove", folder, f"unit-{ENDED[0]}", "--seal", seal["seal"])["proof"])
    whole = json.loads(path.read_text())
    for index in range(len(whole["events"])):
        path.write_text(json.dumps(whole | {"events": whole["events"][:index] + whole["events"][index + 1 :]}))
        assert not structured(1, "verify", "--proof", path, "--public-key", seal["public_key"])["genuine"]
    for index in range(len(whole["streams"])):
        path.write_text(json.dumps(whole | {"streams": whole["streams"][:index] + whole["streams"][index + 1 :]}))
        assert not structured(1, "verify", "--proof", path, "--public-key", seal["public_key"])["genuine"]


def test_a_proof_has_what_happened_to_the_item_of_a_unit(tmp_path: Path) -> None:
    """A label that a reviewer decided is an event on the item: a proof without it is refused by every verifier."""
    key = make_key(tmp_path / "lab.key", "lab")
    units = sealed_units(4, key.verifier, key.sign)
    proof = json.loads(units.proof(2))
    kinds = [json.loads(one["event"])["event"]["kind"] for one in proof["events"]]
    assert "assignment_labelled" in kinds
    proof["events"] = [one for one in proof["events"] if "assignment_labelled" not in one["event"]]
    with pytest.raises(SealError, match="leaves out an event of assignment/3/2"):
        verify_proof(json.dumps(proof), PublicKeys(key.verifier.text))
    proof["streams"] = [one for one in proof["streams"] if not one["stream"].startswith("assignment/")]
    proof["events"] = [one for one in proof["events"] if '"stream":"assignment/' not in one["event"]]
    with pytest.raises(SealError, match="leaves out the assignment"):
        verify_proof(json.dumps(proof), PublicKeys(key.verifier.text))


def test_the_command_proves_the_item_of_a_unit(folder: Path) -> None:
    seal = sealed(folder)
    run, unit = run_of(ENDED[0]), ENDED[0]
    proof = json.loads(
        Path(structured(0, "prove", folder, f"unit-{unit}", "--seal", seal["seal"])["proof"]).read_text()
    )
    assignment = STATE.units[f"unit/{run}/{unit}"].assignment
    versions = {one["stream"]: one["version"] for one in proof["streams"]}
    events = [event for one in HISTORY for event in one.events if event.stream == f"assignment/{run}/{assignment}"]
    assert versions[f"assignment/{run}/{assignment}"] == len(events) > 0


def test_another_key_has_sealed_nothing(folder: Path) -> None:
    seal = sealed(folder, "--name", "lab")
    other = sealed(folder, "--name", "lab", "--key", folder / "other.key", "-o", folder / "other.seal")
    proof = structured(0, "prove", folder, f"unit-{ENDED[0]}", "--seal", seal["seal"])["proof"]
    refused = structured(1, "verify", "--proof", proof, "--public-key", other["public_key"])
    assert "the key has not signed this" in refused["about"]
    assert (
        "is not a public key" in structured(1, "verify", "--proof", proof, "--public-key", "lab+00000000+AQ==")["about"]
    )


def test_a_unit_of_a_live_run_is_not_proved(folder: Path) -> None:
    seal = sealed(folder)
    result = ask("prove", folder, f"unit-{LIVE[0]}", "--seal", seal["seal"])
    assert result.exit_code == 1
    assert "prove it once the run has ended" in result.stderr


def test_the_key_is_its_owners_and_is_kept(folder: Path) -> None:
    first = sealed(folder)
    key = folder / "seal.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert sealed(folder)["public_key"] == first["public_key"]
    renamed = ask("seal", folder, str(run_of(ENDED[0])), "--name", "another")
    assert (renamed.exit_code, "the key is named" in renamed.stderr) == (2, True)
    assert "Leave --name out" in renamed.stderr
    key.write_text("PRIVATE+KEY+lab+00000000+AQ==")
    result = ask("seal", folder, str(run_of(ENDED[0])))
    assert result.exit_code == 2
    assert "is not a key" in result.stderr
    assert "AQ==" not in result.stderr


def test_a_seal_shows_that_a_log_was_only_extended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))
    path, old = tmp_path / "mephisto.db", tmp_path / "old.seal"
    commit(path, 0, HALF)
    run = next(iter(STATE.task_runs)).rpartition("/")[2]
    key = structured(0, "seal", tmp_path, run, "-o", old)["public_key"]
    commit(path, HALF, len(HISTORY))
    new = structured(0, "seal", tmp_path, run, "-o", tmp_path / "new.seal", "--since", old)
    assert ask("verify", tmp_path, "--seal", old, "--public-key", key).exit_code == 0
    extended = ask("verify", "--proof", new["consistency"], "--public-key", key)
    assert extended.exit_code == 0
    assert "which extend the" in extended.stdout

    with edited(path) as db:
        db.execute("UPDATE events SET data = CAST(replace(data, 'actor', 'sctor') AS BLOB) WHERE seq = 3")
    refused = ask("verify", tmp_path, "--seal", old, "--public-key", key)
    assert refused.exit_code == 1
    assert "the log is not the one that was sealed" in refused.stderr
    assert ask("seal", tmp_path, run, "-o", tmp_path / "third.seal", "--since", old).exit_code == 2
    assert not (tmp_path / "third.seal").exists()


def test_an_earlier_seal_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))
    path, target = tmp_path / "mephisto.db", tmp_path / f"run-{run_of(ENDED[0])}.seal"
    commit(path, 0, HALF)
    first = sealed(tmp_path)
    note = target.read_text()
    assert sealed(tmp_path)["kept"] is None
    commit(path, HALF, len(HISTORY))
    refused = ask("seal", tmp_path, str(run_of(ENDED[0])), "-o", target)
    assert refused.exit_code == 2
    assert "exists and is not this seal" in refused.stderr
    assert target.read_text() == note
    kept = target.with_name(f"{target.stem}.{first['events']}.seal")
    shown = ask("seal", tmp_path, str(run_of(ENDED[0])), "--since", target).stdout
    assert f"{kept}: the earlier seal, renamed\n" in shown
    assert f"the log was only extended since {kept}\n" in shown
    assert kept.read_text() == note
    assert sealed(tmp_path)["events"] > first["events"]
    # A name that is taken is not taken again.
    target.write_text(f"{note}— other AAAAAAA=\n")
    assert sealed(tmp_path)["kept"] == str(target.with_name(f"{target.stem}.{first['events']}-2.seal"))
    assert kept.read_text() == note
    target.write_text("something else")
    assert "is not a seal" in ask("seal", tmp_path, str(run_of(ENDED[0]))).stderr
    assert target.read_text() == "something else"


def test_a_log_is_said_to_be_the_one_that_was_sealed(folder: Path) -> None:
    seal = sealed(folder, "--name", "example.edu/lab")
    words = ("verify", folder, "--seal", seal["seal"], "--public-key", seal["public_key"])
    shown = ask(*words).stdout
    assert f"seal  genuine: example.edu/lab sealed {seal['events']:,} events, and the log begins with" in shown
    found = assert_fits("verify", json.dumps(structured(0, *words)))
    expected = {"name": "example.edu/lab", "events": seal["events"], "root": seal["root"], "witnesses": []}
    assert (found["seal"], found["receipt"]) == (expected, None)
    assert structured(0, "verify", folder)["seal"] is None
    other = sealed(folder, "--key", folder / "other.key", "-o", folder / "other.seal")
    refused = structured(1, *words[:3], other["seal"], *words[4:])
    assert "the key has not signed this" in assert_fits("verify", json.dumps(refused))["about"]


def test_a_rolled_back_copy_is_found_by_any_seal(folder: Path, tmp_path: Path) -> None:
    seal = sealed(folder)
    copy = tmp_path / "copy"
    copy.mkdir()
    commit(copy / "mephisto.db", 0, HALF)
    refused = ask("verify", copy, "--seal", seal["seal"], "--public-key", seal["public_key"])
    assert refused.exit_code == 1
    assert "events are others, or gone" in refused.stderr
