"""Escapes characters in text from strangers that would act on a terminal instead of being shown by it."""

from __future__ import annotations

import re

#: What is escaped, beside line ends and tabs: control characters, by which text can move the cursor, recolour or
#: overwrite what stands there; line and paragraph separators; marks that reverse the direction of text; and halves of
#: surrogate pairs, which no stream can encode.
_UNPRINTABLE = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"

_ANY = re.compile(f"[\t\n{_UNPRINTABLE}]")
_IN_LINES = re.compile(f"[{_UNPRINTABLE}]")


def printable(text: str) -> str:
    """Return text on one line, with an escape such as `\\x1b` for every character that is not to reach a terminal."""
    # Nothing that is escaped is printable by Python's rules, and that is checked much faster.
    return text if text.isprintable() else _ANY.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """Return text like `printable`, but keep line ends and tabs: the text was composed of several lines on purpose."""
    return text if text.isprintable() else _IN_LINES.sub(_escaped, text)


def printable_json(text: str) -> str:
    """Return a JSON text with the same value, in which such characters are JSON escapes: `\\u009b`.

    Line ends and tabs between values stay.
    """
    if text.isprintable():
        return text
    return _IN_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escaped(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]
