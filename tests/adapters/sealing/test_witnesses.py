"""A witness and the seals that it cosigns, over HTTP, against forks, rollbacks and nonsense."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import trio
from click.testing import CliRunner, Result

from mephisto_es.adapters.asgi_server import serve_asgi
from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.sealing.keys import SealKey, read_or_make_key
from mephisto_es.adapters.sealing.witness_server import ReferenceWitness, WitnessedLogs
from mephisto_es.adapters.sealing.witness_store import WitnessStore, hash_of
from mephisto_es.core.errors import ConfigError
from mephisto_es.projections.sealing.checkpoint import Checkpoint, TreeHead, sign_checkpoint
from mephisto_es.projections.sealing.cosignatures import COSIGNER
from mephisto_es.projections.sealing.merkle import MerkleTree, leaf_hash
from mephisto_es.projections.sealing.witnessing import (
    MAX_REQUEST_BYTES,
    WitnessRefusalError,
    WitnessStatus,
    write_add_checkpoint,
)

from ..log.support import edited
from . import second_implementation
from .sealed_history import HALF, HISTORY, STATE
from .sealed_history import commit as commit_to

NOW_US = 1_795_000_000_000_000
NAME = "example.edu/lab"
RUN = next(iter(STATE.task_runs)).rpartition("/")[2]


class FixedClock:
    def now_us(self) -> int:
        return NOW_US


class Lab:
    """A log of numbers, with a key."""

    def __init__(self, folder: Path, name: str = NAME) -> None:
        self.key = read_or_make_key(folder / f"{hash_of(name)}.key", name)
        self.entries = [str(number).encode() for number in range(40)]

    def seal(self, size: int, streams: bytes = b"streams") -> str:
        tree = self.tree()
        heads = TreeHead(size, tree.root(size)), TreeHead(1, leaf_hash(streams))
        return sign_checkpoint(Checkpoint(self.key.name, *heads), self.key.verifier, self.key.sign)

    def tree(self) -> MerkleTree:
        return MerkleTree(map(leaf_hash, self.entries))

    def request(self, old: int, new: int, **options: bytes) -> bytes:
        path = self.tree().consistency_proof(old, new)
        return write_add_checkpoint(old, path, self.seal(new, **options)).encode()


class Other(NamedTuple):
    """A witness of another lab."""

    witness: ReferenceWitness
    store: WitnessStore
    key: SealKey
    folder: Path


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture
def other(tmp_path: Path, lab: Lab) -> Other:
    return make_witness(tmp_path / "witness", lab)


def make_witness(folder: Path, *labs: Lab, name: str = "other.edu/witness") -> Other:
    store = WitnessStore(folder)
    key = read_or_make_key(folder / "witness.key", name, COSIGNER)
    logs = WitnessedLogs(key, tuple(lab.key.verifier for lab in labs))
    return Other(ReferenceWitness(logs, store, FixedClock()), store, key, folder)


def refusal(other: Other, body: bytes) -> tuple[WitnessStatus, int]:
    with pytest.raises(WitnessRefusalError) as caught:
        other.witness.cosign(body)
    return caught.value.status, caught.value.size


def test_a_log_that_grows_is_cosigned(lab: Lab, other: Other) -> None:
    for old, new in ((0, 3), (3, 3), (3, 8), (8, 9), (9, 40)):
        line = other.witness.cosign(lab.request(old, new))
        seconds = second_implementation.cosigned_at(lab.seal(new) + line, other.key.verifier.text)
        assert seconds == NOW_US // 1_000_000


def test_what_was_cosigned_is_kept_before_the_answer(lab: Lab, other: Other) -> None:
    line = other.witness.cosign(lab.request(0, 5))
    assert (other.folder / f"{hash_of(NAME)}.checkpoint").read_text() == lab.seal(5) + line
    other.store.close()
    again = make_witness(other.folder, lab)
    assert refusal(again, lab.request(0, 4)) == (WitnessStatus.OTHER_SIZE, 5)
    again.witness.cosign(lab.request(5, 6))


def test_nothing_is_answered_if_it_cannot_be_kept(lab: Lab, other: Other) -> None:
    (other.folder / f"{hash_of(NAME)}.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        other.witness.cosign(lab.request(0, 5))


def test_a_fork_is_refused_at_every_size(lab: Lab, other: Other) -> None:
    other.witness.cosign(lab.request(0, 8))
    lab.entries[3] = b"rewritten"
    for size in range(8, 20):
        assert refusal(other, lab.request(8, size)) == (WitnessStatus.INCONSISTENT, 8)
        assert refusal(other, lab.request(0, size)) == (WitnessStatus.OTHER_SIZE, 8)


def test_a_rollback_is_refused(lab: Lab, other: Other) -> None:
    other.witness.cosign(lab.request(0, 8))
    for size in range(1, 8):
        assert refusal(other, lab.request(0, size)) == (WitnessStatus.OTHER_SIZE, 8)
        assert refusal(other, lab.request(size, size)) == (WitnessStatus.OTHER_SIZE, 8)
        assert refusal(other, write_add_checkpoint(8, [], lab.seal(size)).encode())[0] is WitnessStatus.MALFORMED


def test_other_streams_of_the_same_size_are_refused(lab: Lab, other: Other) -> None:
    other.witness.cosign(lab.request(0, 8))
    assert refusal(other, lab.request(8, 8, streams=b"others"))[0] is WitnessStatus.INCONSISTENT
    other.witness.cosign(lab.request(8, 8))


def test_an_unknown_log_and_an_unsigned_checkpoint_are_refused(lab: Lab, other: Other, tmp_path: Path) -> None:
    stranger = Lab(tmp_path, "stranger.edu")
    assert refusal(other, stranger.request(0, 8))[0] is WitnessStatus.UNKNOWN_LOG
    (tmp_path / "elsewhere").mkdir()
    impostor = Lab(tmp_path / "elsewhere")
    assert refusal(other, impostor.request(0, 8))[0] is WitnessStatus.NOT_SIGNED
    changed = lab.request(0, 8).replace(b"\n8\n", b"\n9\n")
    assert refusal(other, changed)[0] is WitnessStatus.NOT_SIGNED


@pytest.mark.parametrize(
    "change",
    [
        lambda body: b"",
        lambda body: b"\xff" + body,
        lambda body: body.replace(b"old 0", b"old 00"),
        lambda body: body.replace(b"old 0", b"old -1"),
        lambda body: body.replace(b"old 0", b"old 0\n" + b"AAAA\n" * 64 + b"AAAA"),
        lambda body: body.replace(b"old 0", b"old 0\nAAAA"),
        lambda body: body[:-1],
        lambda body: body.replace(b"\n\n", b"\n"),
        lambda body: body + b"\x00\n",
        lambda body: body + b"x" * MAX_REQUEST_BYTES,
        lambda body: body + body.split(b"\n")[-2] * 3 + b"\n",
    ],
)
def test_nonsense_is_refused(lab: Lab, other: Other, change: Callable[[bytes], bytes]) -> None:
    assert refusal(other, change(lab.request(0, 8)))[0] is WitnessStatus.MALFORMED
    assert other.store.last(NAME) is None


def test_a_damaged_memory_cosigns_nothing(lab: Lab, other: Other) -> None:
    other.witness.cosign(lab.request(0, 8))
    path = other.folder / f"{hash_of(NAME)}.checkpoint"
    for damage in ("", "nonsense", path.read_text().replace(NAME, "example.edu/bar")):
        path.write_text(damage)
        with pytest.raises(ConfigError, match="does not know what it has cosigned"):
            other.witness.cosign(lab.request(8, 9))


def test_the_folder_is_its_owners_and_of_one_process(other: Other) -> None:
    assert stat.S_IMODE(other.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((other.folder / "witness.key").stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="another witness is using"):
        WitnessStore(other.folder)


# On the command line, over HTTP -----------------------------------------------------------------------------------


@asynccontextmanager
async def served(*others: Other) -> AsyncIterator[list[str]]:
    async with trio.open_nursery() as nursery:
        ports = [
            await nursery.start(serve_asgi, one.witness.app(), "127.0.0.1", 0, MAX_REQUEST_BYTES) for one in others
        ]
        with trio.fail_after(120):
            yield [f"http://127.0.0.1:{port}" for port in ports]
        nursery.cancel_scope.cancel()


async def ask(*words: str | Path) -> Result:
    """Run a command beside the witnesses."""
    return await trio.to_thread.run_sync(lambda: CliRunner().invoke(command.main, list(map(str, words))))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))
    return tmp_path


def commit(folder: Path, begin: int, end: int) -> Path:
    """Write a part of a history to the log in a folder."""
    folder.mkdir(exist_ok=True)
    commit_to(folder / "mephisto.db", begin, end)
    return folder


def fork_of(log: Path, folder: Path) -> Path:
    """Return another version of a log, with as many events."""
    shutil.copytree(log, folder)
    with edited(folder / "mephisto.db") as db:
        db.execute("UPDATE events SET data = CAST(replace(data, 'actor', 'sctor') AS BLOB) WHERE seq = 3")
    return folder


async def test_seals_are_cosigned_and_forks_are_found(folder: Path) -> None:
    log, half = commit(folder / "log", 0, len(HISTORY)), commit(folder / "half", 0, HALF)
    key = folder / "lab.key"
    first = await ask("seal", half, RUN, "--key", key, "--name", NAME, "-o", folder / "first.seal", "--json")
    assert first.exit_code == 0, first.output
    public = json.loads(first.stdout)["public_key"]
    lab = Lab(folder)
    lab.key = read_or_make_key(key, None)
    one, two = make_witness(folder / "one", lab), make_witness(folder / "two", lab, name="third.edu")
    async with served(one, two) as (url, other_url):

        async def seal(data: Path, file: str, *urls: str) -> Result:
            keys = {url: one.key.verifier.text, other_url: two.key.verifier.text}
            options = [word for each in urls for word in ("--witness", each, "--witness-key", keys[each])]
            return await ask("seal", data, RUN, "--key", key, "-o", folder / file, *options)

        assert (await seal(half, "half.seal", url)).exit_code == 0
        assert (await seal(log, "log.seal", url, other_url)).exit_code == 0
        seals = [folder / name for name in ("half.seal", "log.seal")]
        assert second_implementation.cosigned_at(seals[1].read_text(), two.key.verifier.text)
        witnessed = ["--public-key", public, "--witness-key", one.key.verifier.text]
        cosigned = await ask("verify", log, "--seal", seals[1], *witnessed)
        assert cosigned.exit_code == 0
        assert f"cosigned by {one.key.name}" in cosigned.stdout
        assert (await ask("verify", log, "--compare", *seals, "--public-key", public)).exit_code == 0
        unwitnessed = await ask("verify", half, "--seal", folder / "first.seal", *witnessed)
        assert "has not cosigned this" in unwitnessed.stderr

        rolled_back = await seal(half, "again.seal", url)
        assert rolled_back.exit_code == 2
        assert "older copy of the log" in rolled_back.stderr

        # Another version of the log, with as many events: the witness that has seen the log refuses it.
        forked = fork_of(log, folder / "forked")
        refused = await seal(forked, "fork.seal", url)
        assert "has cosigned another version of this log" in refused.stderr
        assert not (folder / "fork.seal").exists()
        third = make_witness(folder / "three", lab, name="fourth.edu")
        async with served(third) as (naive_url,):
            keys = ("--witness", naive_url, "--witness-key", third.key.verifier.text)
            assert (await ask("seal", forked, RUN, "--key", key, "-o", folder / "fork.seal", *keys)).exit_code == 0
            async with httpx.AsyncClient(trust_env=False) as client:
                kept = (await client.get(f"{naive_url}/{hash_of(NAME)}/checkpoint")).text
                assert (await client.get(f"{naive_url}/{hash_of('another')}/checkpoint")).status_code == 404
        assert kept == (folder / "fork.seal").read_text()
        cosigners = ["--witness-key", one.key.verifier.text, "--witness-key", third.key.verifier.text]
        compared = await ask(
            *("verify", folder / "nowhere", "--compare", seals[1], folder / "fork.seal"),
            *("--public-key", public, *cosigners, "--json"),
        )
        assert compared.exit_code == 1
        assert json.loads(compared.stdout)["comparison"] == "fork"
        # Seals of different sizes are compared with the log.
        undecided = await ask("verify", folder / "no", "--compare", seals[0], seals[1], "--public-key", public)
        assert "only a copy of the log with the larger one can tell" in undecided.stdout
        for data, code, verdict in ((log, 0, "extended between them"), (forked, 1, "different sizes")):
            told = await ask("verify", data, "--compare", *seals, "--public-key", public)
            assert (told.exit_code, verdict in told.stdout) == (code, True)
        mixed = await ask("verify", forked, "--compare", seals[0], folder / "fork.seal", "--public-key", public)
        assert mixed.stdout.startswith("✗ fork")


async def test_what_is_no_witness_is_named(folder: Path) -> None:
    log = commit(folder / "log", 0, HALF)
    other = make_witness(folder / "witness")
    async with served(other) as (url,):
        for address, key, said in (
            (url, other.key.verifier.text, "does not know the key of this log"),
            (f"{url}/other", other.key.verifier.text, "does not know the key of this log"),
            ("http://127.0.0.1:1", other.key.verifier.text, "cannot be reached"),
            (url, "other.edu+00000000+BAAA", "this is not a public key of a witness"),
        ):
            result = await ask("seal", log, RUN, "--witness", address, "--witness-key", key)
            assert result.exit_code == 2
            assert said in result.stderr
        assert "each --witness needs a --witness-key" in (await ask("seal", log, RUN, "--witness", url)).stderr
    assert not list(log.glob("*.seal"))


def test_the_first_start_makes_a_key(folder: Path) -> None:
    def start(*words: str) -> str:
        result = CliRunner().invoke(command.main, ["witness", str(folder / "state"), *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    first = start("--name", "other.edu/witness")
    assert first.startswith("public key of this witness: other.edu/witness+")
    assert "--log" in first
    assert start() == first
