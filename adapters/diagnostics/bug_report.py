"""A bug report in a file: a run's redacted log, its configuration, the versions, and what a replay of it says.

The file is a zip. Whoever has it can unpack it and ask the log anything, or have the replay compared with what it said
where it was made.
"""

from __future__ import annotations

import platform
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import msgspec

from ...core.errors import UnusableLogError
from ...core.ports import AppendRequest
from ...events.ids import TaskRunId
from ...projections.audit.redacted_slice import RedactedSlice
from ...projections.audit.report import ReplayReport
from ...projections.registry import PROJECTIONS
from ..composition.data_dir import DATABASE_FILE
from ..log.anchor import anchor_path
from ..log.audit.replay import replay
from ..log.sqlite.as_of import LogAsOf
from ..log.sqlite.log import SqliteLog

MANIFEST_FILE = "bundle.json"
CONFIG_FILE = "config.json"
#: Requests that are written in one transaction.
_BATCH = 500
#: Fields of a report that differ from one machine or minute to the next.
_INCIDENTAL = frozenset({"seconds", "notes"})


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle is of."""

    run: int
    #: The log that it was taken from: its head, and how many of its events are in the bundle.
    source_seq: int
    source_chain: str
    events: int
    #: Versions by name.
    versions: dict[str, str]
    #: What a replay of the bundle's log said where it was made.
    report: ReplayReport


def write_bundle(moment: LogAsOf, run: TaskRunId, output: Path) -> Manifest:
    """Write a bundle.

    Args:
        moment: the log.
        run: the run.
        output: the zip file; one that is there is replaced.

    Raises:
        UnknownEntityError: there is no such run.
    """
    config = moment.db.get_task_run(run).init_params
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / DATABASE_FILE
        with SqliteLog.create_or_open(database, PROJECTIONS) as log:
            for batch in _batches(RedactedSlice(moment.events, run).requests()):
                log.commit(batch)
        head = moment.head()
        report = replay(database, PROJECTIONS)
        manifest = Manifest(
            run=run,
            source_seq=head.seq,
            source_chain=head.chain.hex(),
            events=report.events,
            versions=_versions(),
            report=report,
        )
        with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as bundle:
            for file in (database, anchor_path(database)):
                bundle.write(file, file.name)
            bundle.writestr(CONFIG_FILE, config)
            bundle.writestr(MANIFEST_FILE, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    return manifest


@contextmanager
def unpacked(bundle: Path) -> Iterator[tuple[Path, Manifest]]:
    """A bundle's log, in a folder that is removed in the end, and its manifest.

    Raises:
        UnusableLogError: the file is not a bundle.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(bundle) as packed:
                manifest = msgspec.json.decode(packed.read(MANIFEST_FILE), type=Manifest)
                for name in (DATABASE_FILE, anchor_path(Path(DATABASE_FILE)).name):
                    packed.extract(name, folder)
        except (OSError, zipfile.BadZipFile, KeyError, msgspec.DecodeError) as error:
            raise UnusableLogError(f"{bundle} is not a bundle: {error}; make one with `mephisto-es bundle`") from error
        yield Path(folder) / DATABASE_FILE, manifest


def disagreements(report: ReplayReport, expected: ReplayReport) -> list[str]:
    """Where two reports on one log differ, in sentences."""
    return [
        f"{name} is {getattr(report, name)!r} here, and was {getattr(expected, name)!r} where the bundle was made"
        for name in ReplayReport.__struct_fields__
        if name not in _INCIDENTAL and getattr(report, name) != getattr(expected, name)
    ]


def _batches(requests: Iterator[AppendRequest]) -> Iterator[list[AppendRequest]]:
    while batch := list(islice(requests, _BATCH)):
        yield batch


def _versions() -> dict[str, str]:
    return {
        "mephisto-es": version("mephisto-es"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.release()}",
    }
