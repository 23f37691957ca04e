"""Both routers, each as a process; what they need is installed here, or the test says what is missing."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import NoReturn

import httpx
import pytest
import trio

from .harness import (
    NO_TLS,
    NODE_ROUTER,
    PATIENCE_SECONDS,
    OperatorLink,
    Router,
    RouterHarness,
    RouterKind,
    python_router,
)

INSTALL_TIMEOUT_SECONDS = 600

#: A page of a few files, as an architect would have prepared it.
PAGE = {
    "index.html": b"<!doctype html><script src='wrap_crowd_source.js'></script><script src='bundle.js'></script>",
    "wrap_crowd_source.js": b"function getWorkerName() { return 'W'; }",
    "bundle.js": b"console.log('bundle');" * 1000,
    "notif.mp3": bytes(range(256)) * 8,
    "task_config.json": b'{"task_description": "rate it", "block_mobile": true, "frame_height": 650}',
}

MakeRouter = Callable[..., Router]
MakeHarness = Callable[[Router], RouterHarness]


def cannot_run(why: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI skips nothing: {why}")
    pytest.skip(why)


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    for name, content in PAGE.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="session", params=["python", "node"])
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RouterKind:
    if request.param == "python":
        return python_router()
    return RouterKind("node", ["node", "server.js"], _staged_node_router(tmp_path_factory.mktemp("node")))


def _staged_node_router(into: Path) -> Path:
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            cannot_run(f"{program} is not installed: the node router is not tested")
    copy = into / "router"
    shutil.copytree(NODE_ROUTER, copy, ignore=shutil.ignore_patterns("node_modules"))
    (copy / "node_modules").symlink_to(_installed_packages(), target_is_directory=True)
    return copy


def _installed_packages() -> Path:
    """The packages of the lock file, installed once into a cache; they appear there whole or not at all."""
    manifests = [NODE_ROUTER / "package.json", NODE_ROUTER / "package-lock.json"]
    key = hashlib.sha256(b"".join(path.read_bytes() for path in manifests)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mephisto-es" / "npm"
    packages = cache / f"router-{key}"
    if not packages.exists():
        aside = cache / f"router-{key}-{os.getpid()}"
        aside.mkdir(parents=True)
        for path in manifests:
            shutil.copy(path, aside)
        done = subprocess.run(
            ["npm", "ci", "--omit=dev", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=aside,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            shutil.rmtree(aside)
            cannot_run(f"the node router's packages cannot be installed: {done.stderr.strip()}")
        aside.rename(packages)
    return packages / "node_modules"


@pytest.fixture(scope="session")
def shared_router(kind: RouterKind, page_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """One process for all tests that need no settings of their own."""
    router = Router(kind, page_folder, tmp_path_factory.mktemp(f"data-{kind.name}"))
    router.start()
    yield router
    router.close()


@pytest.fixture(scope="session")
def tight_router(kind: RouterKind, page_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """One process with tight limits, for the tests of limits."""
    limits = {
        "REQUEST_DEADLINE_SECONDS": "0.3",
        "HEARTBEAT_LIMIT_SECONDS": "0.4",
        "MAX_BODY_BYTES": "100000",
        "MAX_UPLOAD_BYTES": str(2**20),
        "MAX_PACKET_BYTES": "10000",
        "MAX_KEPT_PER_AGENT": "20",
    }
    router = Router(kind, page_folder, tmp_path_factory.mktemp(f"tight-{kind.name}"), limits)
    router.start()
    yield router
    router.close()


@pytest.fixture
def make_router(kind: RouterKind, page_folder: Path, tmp_path: Path) -> Iterator[MakeRouter]:
    """Makes routers of a test's own, with the limits it names; they are not started yet."""
    made: list[Router] = []

    def make(data: str = "data", static: Path = page_folder, **settings: object) -> Router:
        router = Router(kind, static, tmp_path / data, {name.upper(): str(value) for name, value in settings.items()})
        made.append(router)
        return router

    yield make
    for router in made:
        router.close()


@pytest.fixture
async def make_harness(nursery: trio.Nursery) -> AsyncIterator[MakeHarness]:
    """Makes scenes around routers of a test's own."""
    made: list[RouterHarness] = []

    def make(router: Router) -> RouterHarness:
        client = httpx.AsyncClient(base_url=router.url, timeout=PATIENCE_SECONDS, verify=NO_TLS)
        made.append(RouterHarness(router, client, nursery))
        return made[-1]

    yield make
    for harness in made:
        await harness.leave()


@pytest.fixture
async def harness(shared_router: Router, make_harness: MakeHarness) -> RouterHarness:
    """A harness around the router that all tests share."""
    return await cleared(make_harness(shared_router))


@pytest.fixture
async def tight(tight_router: Router, make_harness: MakeHarness) -> RouterHarness:
    """A harness around the router with tight limits, which tests share as well."""
    return await cleared(make_harness(tight_router))


async def cleared(harness: RouterHarness) -> RouterHarness:
    """Take what other tests left in a router's outbox, and let it forget their agents."""
    operator = await harness.operator({})
    if operator.state["first_unacked"] is not None:
        await operator.ack(operator.state["next_seq"] - 1)
        await operator.settled()
    await operator.close()
    return harness


@pytest.fixture
async def operator(harness: RouterHarness) -> OperatorLink:
    """The operator of the shared router, who knows of no agents yet."""
    operator = await harness.operator({})
    operator.inbox.forget()
    return operator
