"""What the router is told by its environment, checked once at the start."""

import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

PREFIX = "MEPHISTO_ROUTER_"

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Amount = Annotated[int, msgspec.Meta(ge=1)]


class SettingsError(Exception):
    """The environment does not describe a router; says which variable and what to do."""


class Secret:
    """The run's secret: can be compared, never shown."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value.encode()

    def matches(self, offered: str) -> bool:
        """Tell whether `offered` is the secret, in a time that does not depend on where it differs."""
        return hmac.compare_digest(self._value, offered.encode("utf-8", "surrogatepass"))

    def __repr__(self) -> str:
        return "Secret(...)"


def _variable(field: str) -> str:
    """Name a field's variable; hosting platforms have their own way to say where to listen."""
    return field.upper() if field in ("host", "port") else PREFIX + field.upper()


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename=_variable):
    """Every knob of the router; the variable is the field's name in capitals, mostly behind `PREFIX`."""

    #: Directory of the page: index.html, bundle.js, wrap_crowd_source.js, task_config.json.
    static: str
    #: Directory of the journal and the uploads.
    data: str
    #: Number of an inherited listening socket; without it `host` and `port` are bound.
    fd: Annotated[int, msgspec.Meta(ge=0)] | None = None
    host: str = "127.0.0.1"
    #: 0 takes any free port.
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    #: How long a page waits for the operator before it is told to try again.
    request_deadline_seconds: Seconds = 25
    #: How long pages are kept alive while no operator is attached.
    operator_grace_seconds: Seconds = 600
    #: Silence (or absence) after which an agent is reported as disconnected.
    heartbeat_limit_seconds: Seconds = 15
    #: Time without an operator after which the process ends itself.
    orphan_seconds: Seconds = 3600
    #: How long a client may let us wait: for the head of a request, for more of a body, for a socket's first word.
    idle_seconds: Seconds = 75
    max_body_bytes: Amount = 10 * 2**20
    max_upload_bytes: Amount = 2**30
    max_packet_bytes: Amount = 2**20
    max_outbox_bytes: Amount = 256 * 2**20
    max_sockets: Amount = 10_000
    #: Packets kept for one agent while its socket is down.
    max_kept_per_agent: Amount = 1000


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Build the settings from environment variables.

    Raises:
        SettingsError: a variable is missing or has a value it cannot have.
    """
    try:
        return msgspec.convert(dict(environment), Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"The router cannot start with this environment: {error}.") from error


def read_secret(environment: Mapping[str, str]) -> Secret:
    """Take the run's secret from `MEPHISTO_ROUTER_SECRET`, or from the file named by `..._SECRET_FILE`.

    Raises:
        SettingsError: neither is set, the file cannot be read, or the secret is empty.
    """
    value = environment.get(PREFIX + "SECRET", "")
    path = environment.get(PREFIX + "SECRET_FILE", "")
    if not value and path:
        try:
            value = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{PREFIX}SECRET_FILE names a file that cannot be read: {path}.") from error
    if not value:
        raise SettingsError(f"The router needs the run's secret: set {PREFIX}SECRET or {PREFIX}SECRET_FILE.")
    return Secret(value)
