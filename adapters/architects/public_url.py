"""The address at which workers reach a server that stands behind another."""

from __future__ import annotations

from urllib.parse import urlsplit

from ...core.errors import ConfigError

KEY = "mephisto.architect.public_url"


def check_public_url(url: str | None) -> None:
    """See whether pages can be opened there: they ask for everything from the root of where they were loaded from.

    Raises:
        ConfigError: they cannot.
    """
    if url is None:
        return
    if not _is_root(url):
        raise ConfigError(f"{KEY} is {url!r}", key=KEY, hint="It is like https://tasks.example.org, without a path")


def _is_root(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_place = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, an address in brackets that is none
        return False
    has_more = parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment
    return has_place and not has_more
