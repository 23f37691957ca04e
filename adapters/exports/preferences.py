"""Writes comparisons of two texts as preferences, as training with preferences wants them: prompt, chosen, rejected."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO

import msgspec

from ...core.errors import ConfigError
from ...core.printable import printable_json
from ...core.suggestions import did_you_mean
from ...projections.queries.quality.bradley_terry import OptionVotes, bradley_terry, win_probability
from .columns import Column, UnitTable, value_of

_USED = frozenset({"completed", "accepted"})


class PreferenceColumns(msgspec.Struct, frozen=True, kw_only=True):
    """The columns that preferences are made from."""

    prompt: str
    #: The two texts that are compared.
    options: tuple[str, str]
    #: The worker's choice: the name of an option's column or its last part, or the text itself.
    choice: str


class Preference(msgspec.Struct, frozen=True, kw_only=True):
    """One pair of texts, with the votes of all workers."""

    prompt: str
    chosen: str
    rejected: str
    votes_chosen: int
    votes_rejected: int
    #: Scores by Bradley and Terry, from all comparisons of texts for the same prompt; 0 is average.
    score_chosen: float
    score_rejected: float
    #: The probability of this preference by these scores.
    probability: float


class PreferenceCount(msgspec.Struct, frozen=True, kw_only=True):
    """The number of pairs, and of votes that are in none."""

    written: int
    #: Pairs with as many votes for one as for the other, which are not written.
    ties: int
    #: Units whose answer is none of the options.
    unclear: int


def write_preferences(table: UnitTable, names: PreferenceColumns, file: BinaryIO) -> PreferenceCount:
    """Write one JSON object for each pair of texts that some workers preferred one of; count what was written.

    Ordinary work that is not rejected or soft-rejected counts.

    Args:
        table: the rows.
        names: the columns.
        file: the file.

    Raises:
        ConfigError: there is no such column.
    """
    prompt, first, second, choice = (
        _column(table, name, option)
        for name, option in (
            (names.prompt, "--prompt"),
            (names.options[0], "--options"),
            (names.options[1], "--options"),
            (names.choice, "--choice"),
        )
    )
    unclear = 0
    votes: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for record in table:
        if record.unit_index < 0 or record.unit_status not in _USED or record.submitted_at is None:
            continue
        texts = [value_of(column, record) for column in (prompt, first, second)]
        answer = value_of(choice, record)
        winner = _winner(answer, (first, second), texts[1:])
        if winner is None or not all(isinstance(text, str) for text in texts):
            unclear += 1
            continue
        votes[str(texts[0])][str(texts[1 + winner]), str(texts[2 - winner])] += 1
    pairs = [one for prompt_text, counted in votes.items() for one in _preferences(prompt_text, counted)]
    written = [one for one in pairs if one is not None]
    for one in written:
        file.write(printable_json(msgspec.json.encode(one).decode()).encode() + b"\n")
    return PreferenceCount(written=len(written), ties=len(pairs) - len(written), unclear=unclear)


def _column(table: UnitTable, name: str, option: str) -> Column:
    found = next((column for column in table.columns if column.name == name), None)
    if found is None:
        known = [column.name for column in table.columns if column.path]
        hint = did_you_mean(name, known) or f"Known are: {', '.join(known[:20])}"
        raise ConfigError(f"there is no column {name!r}", key=option, hint=hint)
    return found


def _winner(answer: object, columns: Sequence[Column], texts: Sequence[object]) -> int | None:
    """Return the number of the option that an answer names; None if it names none or both."""
    named = [
        number
        for number, (column, text) in enumerate(zip(columns, texts, strict=True))
        if isinstance(answer, str) and answer in (column.name, column.path[-1] if column.path else None, text)
    ]
    return named[0] if len(named) == 1 else None


def _preferences(prompt: str, votes: Mapping[tuple[str, str], int]) -> Iterator[Preference | None]:
    """Yield the preference for each pair of texts, or None for one without a preference."""
    scores = bradley_terry(OptionVotes(winner, loser, count) for (winner, loser), count in votes.items())
    for one, other in _pairs(votes):
        for_one, for_other = votes.get((one, other), 0), votes.get((other, one), 0)
        if for_one == for_other:
            yield None
            continue
        chosen, rejected = (one, other) if for_one > for_other else (other, one)
        yield Preference(
            prompt=prompt,
            chosen=chosen,
            rejected=rejected,
            votes_chosen=max(for_one, for_other),
            votes_rejected=min(for_one, for_other),
            score_chosen=scores[chosen],
            score_rejected=scores[rejected],
            probability=win_probability(scores[chosen], scores[rejected]),
        )


def _pairs(votes: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    return dict.fromkeys((min(pair), max(pair)) for pair in votes)
