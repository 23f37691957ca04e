"""Uploaded files, and how an operator gets them from routers that die."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import trio

from mephisto_es.adapters.architects.memory.architect import save_memory_file
from mephisto_es.adapters.architects.memory.router import PageFile
from mephisto_es.core.errors import ProtocolError, UploadGoneError

from .faults import Router

#: Seconds that a file takes, or a part of it.
FILE_SECONDS = (0.0, 5.0)
FILE_BYTES = (0, 3000)


@dataclass
class FileTransfers:
    """The way of files from routers to the operator, which fails in several ways.

    Attributes:
        done: what happened, by kind.
    """

    chance: Random
    done: Counter[str] = field(default_factory=Counter)
    _cut: set[str] = field(default_factory=set)

    def some_files(self) -> Sequence[PageFile]:
        """Return the files of a submission: none, one or two."""
        return [
            PageFile("answer", f"{number}.bin", self.chance.randbytes(self.chance.randint(*FILE_BYTES)))
            for number in range(self.chance.choice([0, 1, 2]))
        ]

    async def download(self, routers: Sequence[Router], name: str, folder: Path) -> Path:
        """Save a file in parts, or fail; the process may end in between.

        Raises:
            UploadGoneError: no router has it.
            ProtocolError: a router is away, or the transfer failed.
        """
        await trio.sleep(self.chance.uniform(*FILE_SECONDS))
        for router in routers:
            if router.is_up and name in router.files:
                if self.chance.randrange(5) == 0:
                    self.done["file not sent"] += 1
                    raise ProtocolError("the transfer failed")
                content = router.files[name]
                (folder / name).write_bytes(content[: len(content) // 2])
                await trio.sleep(self.chance.uniform(*FILE_SECONDS))
                if content and name not in self._cut and self.chance.randrange(5) == 0:
                    # Once only: a file that comes wrong every time is given up.
                    self._cut.add(name)
                    self.done["file cut short"] += 1
                    return folder / name
                self.done["file fetched"] += 1
                return save_memory_file(router, name, folder)
        if all(router.is_up for router in routers):
            raise UploadGoneError(name)
        raise ProtocolError("a router is away")

    async def drop(self, routers: Sequence[Router], name: str) -> None:
        """Let the router that has a file forget it.

        Raises:
            ProtocolError: a router is away.
        """
        await trio.sleep(self.chance.uniform(*FILE_SECONDS))
        for router in routers:
            if not router.is_up:
                raise ProtocolError("a router is away")
            router.files.pop(name, None)
