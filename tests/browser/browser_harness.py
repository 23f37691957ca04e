"""Everything of one browser test: a router process, a scripted operator, a browser."""

import secrets
import shutil
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import trio

from mephisto_es.core.operations.run.server import WRAPPER_FILE, provider_script
from mephisto_es.core.operations.texts.catalogue import load_texts

from .browser import Browser, BrowserProcess, Page, open_browser
from .router_process import RouterProcess
from .scripted_operator import ScriptedOperator
from .scripts import Script

#: A whole browser test, on a busy machine.
TEST_TIMEOUT_SECONDS = 240

ROOT = Path(__file__).resolve().parents[2]
CLIENT = ROOT / "adapters" / "blueprints" / "page"
STOCK_PAGE = ROOT / "adapters" / "blueprints" / "static_task_page"
BUNDLE_PAGE = ROOT / "adapters" / "blueprints" / "bundle_page"
CHAT_PAGE = ROOT / "examples" / "paired_chat" / "page"
MOCK_PROVIDER = ROOT / "adapters" / "providers" / "mock_page"

#: For tests of what a page does by itself: the router that serves it makes no difference.
one_router = pytest.mark.parametrize("router_kind", ["python"], indirect=True)


@dataclass(frozen=True)
class Tools:
    """Programs prepared once per session."""

    browser: BrowserProcess
    react_build: Path


@dataclass(frozen=True)
class RouterKind:
    """The command that starts a router."""

    name: str
    command: list[str]
    folder: Path


@dataclass
class BrowserSession:
    """The parts that a test uses."""

    router: RouterProcess
    operator: ScriptedOperator
    browser: Browser
    nursery: trio.Nursery

    def address(self, worker: str, assignment: str = "1") -> str:
        """Return the URL for a worker of the mock provider who accepted the task."""
        return f"{self.router.url}/?worker_id={worker}&assignment_id={assignment}"

    async def visitor(self, worker: str, **options: object) -> Page:
        """Open the page for a worker who accepted the task, in a new browser context."""
        page = await self.browser.open(worker, **options)
        await page.visit(self.address(worker))
        return page


@dataclass(frozen=True)
class BrowserHarness:
    """Starts router, operator and browser for one test."""

    tools: Tools
    kind: RouterKind
    #: A folder of the test's own.
    folder: Path
    #: Where screenshots and the router's log are kept.
    artefacts: Path

    @asynccontextmanager
    async def session(
        self,
        parts: Iterable[Path],
        config: Mapping[str, object],
        script: Script,
        settings: Mapping[str, str] | None = None,
    ) -> AsyncIterator[BrowserSession]:
        """Starts router, operator and browser for the time of the block.

        Args:
            parts: what the router serves: files, and folders whose files are taken.
            config: the task's configuration.
            script: what the operator does.
            settings: environment of the router, above its defaults.
        """
        secret = secrets.token_hex(16)
        operator = ScriptedOperator(script, secret)
        with (self.artefacts / "router.log").open("wb") as log, trio.fail_after(TEST_TIMEOUT_SECONDS):
            router = RouterProcess(
                command=self.kind.command,
                folder=self.kind.folder,
                secret=secret,
                static=self._lay_out(parts, config),
                data=self.folder / "data",
                settings=settings or {},
                log=log,
            )
            async with trio.open_nursery() as nursery:
                await router.start(nursery)
                nursery.start_soon(operator.serve, router.url)
                async with open_browser(self.tools.browser, self.artefacts) as browser:
                    yield BrowserSession(router, operator, browser, nursery)
                nursery.cancel_scope.cancel()

    def _lay_out(self, parts: Iterable[Path], config: Mapping[str, object]) -> Path:
        static = self.folder / "static"
        static.mkdir()
        for part in parts:
            for path in part.iterdir() if part.is_dir() else [part]:
                shutil.copy(path, static)
            if part == MOCK_PROVIDER:
                script = static / WRAPPER_FILE
                script.write_bytes(provider_script(script.read_bytes(), {}, load_texts("en", {})))
        (static / "task_config.json").write_bytes(msgspec.json.encode(config))
        return static
