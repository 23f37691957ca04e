"""The browser tests' needs: Chromium and npm. Without them they are skipped, in CI they fail."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from .browser import BrowserProcess
from .browser_harness import ROOT, BrowserHarness, RouterKind, Tools
from .npm_projects import NpmFailedError, build, staged

HERE = Path(__file__).parent
NODE_ROUTER = ROOT / "adapters" / "architects" / "router" / "node"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


def cannot_run(why: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI skips nothing: {why}")
    pytest.skip(why)


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Copies a node project, with its packages, or skips."""
    folder = tmp_path_factory.mktemp("projects")

    def copy(project: Path) -> Path:
        for program in ("node", "npm"):
            if shutil.which(program) is None:
                cannot_run(f"{program} is not installed")
        try:
            return staged(project, folder)
        except NpmFailedError as failure:
            cannot_run(str(failure))

    return copy


@pytest.fixture(scope="session")
def node() -> str:
    """Path of Node, or skips."""
    found = shutil.which("node")
    if found is None:
        cannot_run("node is not installed")
    return found


@pytest.fixture(scope="session")
def chromium() -> str:
    found = [path for name in CHROMIUM_NAMES if (path := shutil.which(name))]
    if not found:
        cannot_run("Chromium is not installed (on Debian: apt-get install chromium)")
    return found[0]


@pytest.fixture(scope="session")
def driver(projects: Callable[[Path], Path]) -> Path:
    return projects(HERE / "driver")


@pytest.fixture(scope="session")
def browser_process(chromium: str, driver: Path) -> Iterator[BrowserProcess]:
    process = BrowserProcess(driver, chromium)
    yield process
    process.close()


@pytest.fixture(scope="session")
def tools(browser_process: BrowserProcess, projects: Callable[[Path], Path]) -> Tools:
    return Tools(browser_process, build(projects(HERE / "react_page")))


@pytest.fixture(scope="session")
def node_router(projects: Callable[[Path], Path]) -> Path:
    return projects(NODE_ROUTER)


@pytest.fixture(params=["python", "node"])
def router_kind(request: pytest.FixtureRequest) -> RouterKind:
    """Return the router; each test runs against both."""
    if request.param == "node":
        folder: Path = request.getfixturevalue("node_router")
        return RouterKind("node", ["node", "server.js"], folder)
    module = "mephisto_es.adapters.architects.router.python"
    return RouterKind("python", [sys.executable, "-m", module], ROOT)


@pytest.fixture
def artefacts(request: pytest.FixtureRequest) -> Path:
    """Return the folder for screenshots and traces of a test."""
    test = f"{request.path.stem}-{request.node.name}"
    folder = ROOT / "artefacts" / "browser" / re.sub(r"[^\w-]+", "-", test).strip("-")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def harness(tools: Tools, router_kind: RouterKind, tmp_path: Path, artefacts: Path) -> BrowserHarness:
    return BrowserHarness(tools, router_kind, tmp_path, artefacts)
