"""A router that belongs to whoever sends it a page: to one run at a time, whose operator is elsewhere."""

import signal
from collections.abc import Mapping
from hashlib import sha256

import httpx
import trio

from .conftest import MakeHarness, MakeRouter
from .harness import PATIENCE_SECONDS, RouterHarness, error_of

PAGE = {"index.html": b"<p>The page.</p>", "static/deep/picture.bin": bytes(range(256)) * 5000}
RUN, OTHER_RUN = "11" * 16, "22" * 16

#: Paths that lead out of a page, or nowhere.
ODD_PATHS = ["", ".", "..", "/etc/passwd", "../index.html", "a/../../b", "a//b", "a/", "a\\b", "a\0b", "x" * 501]


def manifest(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: sha256(content).hexdigest() for path, content in files.items()}


class Sender:
    """An operator's HTTP requests."""

    def __init__(self, harness: RouterHarness) -> None:
        self._harness = harness

    async def claim(self, files: Mapping[str, str], run: str = RUN) -> httpx.Response:
        return await self._post("/run_page", {"run": run, "files": dict(files)})

    async def put(self, digest: str, content: bytes) -> httpx.Response:
        return await self._harness.http.put(f"/run_page/{digest}", content=content, headers=self._harness.router.auth)

    async def serve(self, files: Mapping[str, bytes], run: str = RUN) -> None:
        """Claim the router and send what is missing."""
        by_digest = {digest: files[path] for path, digest in manifest(files).items()}
        for digest in (await self.claim(manifest(files), run)).json()["missing"]:
            assert (await self.put(digest, by_digest[digest])).status_code == 200
        assert (await self.claim(manifest(files), run)).json() == {"missing": []}

    async def release(self, run: str = RUN) -> httpx.Response:
        return await self._post("/release_run", {"run": run})

    async def _post(self, path: str, body: object) -> httpx.Response:
        return await self._harness.http.post(path, json=body, headers=self._harness.router.auth)


async def text_of(harness: RouterHarness, path: str = "/") -> str:
    return (await harness.http.get(path)).text


async def test_a_router_serves_the_page_of_one_run_until_that_is_over(
    make_router: MakeRouter, make_harness: MakeHarness
) -> None:
    router = make_router(STATIC="", commit_wait_seconds=0.05)
    router.start()
    harness = make_harness(router)
    sender = Sender(harness)

    assert "There is no task here at the moment" in await text_of(harness)
    assert (await harness.counters())["page"] == "none"
    for refused in (
        await harness.http.post("/run_page", json={"run": RUN, "files": {}}),
        await harness.http.put(f"/run_page/{'0' * 64}", content=b"x"),
        await harness.http.post("/release_run", json={"run": RUN}),
    ):
        assert refused.status_code == 401
    assert (await sender.put("0" * 64, b"x")).status_code == 404  # of no run

    for path in ODD_PATHS:
        odd = await sender.claim({path: "0" * 64})
        assert (odd.status_code, error_of(odd)) == (400, "These are not the files of a page.")
    asked = manifest(PAGE)
    assert sorted((await sender.claim(asked)).json()["missing"]) == sorted(asked.values())
    assert "no task here" in await text_of(harness)  # not a page that is half there
    wrong = await sender.put(asked["index.html"], b"something else")
    assert (wrong.status_code, error_of(wrong)) == (400, "The file is not the one that it is said to be.")
    await sender.serve(PAGE)
    assert await text_of(harness) == "<p>The page.</p>"
    assert (await harness.http.get("/static/deep/picture.bin")).content == PAGE["static/deep/picture.bin"]
    assert (await harness.counters())["page"] == "of a run"

    changed = {**PAGE, "index.html": b"<p>Better.</p>"}
    assert (await sender.claim(manifest(changed))).json() == {"missing": [manifest(changed)["index.html"]]}
    await sender.serve(changed)
    assert await text_of(harness) == "<p>Better.</p>"

    refusal = await sender.claim(asked, OTHER_RUN)
    assert (refusal.status_code, error_of(refusal)) == (
        409,
        "This router serves another run. End that run first, or use another router.",
    )
    for run in (OTHER_RUN, None):
        stranger = await harness.socket()
        await stranger.send("alive", "mephisto", {"token": router.secret, "run": run})
        assert await stranger.closing_code() == 1008
    operator = await harness.operator({"agent": "in task"}, run=RUN)
    # An operator that commits nothing holds up no worker for long.
    assert (await harness.submit("agent", 1)).status_code == 200

    # A crash of the machine changes nothing of that.
    router.stop(signal.SIGKILL)
    router.start()
    assert await text_of(harness) == "<p>Better.</p>"
    assert (await sender.claim(asked, OTHER_RUN)).status_code == 409
    waiting = await sender.release()
    assert (waiting.status_code, error_of(waiting)) == (
        423,
        "The run has yet to take 1 packets of workers from this router.",
    )
    operator = await harness.operator({"agent": "completed"}, run=RUN)
    await operator.ack(1)
    await operator.settled()
    assert (await sender.release(OTHER_RUN)).status_code == 409
    for _ in range(2):
        assert (await sender.release()).json() == {"status": "Released"}
    assert "no task here" in await text_of(harness)
    assert (await harness.http.get("/static/deep/picture.bin")).status_code == 404
    assert (await harness.submit("agent", 2)).status_code == 403
    assert {path.name for path in (router.data / "page").rglob("*")} == {"closed", "current", "files", "index.html"}
    await sender.serve(PAGE, OTHER_RUN)
    await harness.operator({}, run=OTHER_RUN)


async def test_a_router_with_a_page_of_its_own_takes_no_other(harness: RouterHarness) -> None:
    refused = await Sender(harness).claim({})
    assert (refused.status_code, error_of(refused)) == (
        409,
        "This router was started with a page of its own and takes no other.",
    )
    assert (await harness.counters())["page"] == "own"


async def test_a_submission_is_answered_once_the_operator_has_committed_it(
    make_router: MakeRouter, make_harness: MakeHarness
) -> None:
    router = make_router(commit_wait_seconds=3600)
    router.start()
    harness = make_harness(router)
    operator = await harness.operator({"a": "in task", "b": "in task"})
    answered = trio.Event()

    async def submit(token: str) -> None:
        assert (await harness.submit(token, 1)).status_code == 200
        answered.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(submit, "a")
        await operator.expect("submit_unit")
        for _ in range(5):  # time for an answer that comes too early
            await harness.counters()
        assert not answered.is_set()
        await operator.ack(1)
        with trio.fail_after(PATIENCE_SECONDS):
            await answered.wait()

    # Without an operator the journal's word has to do, at once.
    answered = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(submit, "b")
        await operator.expect("submit_unit")
        await operator.close()
        with trio.fail_after(PATIENCE_SECONDS):
            await answered.wait()
    assert (await harness.submit("a", 2)).status_code == 200
