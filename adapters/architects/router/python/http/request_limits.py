"""Limits how often an address or a worker may ask for an agent, and how often an address may report an error.

Clients on this machine are exempt: simulated crowds and benchmarks come from there.
"""

from collections.abc import Callable

from starlette.requests import Request

from ..rate_limiter import RateLimiter
from ..settings import RouterSettings
from .client_address import client_address

#: Errors that pages at one address may report at once, and in each second after that.
MAX_REPORTS = 20
REPORTS_PER_SECOND = 0.5


class RequestLimits:
    """The rates of requests.

    Args:
        settings: the rates.
        monotonic: returns seconds since any fixed moment.
    """

    def __init__(self, settings: RouterSettings, monotonic: Callable[[], float]) -> None:
        self._trusted_proxies = settings.trusted_proxies
        self._addresses = RateLimiter(
            settings.max_requests_per_address, settings.requests_per_second_per_address, monotonic
        )
        self._workers = RateLimiter(
            settings.max_requests_per_worker, settings.requests_per_second_per_worker, monotonic
        )
        self._reports = RateLimiter(MAX_REPORTS, REPORTS_PER_SECOND, monotonic)

    def allow_request(self, request: Request, worker_name: str) -> bool:
        """Count a request for an agent; return whether it may be put to the operator."""
        address = client_address(request, self._trusted_proxies)
        return address.is_local or (self._addresses.allows(address.key) and self._workers.allows(worker_name))

    def allow_report(self, request: Request) -> bool:
        """Count an error report of a page; return whether it may be passed on."""
        address = client_address(request, self._trusted_proxies)
        return address.is_local or self._reports.allows(address.key)
