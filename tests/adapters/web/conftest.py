"""Logs to show, and visitors."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.web.access import Access, Role, WebReviewer
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import sample_history
from .visitor import Visitor

TOKEN = "correct horse battery staple"
#: Named reviewers by their tokens.
REVIEWERS = {f"token of {role.value}": WebReviewer(f"user/{role.value}er", role) for role in Role}


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a log with a run, and close it."""
    path = tmp_path_factory.mktemp("web") / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(sample_history())
    return path


@pytest.fixture
def database(written: Path, tmp_path: Path) -> Path:
    """Copy the log, for a test that writes to it."""
    return Path(shutil.copy(written, tmp_path / "mephisto.db"))


@pytest.fixture
def visitor(database: Path) -> Iterator[Visitor]:
    """Return a visitor on this machine."""
    visitor = Visitor(database, Access(None), "127.0.0.1")
    yield visitor
    visitor.log.close()


@pytest.fixture
def reviewers(database: Path) -> Iterator[Visitor]:
    """Return a visitor of a server with named reviewers, who has not logged in."""
    visitor = Visitor(database, Access(None, REVIEWERS), "127.0.0.1")
    yield visitor
    visitor.log.close()


@pytest.fixture
def stranger(database: Path) -> Iterator[Visitor]:
    """Return a visitor from elsewhere, who needs a token."""
    visitor = Visitor(database, Access(TOKEN), "lab.example.org")
    yield visitor
    visitor.log.close()
