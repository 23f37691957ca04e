"""Knows which of a run's routers have an agent's page, and whether a page that one of them misses is gone.

A page may move from router to router: a load balancer sends it elsewhere, or its router dies. The router that it left
misses it and says so, which does not mean that the worker has gone.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum, auto


class PageAbsence(Enum):
    """The meaning of a router's report that it misses a page."""

    #: The page is gone.
    GONE = auto()
    #: No other router has it, as far as is known: a connection may be dead without anybody having noticed.
    LIKELY = auto()
    #: The page is at another router.
    ELSEWHERE = auto()
    #: A router that may have the page has not said so yet, or cannot be reached.
    UNCLEAR = auto()


class PagePresence:
    """The pages of a run with one or several routers, by the tokens of their agents."""

    def __init__(self) -> None:
        self._channels: set[str] = set()
        #: Channels whose routers have said which pages they watch since they connected.
        self._heard: set[str] = set()
        #: The channels of the routers that will report the page if they miss it.
        self._watchers: dict[str, set[str]] = {}
        #: The channel through which the page was given its agent last, until it opens a socket.
        self._answered: dict[str, str] = {}
        self._unclear: set[str] = set()
        #: Pages of routers that will not come back, until they show themselves at another one.
        self._moving: set[str] = set()

    def add_channel(self, channel_id: str) -> None:
        """Note that the run has one more router."""
        self._channels.add(channel_id)

    def lose_channel(self, channel_id: str) -> None:
        """Note that a router will not come back: its pages need a moment to move to another one."""
        self._channels.discard(channel_id)
        self._heard.discard(channel_id)
        for token, watchers in self._watchers.items():
            if channel_id in watchers:
                watchers.discard(channel_id)
                self._moving.add(token)

    def restart(self, channel_id: str) -> None:
        """Note that a router has connected anew: until it says so, nobody knows which pages it has."""
        self._heard.discard(channel_id)

    def list_pages(self, channel_id: str, tokens: Collection[str]) -> None:
        """Note all pages that a router watches."""
        self._heard.add(channel_id)
        self._unclear.difference_update(tokens)
        self._moving.difference_update(tokens)
        for watchers in self._watchers.values():
            watchers.discard(channel_id)
        for token in tokens:
            self._watchers.setdefault(token, set()).add(channel_id)

    def see(self, token: str, channel_id: str) -> bool:
        """Note that a page has shown itself at a router; return whether it was not there before."""
        self._answered.pop(token, None)
        self._unclear.discard(token)
        self._moving.discard(token)
        watchers = self._watchers.setdefault(token, set())
        is_new = channel_id not in watchers
        watchers.add(channel_id)
        return is_new

    def answer(self, token: str, channel_id: str) -> None:
        """Note that a page has been given its agent through a router; it need not open a socket."""
        self._answered[token] = channel_id

    def miss(self, token: str, channel_id: str, away: Collection[str]) -> PageAbsence:
        """Note that a router misses a page; return what that means.

        If it is likely or unclear, `settle` says later whether the page is gone.

        Args:
            token: the token of the page's agent.
            channel_id: the channel of the router that misses it.
            away: channels whose routers cannot be reached at the moment. The page may have moved there unnoticed.
        """
        watchers = self._watchers.get(token, set())
        was_watched = channel_id in watchers
        watchers.discard(channel_id)
        others = self._channels - {channel_id}
        if watchers & self._heard:
            return PageAbsence.ELSEWHERE
        asked_elsewhere = self._answered.get(token, channel_id) in others
        if asked_elsewhere and not was_watched:
            return PageAbsence.ELSEWHERE
        if token in self._moving or asked_elsewhere or not others <= self._heard.difference(away):
            self._unclear.add(token)
            return PageAbsence.UNCLEAR
        if others:
            self._unclear.add(token)
            return PageAbsence.LIKELY
        return PageAbsence.GONE

    def is_unclear(self, token: str) -> bool:
        """Return whether a page is missed that has not shown itself since."""
        return token in self._unclear

    def settle(self, token: str) -> bool:
        """Return whether a page is gone of which that was unclear."""
        is_gone = token in self._unclear
        self._unclear.discard(token)
        return is_gone

    def places(self, token: str) -> set[str]:
        """Return the channels of the routers that have a page, as far as is known."""
        return self._watchers.get(token, set())

    def drop(self, token: str) -> None:
        """Forget an agent whose work has ended."""
        self._moving.discard(token)
        self._watchers.pop(token, None)
        self._answered.pop(token, None)
        self._unclear.discard(token)
