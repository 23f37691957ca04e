"""Finds the encoding of a text file, and names the one that a file seems to have if it cannot be read."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from ...core.errors import ConfigError

#: Bytes at the beginning of a file that are looked at.
SAMPLE_BYTES = 64 * 1024
#: Marks at the beginning of a file, and the codec that each stands for; the longer ones first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LATIN = ("LATIN",)
#: Codecs that older programs write, how people call them, a script that must occur, and all that may.
_LEGACY = (
    ("cp932", "Shift JIS", ("HIRAGANA", "KATAKANA"), ("HIRAGANA", "KATAKANA", "CJK")),
    ("cp949", "EUC-KR", ("HANGUL",), ("HANGUL",)),
    ("cp1252", "Windows-1252", _LATIN, _LATIN),
    ("gb18030", "GB 18030", ("CJK",), ("CJK",)),
    ("cp1251", "Windows-1251", ("CYRILLIC",), ("CYRILLIC",)),
)
_EXCEL_WORKBOOK = b"PK\x03\x04"
_OLD_EXCEL_WORKBOOK = b"\xd0\xcf\x11\xe0"
#: How much of a file's letters outside ASCII must belong to the scripts of a codec.
_PLAUSIBLE = 0.95


def encoding_of(file: Path) -> str:
    """Return the codec to open a text file with: what its mark says, or else UTF-8.

    Raises:
        ConfigError: it is a workbook, or UTF-16 without a mark.
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        start = stream.read(SAMPLE_BYTES)
    for mark, codec in _MARKS:
        if start.startswith(mark):
            return codec
    if start.startswith((_EXCEL_WORKBOOK, _OLD_EXCEL_WORKBOOK)):
        hint = "Open it and save it as 'CSV UTF-8 (comma delimited)'"
        raise ConfigError(f"{file} is an Excel workbook or an archive, not a text file", key=str(file), hint=hint)
    if b"\0" in start:
        raise _unreadable(file, "UTF-16", "utf-16-le" if start[1:2] == b"\0" else "utf-16-be")
    return "utf-8"


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turn what goes wrong while a text file is read into an error that says what to do.

    Raises:
        ConfigError: the file cannot be read, or is not in the encoding that `encoding_of` found.
    """
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}", key=str(file), hint="Check the path in the configuration"
        ) from error
    except UnicodeDecodeError as error:
        label, codec = _legacy_encoding(error.object[max(0, error.start - SAMPLE_BYTES) : error.start + SAMPLE_BYTES])
        raise _unreadable(file, label, codec) from error


def _unreadable(file: Path, label: str | None, codec: str) -> ConfigError:
    seems = f"; it seems to be {label}" if label else ""
    return ConfigError(
        f"{file} is not UTF-8{seems}",
        key=str(file),
        hint=f"Save it as UTF-8 (in Excel: 'CSV UTF-8'), or convert it: iconv -f {codec} -t utf-8 OLD > NEW",
    )


def _legacy_encoding(data: bytes) -> tuple[str | None, str]:
    """Guess the encoding of bytes that are not UTF-8: its name (None if there is no good guess), and its codec."""
    for codec, label, needed, scripts in _LEGACY:
        # Incremental, as the bytes may end within a character.
        text = codecs.getincrementaldecoder(codec)("replace").decode(data)
        if "\ufffd" not in text and _is_plausible(text, needed, scripts):
            return label, codec
    return None, "windows-1252"


def _is_plausible(text: str, needed: tuple[str, ...], scripts: tuple[str, ...]) -> bool:
    """Return True if the letters outside ASCII are of the scripts that an encoding is used for."""
    foreign = [unicodedata.name(letter, "") for letter in text if letter.isalpha() and not letter.isascii()]
    if scripts == _LATIN:
        # Accented letters stand alone; text in another script that is read as Latin has long rows of them.
        neighbours = sum(not (left.isascii() or right.isascii()) for left, right in pairwise(text))
        is_other_script = neighbours * 2 > sum(not letter.isascii() for letter in text)
        return not is_other_script and all(name.startswith(_LATIN) for name in foreign)
    fitting = sum(name.startswith(scripts) for name in foreign)
    return any(name.startswith(needed) for name in foreign) and fitting >= _PLAUSIBLE * len(foreign)
