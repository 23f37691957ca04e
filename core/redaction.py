"""Keeps secrets out of events, log lines and printed configurations.

A value counts as a secret by its name (`api_key`, `password`), by its shape (an access key of a cloud, a URL with a
password), or because the same text occurs under such a name elsewhere. Redacting a harmless value is better than
missing a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import cast

from omegaconf import DictConfig, OmegaConf

REDACTED = "<redacted>"

#: Minimum length of secrets that are replaced everywhere; shorter ones occur in other text by chance, and are replaced
#: only under their own names.
MIN_TRACED_LENGTH = 6

#: Settings that hold environment variables for a server; only their values are secret.
_SECRET_SECTIONS = frozenset({"heroku_config_args"})

#: Settings that say where a secret is kept.
_PLACES = ("secret_file",)

_SECRET_NAME = re.compile(
    r"token|secret|passw|passphrase|credential|authorization|cookie|private"
    r"|(?:^|_)(?:pwd|auth|dsn)(?:_|$)"
    r"|(?:^|_)(?:api|access|account|auth|client|encryption|master|secret|signing|ssh)?keys?(?:_|$)"
)

_SECRET_TEXT = re.compile(
    r"""
      (?<=://)[^/@\s]+(?=@)                                # user:password@ of a URL
    | -----BEGIN[ A-Z]*PRIVATE\ KEY-----.*?(?:-----END[ A-Z]*PRIVATE\ KEY-----|\Z)
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                         # access key id
    | \b(?:gh[opsur]_|github_pat_|glpat-|xox[abprs]-|sk-|hf_|HRKU-)[0-9A-Za-z_-]{16,}
    | \beyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]*    # signed web token
    | (?<=Bearer\ )[0-9A-Za-z._~+/=-]{8,}
    | (?<=password=)[^\s&;,]+ | (?<=passwd=)[^\s&;,]+ | (?<=secret=)[^\s&;,]+
    | (?<=token=)[^\s&;,]+ | (?<=_key=)[^\s&;,]+ | (?<=apikey=)[^\s&;,]+
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_ENVIRONMENT_REFERENCE = re.compile(r"\$\{oc\.env:\s*([A-Za-z_][A-Za-z0-9_]*)")
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@lru_cache(maxsize=4096)
def looks_secret(name: str) -> bool:
    """Return whether a value of this name may be a secret."""
    words = _CAMEL_HUMP.sub("_", name).lower().replace("-", "_").replace(".", "_")
    return _SECRET_NAME.search(words) is not None and not words.endswith(_PLACES)


def redacted_text(text: str) -> str:
    """Return a text without the parts that have the shape of a secret."""
    return _SECRET_TEXT.sub(REDACTED, text)


def redacted(config: Mapping[str, object] | DictConfig) -> dict[str, object]:
    """Return a plain copy of a configuration that may be stored and printed: names kept, secrets replaced.

    Interpolations are resolved, so the copy has the values that a run uses. A secret that is referred to from
    elsewhere, or comes from an environment variable that may hold a secret, is replaced wherever its text occurs.

    Raises:
        omegaconf.errors.OmegaConfBaseException: an interpolation of a `DictConfig` cannot be resolved.
    """
    plain: Mapping[str, object] = config
    known: set[str] = set()
    if isinstance(config, DictConfig):
        known.update(_environment_secrets(OmegaConf.to_container(config, resolve=False)))
        resolved = OmegaConf.to_container(config, resolve=True, enum_to_str=True)
        plain = cast("Mapping[str, object]", resolved)  # a DictConfig always becomes a dict
    known.update(_secrets_within(plain, hidden=False))
    traced = sorted((secret for secret in known if len(secret) >= MIN_TRACED_LENGTH), key=len, reverse=True)
    return {str(name): _cleaned(value, _hides(str(name)), traced) for name, value in plain.items()}


def _hides(name: str) -> bool:
    return name in _SECRET_SECTIONS or looks_secret(name)


def _is_shown(value: object) -> bool:
    """Return whether a value is harmless even under the name of a secret: unset, empty, yes or no."""
    return value is None or isinstance(value, bool) or value in ("", "???")


def _cleaned(value: object, hidden: bool, traced: list[str]) -> object:
    if isinstance(value, Mapping):
        return {str(name): _cleaned(held, hidden or _hides(str(name)), traced) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(held, hidden, traced) for held in value]
    if _is_shown(value):
        return value
    if hidden or isinstance(value, bytes):
        return REDACTED
    if isinstance(value, int | float):
        return value
    text = str(value)
    for secret in traced:
        text = text.replace(secret, REDACTED)
    return redacted_text(text)


def _secrets_within(value: object, *, hidden: bool) -> Iterator[str]:
    """Yield every value under the name of a secret, at any depth."""
    if isinstance(value, Mapping):
        for name, held in value.items():
            yield from _secrets_within(held, hidden=hidden or _hides(str(name)))
    elif isinstance(value, list | tuple):
        for held in value:
            yield from _secrets_within(held, hidden=hidden)
    elif hidden and not _is_shown(value):
        yield str(value)


def _environment_secrets(value: object) -> Iterator[str]:
    """Yield the values of environment variables with names of secrets that an unresolved configuration refers to."""
    if isinstance(value, Mapping):
        for held in value.values():
            yield from _environment_secrets(held)
    elif isinstance(value, list | tuple):
        for held in value:
            yield from _environment_secrets(held)
    elif isinstance(value, str):
        for variable in _ENVIRONMENT_REFERENCE.findall(value):
            if looks_secret(variable) and variable in os.environ:
                yield os.environ[variable]
