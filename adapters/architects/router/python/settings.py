"""Reads the router's settings from the environment, and checks them once at the start.

Everything comes from the environment because command lines can be read by every user of the machine.
"""

import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from .errors import StartError

PREFIX = "MEPHISTO_ROUTER_"

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Wait = Annotated[float, msgspec.Meta(ge=0)]
Rate = Annotated[float, msgspec.Meta(gt=0)]
Amount = Annotated[int, msgspec.Meta(ge=1)]


class Secret:
    """The run's secret: it can be compared, but not displayed."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value.encode()

    def matches(self, offered: str) -> bool:
        """Compare `offered` with the secret, in a time that does not depend on where they differ."""
        return hmac.compare_digest(self._value, offered.encode("utf-8", "surrogatepass"))

    def __repr__(self) -> str:
        return "Secret(...)"


def _variable(field: str) -> str:
    """Return the name of a field's variable; hosting platforms prescribe the names for host and port."""
    return field.upper() if field in ("host", "port") else PREFIX + field.upper()


class RouterSettings(msgspec.Struct, frozen=True, kw_only=True, rename=_variable):
    """All settings; each variable is the field's name in capitals, behind `PREFIX` except for host and port."""

    #: Directory of the journal and the uploads.
    data: str
    #: Directory of the page: index.html, bundle.js, wrap_crowd_source.js, task_config.json. Without it the operator
    #: sends the page.
    static: str = ""
    #: Number of an inherited listening socket; without it `host` and `port` are bound.
    fd: Annotated[int, msgspec.Meta(ge=0)] | None = None
    host: str = "127.0.0.1"
    #: Release of the package that the router is part of.
    version: str = ""
    #: 0 takes any free port.
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    #: How long a page waits for the operator before it is asked to try again.
    request_deadline_seconds: Seconds = 25
    #: How long pages are kept alive while no operator is attached.
    operator_grace_seconds: Seconds = 600
    #: Silence after which an attached operator counts as away.
    operator_silence_seconds: Seconds = 30
    #: Silence (or absence) after which an agent is reported as disconnected.
    heartbeat_limit_seconds: Seconds = 15
    #: Time without an operator after which the process ends itself.
    orphan_seconds: Seconds = 3600
    #: How long the answer to a submission waits for the operator's commit; then the journal's word has to do.
    commit_wait_seconds: Wait = 0
    #: How long a client may pause: before the head of a request, within its body, before a socket's first packet.
    idle_seconds: Seconds = 75
    #: Size of a JSON body, and of all text fields of a form together.
    max_body_bytes: Amount = 10 * 2**20
    #: Size of a form including its files.
    max_upload_bytes: Amount = 2**30
    #: Size of one WebSocket message from a page.
    max_packet_bytes: Amount = 2**20
    #: Size of all packets that wait for the operator's acknowledgement.
    max_outbox_bytes: Amount = 256 * 2**20
    #: Sockets that may be open at once.
    max_sockets: Amount = 10_000
    #: Live updates kept for one agent while its socket is down.
    max_kept_per_agent: Amount = 1000
    #: Web servers of ours in front, each of which adds to `X-Forwarded-For` for whom it asks.
    trusted_proxies: Annotated[int, msgspec.Meta(ge=0)] = 0
    #: Requests for an agent that may come from one address at once.
    max_requests_per_address: Amount = 120
    #: Requests for an agent that may come from one address in each second, in the long run.
    requests_per_second_per_address: Rate = 4
    #: Requests for an agent that may come for one worker at once.
    max_requests_per_worker: Amount = 20
    #: Requests for an agent that may come for one worker in each second, in the long run.
    requests_per_second_per_worker: Rate = 0.5


def read_settings(environment: Mapping[str, str]) -> RouterSettings:
    """Build the settings from environment variables.

    Raises:
        StartError: a variable is missing or has an impossible value, or the page's directory does not exist.
    """
    try:
        settings = msgspec.convert(dict(environment), RouterSettings, strict=False)
    except msgspec.ValidationError as error:
        raise StartError(f"The router cannot start with this environment: {error}.") from error
    if settings.static and not Path(settings.static).is_dir():
        raise StartError(f"{PREFIX}STATIC names {settings.static}, which is not a directory.")
    return settings


def read_secret(environment: Mapping[str, str]) -> Secret:
    """Read the run's secret from `MEPHISTO_ROUTER_SECRET`, or from the file named by `..._SECRET_FILE`.

    Raises:
        StartError: neither is set, the file cannot be read, or the secret is empty.
    """
    value = environment.get(PREFIX + "SECRET", "")
    path = environment.get(PREFIX + "SECRET_FILE", "")
    if not value and path:
        try:
            value = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"{PREFIX}SECRET_FILE names {path}, which cannot be read.") from error
    if not value:
        raise StartError(f"The run's secret is missing: set {PREFIX}SECRET or {PREFIX}SECRET_FILE.")
    return Secret(value)
