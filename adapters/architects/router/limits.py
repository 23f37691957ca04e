"""Turns the limits of a router into settings of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

from ....core.abstractions.args import ArchitectArgs
from ....core.errors import ConfigError

#: A body goes to the operator in one frame of the channel, which has a limit of its own.
MAX_BODY_BYTES = 32 * 2**20
#: The usual `commit_wait_seconds` of a router on another machine.
REMOTE_COMMIT_WAIT_SECONDS = 2.0
_MIB = 2**20


@dataclass
class RouterArgs(ArchitectArgs):
    """Settings of an architect that runs one of the routers; the defaults are the routers' own."""

    request_deadline_seconds: float = field(
        default=25.0,
        metadata={"help": "How long a page waits for the operator before it is asked to try again."},
    )
    operator_grace_seconds: float = field(
        default=600.0, metadata={"help": "How long pages are kept alive while no operator is attached."}
    )
    operator_silence_seconds: float = field(
        default=30.0,
        metadata={"help": "How long an operator may answer no ping before the router counts it as away."},
    )
    heartbeat_limit_seconds: float = field(
        default=15.0,
        metadata={
            "help": "How long a live page may be silent before its worker counts as gone; it sends a heartbeat every 6."
        },
    )
    orphan_seconds: float = field(
        default=3600.0, metadata={"help": "How long the router runs without an operator before it ends itself."}
    )
    commit_wait_seconds: float = field(
        default=0.0,
        metadata={
            "help": "How long the answer to a submission waits until it is in the log; after that, and without an"
            " operator, the router's own disk has to do. On another machine 2 seconds are usual."
        },
    )
    idle_seconds: float = field(
        default=75.0,
        metadata={
            "help": "How long a client may pause within a request, between two, or before a socket's first packet."
        },
    )
    max_body_bytes: int = field(
        default=10 * _MIB,
        metadata={"help": "The largest JSON body of a page, and the largest size of all text fields of a form."},
    )
    max_upload_bytes: int = field(
        default=1024 * _MIB, metadata={"help": "The largest form a page may send, its files included."}
    )
    max_packet_bytes: int = field(default=_MIB, metadata={"help": "The largest message on a page's socket."})
    max_outbox_bytes: int = field(
        default=256 * _MIB, metadata={"help": "How much may wait for the operator; beyond it pages are refused."}
    )
    max_sockets: int = field(default=10_000, metadata={"help": "How many pages may have a socket open at once."})
    max_kept_per_agent: int = field(
        default=1000, metadata={"help": "How many messages are kept for a page while its socket is down."}
    )

    trusted_proxies: int = field(
        default=0,
        metadata={
            "help": "How many web servers of yours are in front of the router and add to `X-Forwarded-For`; at least"
            " one with a `public_url`, and on Heroku."
        },
    )
    max_requests_per_address: int = field(
        default=120, metadata={"help": "How many requests for work may come from one address at once."}
    )
    requests_per_second_per_address: float = field(
        default=4.0, metadata={"help": "How many requests for work may come from one address in the long run."}
    )
    max_requests_per_worker: int = field(
        default=20, metadata={"help": "How many requests for work may come for one worker at once."}
    )
    requests_per_second_per_worker: float = field(
        default=0.5, metadata={"help": "How many requests for work may come for one worker in the long run."}
    )


_LIMITS = tuple(
    limit for limit in fields(RouterArgs) if limit.name not in {inherited.name for inherited in fields(ArchitectArgs)}
)
_TRUSTED_PROXIES = "trusted_proxies"
_MAY_BE_ZERO = {_TRUSTED_PROXIES, "commit_wait_seconds"}
_MAXIMA = {"max_body_bytes": MAX_BODY_BYTES, "max_packet_bytes": MAX_BODY_BYTES}


def check_router_limits(args: RouterArgs) -> None:
    """Check that a router can keep to the limits.

    Raises:
        ConfigError: it cannot keep to one; the message names it.
    """
    for limit in _LIMITS:
        value: float = getattr(args, limit.name)
        maximum = _MAXIMA.get(limit.name, math.inf)
        is_enough = value > 0 or (value == 0 and limit.name in _MAY_BE_ZERO)
        if not (is_enough and value <= maximum and math.isfinite(value)):
            key = f"mephisto.architect.{limit.name}"
            hint = "It must be more than 0" + ("" if maximum == math.inf else f" and at most {maximum}")
            raise ConfigError(f"{key} is {value}", key=key, hint=hint)


def changed_limits(args: RouterArgs, *, is_proxied: bool) -> dict[str, str]:
    """Return the limits that differ from the routers' own, by their environment variables without prefix.

    Args:
        args: the settings of the run.
        is_proxied: workers come through a web server.
    """
    values = {limit.name: getattr(args, limit.name) for limit in _LIMITS if getattr(args, limit.name) != limit.default}
    if is_proxied:
        values.setdefault(_TRUSTED_PROXIES, 1)
    return {name.upper(): str(value) for name, value in values.items()}
