"""Recognizes media in a task's input data, and finds the files of a run's media folder."""

from __future__ import annotations

from enum import Enum
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

#: The setting that names the folder with the media of the task.
_MEDIA_SETTINGS = ("media_dir", "extra_source_dir")


class MediaKind(Enum):
    """The kinds of media that a browser shows."""

    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    DOCUMENT = "document"


_KINDS = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".bmp", ".svg"), MediaKind.IMAGE),
    **dict.fromkeys((".mp3", ".wav", ".ogg", ".oga", ".m4a", ".flac", ".opus"), MediaKind.AUDIO),
    **dict.fromkeys((".mp4", ".webm", ".ogv", ".mov"), MediaKind.VIDEO),
    ".pdf": MediaKind.DOCUMENT,
}


class Medium(NamedTuple):
    """A medium and the address under which the pages of a run show it."""

    kind: MediaKind
    address: str


def medium_of(value: object, run: int) -> Medium | None:
    """Return the medium that a value of the input data names; None if it names none.

    Only the requester's data is shown so. A worker's text never makes a reviewer's browser load anything.
    """
    if not isinstance(value, str) or not value or len(value) > 2048 or "\n" in value:
        return None
    try:
        address = urlsplit(value)
    except ValueError:
        return None
    kind = _KINDS.get(PurePosixPath(address.path).suffix.lower())
    if kind is None or address.scheme not in {"", "http", "https"}:
        return None
    if address.scheme:
        return Medium(kind, value)
    return None if address.netloc else Medium(kind, f"/runs/{run}/media/{quote(address.path.lstrip('/'))}")


def media_file(init_params: str, path: str) -> Path | None:
    """Return a file of the media folders that a run's configuration names; None if there is no such file.

    Args:
        init_params: the configuration as JSON.
        path: the path inside a media folder. Nothing outside it is returned, whatever links and dots say.
    """
    settings = msgspec.json.decode(init_params)
    blueprint = settings.get("blueprint") if isinstance(settings, dict) else None
    folders = [blueprint.get(name) for name in _MEDIA_SETTINGS] if isinstance(blueprint, dict) else []
    if PurePosixPath(path).suffix.lower() not in _KINDS:
        return None
    for folder in folders:
        if isinstance(folder, str) and folder:
            root = Path(folder).resolve()
            file = (root / path).resolve()
            if file.is_relative_to(root) and file.is_file():
                return file
    return None
