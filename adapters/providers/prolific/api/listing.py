"""Reads lists that Prolific gives page by page.

Documentation: https://docs.prolific.com/documentation/get-started/api-fundamentals (`limit`, `offset`, `meta.count`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Generic, TypeVar

import msgspec

from ...api.calls import Repeat, SiteCall, json_as
from ...api.transport import SiteTransport

Item = TypeVar("Item")

PAGE_SIZE = 200
#: A list of more pages is an error of the site's: it would never end.
MAX_PAGES = 5000


class ListMeta(msgspec.Struct, frozen=True):
    """Facts about the whole list."""

    count: int | None = None


class ListPage(msgspec.Struct, Generic[Item], frozen=True):
    """One page of a list."""

    results: list[Item]
    meta: ListMeta | None = None


async def list_items(
    transport: SiteTransport,
    operation: str,
    path: str,
    item: type[Item],
    query: Mapping[str, str] | None = None,
) -> AsyncGenerator[Item]:
    """Yield the items of a list, page by page.

    Items that appear while it is read can be missing or come twice: compare ids.

    Raises:
        SiteError: a page could not be had.
    """
    read = json_as(ListPage[item])  # type: ignore[valid-type]  # the item's type is a value here
    seen = 0
    for _ in range(MAX_PAGES):
        got = await transport.call(
            SiteCall(
                operation=operation,
                method="GET",
                path=path,
                query={**(query or {}), "limit": str(PAGE_SIZE), "offset": str(seen)},
                read=read,
                repeat=Repeat.READ,
            )
        )
        for one in got.results:
            yield one
        seen += len(got.results)
        total = got.meta.count if got.meta else None
        if not got.results or (total is not None and seen >= total):
            return


async def all_items(
    transport: SiteTransport, operation: str, path: str, item: type[Item], query: Mapping[str, str] | None = None
) -> list[Item]:
    """Return the whole list.

    Raises:
        SiteError: a page could not be had.
    """
    async with aclosing(list_items(transport, operation, path, item, query)) as items:
        return [one async for one in items]
