"""Estimates how long people take for a unit, from what there is to read and to fill in.

The figures are those of reading research and of typing studies, rounded. They are meant to show an unfair price before
anybody works for it; measured durations are better, and replace them once people have worked.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..blueprints.form_spec import PRESENTED_ORDER

#: Silent reading of adults, and typing at a computer, in words a minute.
READING_WPM = 230
TYPING_WPM = 40
#: Loading the page, finding one's way, and pressing the button.
OVERHEAD_SECONDS = 5.0
#: Words of a message in a chat.
MESSAGE_WORDS = 12
#: A judgement: one choice, one point of a scale.
JUDGEMENT_SECONDS = 3.0
#: An upload, from finding the file on.
UPLOAD_SECONDS = 20.0
#: A careless worker's page load, and one click.
CARELESS_OVERHEAD_SECONDS = 2.0
CARELESS_SECONDS = 1.0
#: From so many words on an answer is written, below it is chosen.
_WRITTEN_WORDS = 3


def honest_seconds(shown: object, answers: object) -> float:
    """Return the time of a worker who reads everything and thinks about each answer."""
    return OVERHEAD_SECONDS + words_in(shown) * 60 / READING_WPM + _answer_seconds(answers)


def chat_seconds(shown: object, messages: int) -> float:
    """Return the time of a worker who reads everything, writes so many messages, and reads as many."""
    words = messages * MESSAGE_WORDS
    return OVERHEAD_SECONDS + (words_in(shown) + words) * 60 / READING_WPM + words * 60 / TYPING_WPM


def careless_seconds(answers: object) -> float:
    """Return the time of a worker who reads nothing and clicks through."""
    return CARELESS_OVERHEAD_SECONDS + CARELESS_SECONDS * _given(answers)


def instruction_seconds(text: str) -> float:
    """Return the time for reading the instructions, once."""
    return words_in(text) * 60 / READING_WPM


def words_in(value: object) -> int:
    """Return the number of words in everything that a value holds."""
    if isinstance(value, Mapping):
        return sum(words_in(part) for part in value.values())
    if isinstance(value, list | tuple):
        return sum(words_in(part) for part in value)
    return 0 if value is None or isinstance(value, bool) else len(str(value).split())


def _answer_seconds(answers: object) -> float:
    if isinstance(answers, Mapping):
        if {"name", "size", "type"} <= set(answers):
            return UPLOAD_SECONDS
        return sum(_answer_seconds(part) for name, part in answers.items() if name != PRESENTED_ORDER)
    if isinstance(answers, list | tuple):
        return sum(_answer_seconds(part) for part in answers)
    if answers is None or answers == "":
        return 0.0
    words = words_in(answers)
    if isinstance(answers, str) and words >= _WRITTEN_WORDS:
        return words * 60 / TYPING_WPM
    return JUDGEMENT_SECONDS


def _given(answers: object) -> int:
    if isinstance(answers, Mapping):
        return sum(_given(part) for name, part in answers.items() if name != PRESENTED_ORDER)
    if isinstance(answers, list | tuple):
        return sum(_given(part) for part in answers)
    return int(answers is not None and answers != "")
