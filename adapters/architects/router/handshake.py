"""Asks a router on another machine who it is, without changing anything there."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec

from ....core.errors import ConfigError

#: Time that a router has to answer.
ANSWER_SECONDS = 20.0
URLS_KEY = "mephisto.architect.urls"
CA_FILE_KEY = "mephisto.architect.ca_file"


class RouterFigures(msgspec.Struct, frozen=True):
    """The part of a router's figures that says who it is."""

    #: `own`: its own page; `none`: it waits for a run; `of a run`: it belongs to one.
    page: str
    operator_attached: bool
    #: Packets of workers that its run has yet to take.
    outbox_length: int
    version: str


def check_root_url(url: str, key: str) -> None:
    """Check that pages can be opened at an address: they request everything from its root.

    Raises:
        ConfigError: they cannot.
    """
    if not _is_root(url):
        raise ConfigError(f"{key} is {url!r}", key=key, hint="Write it like https://tasks.example.org, without a path")


def check_is_encrypted(url: str) -> None:
    """Check that nobody on the way can read what is sent to an address.

    Raises:
        ConfigError: everybody can.
    """
    address = urlsplit(url)
    if address.scheme != "https" and not _is_here(address.hostname or ""):
        raise ConfigError(
            f"{url} is not encrypted: everybody on the way could read the secret and the work",
            key=URLS_KEY,
            hint="Put a web server with TLS in front of the router and write https://, or, in a network of your own,"
            " set mephisto.architect.allow_plain_http=true",
        )


def trusted_authorities(ca_file: str | None) -> ssl.SSLContext | None:
    """Return the authorities in a file; None for the usual ones.

    Raises:
        ConfigError: the file has none.
    """
    if ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=Path(ca_file).expanduser())
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{CA_FILE_KEY} is {ca_file!r}, which has no certificate that can be read", key=CA_FILE_KEY
        ) from error


def shake_hands(url: str, secret: str, trusted: ssl.SSLContext | None) -> RouterFigures:
    """Return who the router at an address is; blocks.

    Args:
        url: without a slash at the end.
        secret: the router's.
        trusted: the trusted authorities; None for the usual ones.

    Raises:
        ConfigError: nothing answers there, the certificate is not trusted, it has another secret, is of another
            version, serves a page of its own, or is no router.
    """
    try:
        answer = httpx.get(
            f"{url}/counters",
            headers={"Authorization": f"Bearer {secret}"},
            timeout=ANSWER_SECONDS,
            trust_env=False,
            verify=url.startswith("https:") if trusted is None else trusted,
        )
    except httpx.HTTPError as error:
        raise _unreachable(url, error) from error
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise ConfigError(
            f"the router at {url} was started with another secret",
            key="mephisto.architect.secret_file",
            hint="Copy the file with the secret from the router's machine",
        )
    if answer.status_code in (httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.GATEWAY_TIMEOUT):
        raise ConfigError(
            f"a web server answers at {url}, but the router behind it does not (status {answer.status_code})",
            key=URLS_KEY,
            hint="On its machine: systemctl status mephisto-es-router",
        )
    try:
        figures = msgspec.json.decode(answer.content, type=RouterFigures)
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"the server at {url} is not a router of this version",
            key=URLS_KEY,
            hint="Start one there: mephisto-es router serve",
        ) from error
    check_fits(url, figures, version("mephisto-es"))
    return figures


def check_fits(url: str, figures: RouterFigures, ours: str) -> None:
    """Check that a router can serve runs of an operator.

    Args:
        url: where it is.
        figures: what it says of itself.
        ours: the version of the operator.

    Raises:
        ConfigError: it cannot.
    """
    if figures.page == "own":
        raise ConfigError(
            f"the router at {url} was started with a page of its own",
            key=URLS_KEY,
            hint="Start it with `mephisto-es router serve`: the operator sends the page",
        )
    if figures.version != ours:
        raise ConfigError(
            f"the router at {url} is of version {figures.version or 'unknown'}, and this is {ours}",
            key=URLS_KEY,
            hint="Install the same version on both machines",
        )


def check_is_free(url: str, figures: RouterFigures) -> None:
    """Check that a router belongs to no run.

    Raises:
        ConfigError: it does.
    """
    if figures.page != "none":
        operator = "attached" if figures.operator_attached else "away"
        raise ConfigError(
            f"the router at {url} serves another run, whose operator is {operator}",
            key=URLS_KEY,
            hint="End that run with `mephisto-es end`, or resume it; or use another router",
        )


def _unreachable(url: str, error: httpx.HTTPError) -> ConfigError:
    tls = next((cause for cause in _causes(error) if isinstance(cause, ssl.SSLError)), None)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return ConfigError(
            f"the certificate of {url} is not trusted: {tls.verify_message}",
            key=URLS_KEY,
            hint=f"Use one of a public authority, as Caddy does by itself, or name your own with {CA_FILE_KEY}",
        )
    if tls is not None:
        return ConfigError(
            f"the server at {url} does not speak TLS",
            key=URLS_KEY,
            hint="Is that the port of the web server, and not of the router behind it?",
        )
    reason = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
    return ConfigError(
        f"the router at {url} {reason}",
        key=URLS_KEY,
        hint="Does it run there, and does the firewall of its machine let the port through?",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_root(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_host = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an invalid port, or brackets around something that is no address
        return False
    has_more = parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment
    return has_host and not has_more


def _is_here(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
