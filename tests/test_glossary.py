"""docs/glossary.md explains the nouns that public classes are named after."""

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import mephisto_es
from mephisto_es.events.base import Event

GLOSSARY = (Path(__file__).resolve().parents[1] / "docs" / "glossary.md").read_text(encoding="utf-8")
ROWS = [
    re.findall(r"^\| (.*?) \| (.*) \|$", line)[0]
    for line in GLOSSARY.splitlines()
    if re.match(r"\| (?!term|---)", line)
]
TERMS = {term.strip().lower() for terms, _ in ROWS for term in terms.split(",")}
#: Classes that a line names, because their nouns are spread over several words.
NAMED = set(re.findall(r"`([A-Z]\w+)`", GLOSSARY))
FOLDERS = (
    "events",
    "core.lifecycles",
    "core.state",
    "core.commands",
    "core.decisions",
    "core.abstractions",
    "projections.queries",
)
#: Words of programming in general, which say what a class is and not what it is about.
PLAIN = {
    *("args", "context", "data", "dict", "entry", "error", "format", "line", "list", "map", "page", "ref", "report"),
    *("request", "required", "result", "series", "type", "change", "name", "file", "past", "comparator"),
}
#: Errors, described in the tree of errors.
ERRORS = re.compile(r"\w+Error$")


def public_classes() -> Iterator[type]:
    for name in mephisto_es.__all__:
        if inspect.isclass(found := getattr(mephisto_es, name)):
            yield found
    for folder in FOLDERS:
        package = import_module(f"mephisto_es.{folder}")
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            for name, found in vars(import_module(module.name)).items():
                if inspect.isclass(found) and found.__module__ == module.name and not name.startswith("_"):
                    yield found


CLASSES = {found.__name__: found for found in public_classes() if not ERRORS.match(found.__name__)}


def words_of(name: str) -> list[str]:
    """Return the words of a class name in lower case, singular."""
    words = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]+$|[A-Z]?[a-z0-9]+", name)
    return [
        re.sub(r"(?<=\w[^su])s$", "", word.lower()) if word.lower() not in PLAIN else word.lower() for word in words
    ]


def is_explained(name: str, found: type) -> bool:
    """Return whether the noun of a class is a term: its subject if it is an event, otherwise its last words."""
    words = words_of(name)
    if issubclass(found, Event):
        parts = [words[first:last] for first in range(len(words)) for last in range(first + 1, len(words) + 1)]
    else:
        while words and words[-1] in PLAIN:
            words.pop()
        parts = [words[first:] for first in range(len(words))] or [[]]
    return name in NAMED or not words or any({" ".join(part), "".join(part)} & TERMS for part in parts)


def test_each_term_has_one_line() -> None:
    terms = [term.strip().lower() for terms, _ in ROWS for term in terms.split(",")]
    assert len(terms) == len(set(terms)) > 100
    assert all(meaning.endswith(".") or "[" in meaning for _, meaning in ROWS)


def test_terms_are_in_alphabetical_order() -> None:
    for section in GLOSSARY.split("\n## ")[1:]:
        terms = re.findall(r"^\| (?!term|---)(.*?) \|", section, re.MULTILINE)
        assert terms == sorted(terms, key=str.lower), section.splitlines()[0]


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_the_noun_of_a_public_class_is_explained(name: str) -> None:
    assert is_explained(name, CLASSES[name]), f"no term for {name}: {words_of(name)}"


def test_a_class_that_the_glossary_names_exists() -> None:
    assert set(CLASSES) >= NAMED
