"""Copies uploaded files of a run into a folder, under names that people can read."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ...core.errors import ConfigError
from ...projections.queries.uploads import UploadRecord

#: Characters of a worker's own file name that are kept; a longer one is cut in front of its suffix.
MAX_NAME = 80
MAX_SUFFIX = 12
_UNSAFE = re.compile(r"[^\w.-]+")
_SUFFIX = re.compile(r"\.[A-Za-z0-9]+")


def copy_files(uploads: Iterable[UploadRecord], folder: Path) -> dict[str, PurePosixPath]:
    """Copy files, each to `unit-U/agent-A-N-NAME`, where N counts the files of an agent.

    A file that exists already, from an earlier copy, is replaced.

    Args:
        uploads: the files; those that are not here are left out.
        folder: the folder to copy to; created if it does not exist.

    Returns:
        The path of each copy below the folder, by the name under which the file is stored.

    Raises:
        ConfigError: the folder cannot be written.
    """
    copies: dict[str, PurePosixPath] = {}
    counts: dict[int, int] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for upload in uploads:
            number = counts[upload.agent_id] = counts.get(upload.agent_id, 0) + 1
            if upload.path is None:
                continue
            name = f"agent-{upload.agent_id}-{number}-{safe_name(upload.originalname or upload.filename)}"
            relative = PurePosixPath(f"unit-{upload.unit_id}", name)
            target = folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.with_name(f".{target.name}.part")
            shutil.copyfile(upload.path, draft)
            os.replace(draft, target)
            copies[upload.filename] = relative
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}", key="--output") from error
    return copies


def safe_name(original: str) -> str:
    """Return a file name that a worker's browser sent without anything that could lead out of a folder or be hidden."""
    name = _UNSAFE.sub("_", original).strip("._") or "file"
    suffix = Path(name).suffix
    if not (_SUFFIX.fullmatch(suffix) and len(suffix) <= MAX_SUFFIX):
        suffix = ""
    return name[: MAX_NAME - len(suffix)] + suffix if len(name) > MAX_NAME else name
