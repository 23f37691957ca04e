"""Packs a bug report: a run's redacted log, its configuration, the versions, and the result of a replay.

The file is a zip. A recipient can unpack it and query the log, or compare a new replay with the recorded result.
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
#: The key of the log in a bundle.
_NO_KEY = bytes(32)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The description of a bundle."""

    run: int
    #: The head of the original log, and the number of its events in the bundle.
    source_seq: int
    source_chain: str
    events: int
    #: Versions by name.
    versions: dict[str, str]
    #: The result of a replay of the bundle's log where it was created.
    report: ReplayReport


def write_bundle(moment: LogAsOf, run: TaskRunId, output: Path) -> Manifest:
    """Write a bundle.

    Args:
        moment: the log.
        run: the run.
        output: the zip file; an existing file is replaced.

    Raises:
        UnknownEntityError: there is no such run.
    """
    config = moment.db.get_task_run(run).init_params
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / DATABASE_FILE
        # No pseudonym is left in it, so its key need not be secret, and the same run gives the same log.
        with SqliteLog.create_or_open(database, PROJECTIONS, pseudonym_key=_NO_KEY) as log:
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
    """Unpack a bundle's log into a temporary folder; yield its path and the manifest.

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
            raise UnusableLogError(
                f"{bundle} is not a bundle: {error}; create one with `mephisto-es bundle`"
            ) from error
        yield Path(folder) / DATABASE_FILE, manifest


def disagreements(report: ReplayReport, expected: ReplayReport) -> list[str]:
    """Return the differences between two reports on one log, as sentences."""
    return [
        f"{name} is {getattr(report, name)!r} here, but was {getattr(expected, name)!r} where the bundle was created"
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
