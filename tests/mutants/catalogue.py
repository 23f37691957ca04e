"""Reads the catalogue of mutants: small changes of the code, each of which breaks one promise.

A mutant is data, an entry of a `.toml` file in this folder:

    [[mutant]]
    name = "anchor_not_synced"
    promise = "The anchor is on disk before the operator goes on."
    file = "adapters/log/anchor.py"
    before = "        os.fsync(fd)"
    after = "        pass"
    tests = ["tests/adapters/log/test_anchor.py::test_an_anchor_is_synced"]

`before` occurs once in the file. Each of the tests has to fail.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]


class Mutant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A change that breaks a promise."""

    name: str
    #: What holds without the change, as the documentation says it.
    promise: str
    #: The file that is changed, relative to the root.
    file: str
    before: str
    after: str
    #: The tests that must notice, as pytest names them, without parameters.
    tests: tuple[str, ...]
    #: Why no simulation can notice a mutant of the core; empty: one should.
    unsimulated: str = ""

    def apply(self, root: Path) -> None:
        """Change the file in a copy of the tree.

        Raises:
            ValueError: the text is not there exactly once.
        """
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.before) != 1:
            raise ValueError(f"{self.name}: the text to change occurs {text.count(self.before)} times in {self.file}")
        path.write_text(text.replace(self.before, self.after), encoding="utf-8")


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The mutants of one file."""

    mutant: tuple[Mutant, ...]


def all_mutants() -> list[Mutant]:
    """Return the mutants of all files, in a fixed order."""
    found: list[Mutant] = []
    for path in sorted(FOLDER.glob("*.toml")):
        found += msgspec.toml.decode(path.read_bytes(), type=Catalogue).mutant
    return found
