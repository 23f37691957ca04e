"""Proofs before three verifiers: ours, the second implementation, and a Go program with the packages of sum.golang.org.

`make proofs` proves 1,000 units and tries 1,000 forgeries; here are a few of both.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mephisto_es.adapters.sealing.keys import SealKey, make_key
from mephisto_es.adapters.sealing.seal_files import PublicKeys
from mephisto_es.adapters.sealing.seals import verify_proof
from mephisto_es.projections.sealing.checkpoint import sign_checkpoint
from mephisto_es.projections.sealing.notes import SealError

from . import second_implementation
from .proof_samples import SealedUnits, forgeries, sealed_units

UNITS = int(os.environ.get("PROVED_UNITS", "30"))
FORGERIES = int(os.environ.get("FORGED_PROOFS", "96"))
SEED = int(os.environ.get("PROOF_SEED", "1"))
NAME = "example.edu/lab/ratings"
GO_PROGRAM = Path(__file__).parent / "verify_proofs.go"
#: Where Debian's golang-golang-x-mod-dev is.
GO_SOURCES = Path("/usr/share/gocode")
#: What the second implementation raises for a proof that is none.
REFUSED = (AssertionError, ValueError, KeyError, TypeError, IndexError, AttributeError)


@cache
def key() -> SealKey:
    with TemporaryDirectory() as folder:
        return make_key(Path(folder) / "one.key", NAME)


@cache
def other_key() -> SealKey:
    with TemporaryDirectory() as folder:
        return make_key(Path(folder) / "other.key", NAME)


@cache
def sealed() -> SealedUnits:
    return sealed_units(UNITS, key().verifier, key().sign)


@cache
def genuine() -> tuple[str, ...]:
    return tuple(sealed().proof(unit) for unit in range(1, UNITS + 1))


@cache
def forged() -> tuple[tuple[str, str], ...]:
    checkpoint = sealed().log.checkpoint(NAME)
    seal = sign_checkpoint(checkpoint, other_key().verifier, other_key().sign)
    return tuple(forgeries(sealed(), seal, FORGERIES, SEED))


@pytest.fixture(scope="module")
def go_program() -> Iterator[Path]:
    if shutil.which("go") is None or not GO_SOURCES.exists():
        assert os.environ.get("CI") != "true", "apt-get install golang-go golang-golang-x-mod-dev"
        pytest.skip("Go is not installed")
    with TemporaryDirectory() as folder:
        program = Path(folder) / "verify"
        environment = {"GO111MODULE": "off", "GOPATH": str(GO_SOURCES), "GOCACHE": f"{folder}/cache", "GOFLAGS": ""}
        command = ["go", "build", "-o", str(program), str(GO_PROGRAM)]
        subprocess.run(command, env={**os.environ, **environment}, check=True, timeout=240)
        yield program


def verdicts(program: Path, proofs: tuple[str, ...]) -> list[str]:
    asked = "".join(json.dumps({"key": key().verifier.text, "proof": proof}) + "\n" for proof in proofs)
    done = subprocess.run([program], input=asked, capture_output=True, text=True, check=True, timeout=240)
    return done.stdout.splitlines()


def test_every_unit_is_proved_to_ours_and_to_the_second() -> None:
    keys = PublicKeys(key().verifier.text)
    for proof in genuine():
        verify_proof(proof, keys)
        second_implementation.verify_unit(proof, key().verifier.text)


def test_every_unit_is_proved_to_go(go_program: Path) -> None:
    assert verdicts(go_program, genuine()) == ["genuine"] * UNITS


def test_every_forgery_is_refused_by_ours_and_by_the_second() -> None:
    keys = PublicKeys(key().verifier.text)
    for kind, proof in forged():
        with pytest.raises(SealError):
            pytest.fail(f"{kind} is genuine: {verify_proof(proof, keys)}")
        with pytest.raises(REFUSED):
            pytest.fail(f"{kind} is genuine: {second_implementation.verify_unit(proof, key().verifier.text)}")


def test_every_forgery_is_refused_by_go(go_program: Path) -> None:
    answers = verdicts(go_program, tuple(proof for _, proof in forged()))
    assert len(answers) == FORGERIES
    assert [kind for (kind, _), answer in zip(forged(), answers, strict=True) if answer == "genuine"] == []
