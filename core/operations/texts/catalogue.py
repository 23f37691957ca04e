"""Holds all texts that workers read from the router, the provider's script, the client library and the stock page.

`languages/` has a file for each language, and English has every key. A run chooses a language (`task.language`) and may
replace single texts (`task.texts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import Path

import msgspec

from ....events.engagement import RefusalReason
from ...errors import ConfigError
from ...suggestions import did_you_mean

LANGUAGES = Path(__file__).parent / "languages"
DEFAULT_LANGUAGE = "en"
LANGUAGE_KEY = "mephisto.task.language"
TEXTS_KEY = "mephisto.task.texts"
#: Languages that are written from right to left.
RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur"})
#: Groups of texts that the provider's script shows.
PROVIDER_GROUPS = frozenset({"arrival", "visit"})


class ServerText(Enum):
    """Texts that the operator sends to pages that are at work, by their keys."""

    NO_MORE_MESSAGES = "router.no_more_messages"
    LAST_MESSAGE = "router.last_message"
    PROCEDURE_UNKNOWN = "router.procedure_unknown"
    PROCEDURE_UNREADABLE = "router.procedure_unreadable"
    PROCEDURE_FAILED = "router.procedure_failed"


class Texts:
    """The texts of one run.

    Attributes:
        language: the code of the language.
    """

    def __init__(self, language: str, texts: Mapping[str, str], *, is_changed: bool) -> None:
        self.language = language
        self._texts = texts
        self._is_changed = is_changed

    @property
    def direction(self) -> str:
        """The direction of writing, as HTML names it."""
        return "rtl" if self.language.partition("-")[0] in RIGHT_TO_LEFT else "ltr"

    def refusal(self, reason: RefusalReason) -> str:
        """Return the text for a worker who gets no work."""
        return self._texts[f"refusal.{reason.name}"]

    def of_server(self, text: ServerText) -> str:
        """Return a text that the operator sends to a page."""
        return self._texts[text.value]

    def for_page(self) -> dict[str, object]:
        """Return the part of the page's configuration that has the texts; nothing if they are the page's own."""
        if not self._is_changed:
            return {}
        return {"language": self.language, "direction": self.direction, "texts": dict(self._texts)}

    def for_provider(self) -> dict[str, object]:
        """Return the texts that the provider's script shows, which has none of its own, with their language."""
        shown = {key: text for key, text in self._texts.items() if key.partition(".")[0] in PROVIDER_GROUPS}
        return {"language": self.language, "direction": self.direction, "texts": shown}


@cache
def language_names() -> tuple[str, ...]:
    """Return the codes of the languages that there are."""
    return tuple(sorted(file.stem for file in LANGUAGES.glob("*.json")))


@cache
def texts_of(language: str) -> Mapping[str, str]:
    """Return the texts of a language by key."""
    return msgspec.json.decode((LANGUAGES / f"{language}.json").read_bytes(), type=dict[str, str])


def load_texts(language: str, changes: Mapping[str, str]) -> Texts:
    """Return the texts of a run.

    Args:
        language: a code such as `de`; for `de-AT`, the texts of `de` serve.
        changes: texts that replace those of the catalogue, by key.

    Raises:
        ConfigError: there is no such language, or no such key.
    """
    names = language_names()
    found = language if language in names else language.partition("-")[0]
    if found not in names:
        hint = f"{did_you_mean(language, names)}. Texts of your own go into {TEXTS_KEY}"
        raise ConfigError(f"there are no texts in the language {language!r}", key=LANGUAGE_KEY, hint=hint)
    english = texts_of(DEFAULT_LANGUAGE)
    for key in changes:
        if key not in english:
            raise ConfigError(f"there is no text {key!r}", key=TEXTS_KEY, hint=did_you_mean(key, english))
    texts = {**english, **texts_of(found), **changes}
    return Texts(language, texts, is_changed=bool(changes) or found != DEFAULT_LANGUAGE)
