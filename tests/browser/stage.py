"""Everything of one browser test: a router process, a scripted operator, a browser."""

import secrets
import shutil
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import trio

from .browser import Browser, Page, open_browser
from .router_process import RouterProcess
from .scripted_operator import ScriptedOperator
from .scripts import Script

#: A whole browser test, on a busy machine.
TEST_TIMEOUT_SECONDS = 120

ROOT = Path(__file__).resolve().parents[2]
CLIENT = ROOT / "adapters" / "blueprints" / "page"
STOCK_PAGE = ROOT / "adapters" / "blueprints" / "static_task_page"
CHAT_PAGE = ROOT / "examples" / "paired_chat" / "page"
MOCK_PROVIDER = ROOT / "adapters" / "providers" / "mock_page"


@dataclass(frozen=True)
class Tools:
    """What the machine needs to have, made ready once a session."""

    chromium: str
    driver: Path
    react_build: Path


@dataclass(frozen=True)
class RouterKind:
    """How one of the routers is started."""

    name: str
    command: list[str]
    folder: Path


@dataclass
class Stage:
    """What a test works with."""

    router: RouterProcess
    operator: ScriptedOperator
    browser: Browser
    nursery: trio.Nursery

    def address(self, worker: str, assignment: str = "1") -> str:
        """Where a worker of the mock provider goes after accepting."""
        return f"{self.router.url}/?worker_id={worker}&assignment_id={assignment}"

    async def visitor(self, worker: str, **options: object) -> Page:
        """A worker who has accepted, in a browser context of their own."""
        page = await self.browser.open(worker, **options)
        await page.visit(self.address(worker))
        return page


def lay_out(folder: Path, parts: Iterable[Path], config: Mapping[str, object]) -> Path:
    """Makes the folder that a router serves.

    Args:
        folder: where to make it.
        parts: files, and folders whose files are taken.
        config: the task's configuration.
    """
    folder.mkdir()
    for part in parts:
        for path in part.iterdir() if part.is_dir() else [part]:
            shutil.copy(path, folder)
    (folder / "task_config.json").write_bytes(msgspec.json.encode(config))
    return folder


@asynccontextmanager
async def staged(
    tools: Tools,
    kind: RouterKind,
    static: Path,
    script: Script,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Stage]:
    """Starts router, operator and browser for the time of the block.

    Args:
        tools: what the machine has.
        kind: the router to test with.
        static: the folder that it serves; its data go beside it.
        script: what the operator does.
        settings: environment of the router, above its defaults.
    """
    secret = secrets.token_hex(16)
    operator = ScriptedOperator(script, secret)
    artefacts = ROOT / "artefacts" / "browser" / static.parent.name
    artefacts.mkdir(parents=True, exist_ok=True)
    with (artefacts / "router.log").open("wb") as log, trio.fail_after(TEST_TIMEOUT_SECONDS):
        data = static.parent / "data"
        router = RouterProcess(kind.command, kind.folder, secret, static, data, settings or {}, log)
        async with trio.open_nursery() as nursery:
            await router.start(nursery)
            nursery.start_soon(operator.serve, router.url)
            async with open_browser(tools.driver, tools.chromium, artefacts) as browser:
                yield Stage(router, operator, browser, nursery)
            nursery.cancel_scope.cancel()
