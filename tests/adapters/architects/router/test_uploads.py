"""Forms with files, and the operator's way to fetch them."""

import hashlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from .conftest import MakeHarness, MakeRouter
from .harness import PATIENCE_SECONDS, OperatorLink, Router, RouterHarness, error_of

BOUNDARY = "----WebKitFormBoundaryCqPxozi6Aio1UQFm"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 200 + b"\r\n--" + BOUNDARY.encode()[:20]

#: A process that streams stays this small, whatever it is sent.
STREAMING_BYTES = 64 * 2**20


def field(name: str, value: str) -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def file(name: str, filename: str, content: bytes, mimetype: str = "image/png") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
    return head.encode() + f"Content-Type: {mimetype}\r\n\r\n".encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


async def post(
    harness: RouterHarness, body: bytes | AsyncIterator[bytes], content_type: str = CONTENT_TYPE
) -> httpx.Response:
    return await harness.http.post("/submit_task", content=body, headers={"Content-Type": content_type})


def stored_bytes(router: Router) -> int:
    """Return the files in the data directory other than the journal."""
    files = [path for path in router.data.rglob("*") if path.is_file() and not path.name.startswith("journal-")]
    return sum(path.stat().st_size for path in files if path.name != "lock")


async def test_a_form_is_submitted_as_the_browser_sends_it(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"uploader": "in task"})
    await operator.settled()
    result = '{"note":"see the attachment","attachment":{"name":"upload sample.png","size":50039}}'

    answer = await post(
        harness,
        form(
            field("note", "see the attachment"),
            file("attachment", "upload sample.png", PNG),
            field("USED_AGENT_ID", "uploader"),
            field("final_string_data", result),
        ),
    )
    packet = await operator.expect("submit_unit")

    assert answer.status_code == 200
    assert answer.json() == {"status": "Submitted!"}
    assert packet.subject_id == "uploader"
    assert packet.client_timestamp is None
    assert packet.seq is not None
    assert packet.data["final_data"] == {
        "note": "see the attachment",
        "attachment": {"name": "upload sample.png", "size": 50039},
    }
    (record,) = packet.data["files"]
    assert record == {
        "fieldname": "attachment",
        "originalname": "upload sample.png",
        "mimetype": "image/png",
        "filename": record["filename"],
        "size": len(PNG),
        "sha256": hashlib.sha256(PNG).hexdigest(),
    }
    assert "upload" not in record["filename"]
    download = await harness.http.get(f"/download_file/{record['filename']}", headers=harness.router.auth)
    assert download.status_code == 200
    assert download.content == PNG


async def test_names_are_utf_8_and_never_paths(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"ünï-cødé": "in task"})
    await operator.settled()

    answer = await post(
        harness,
        form(
            field("USED_AGENT_ID", "ünï-cødé"),
            file("Anhänge", "Übung 🦉 \u2028.txt", b"one", "text/plain"),
            file("second", "../../etc/passwd", b"two"),
            file("third", "", b"nameless", "application/octet-stream"),
            field("final_string_data", '"überall"'),
        ),
    )
    packet = await operator.expect("submit_unit")

    assert answer.status_code == 200
    assert packet.subject_id == "ünï-cødé"
    assert packet.data["final_data"] == "überall"
    first, second, third = packet.data["files"]
    assert (first["fieldname"], first["originalname"]) == ("Anhänge", "Übung 🦉 \u2028.txt")
    assert (second["fieldname"], second["originalname"]) == ("second", "passwd")
    assert (third["fieldname"], third["size"]) == ("third", 8)
    assert len({record["filename"] for record in packet.data["files"]}) == 3
    for record in packet.data["files"]:
        assert record["filename"].isalnum()


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        ([], []),
        ([file("attachment", "", b"", "application/octet-stream")], []),
        ([file("attachment", "empty.txt", b"")], ["empty.txt"]),
        (
            [file("attachment", "", b""), file("attachment", "a", b"1"), file("attachment", "b", b"2")],
            ["a", "b"],
        ),
    ],
)
async def test_an_empty_file_field_is_no_file(
    harness: RouterHarness, operator: OperatorLink, parts: Iterable[bytes], names: list[str]
) -> None:
    await operator.agents({"chooser": "in task"})
    await operator.settled()

    answer = await post(harness, form(*parts, field("USED_AGENT_ID", "chooser"), field("final_string_data", "{}")))
    packet = await operator.expect("submit_unit")

    assert answer.status_code == 200
    assert [record["originalname"] for record in packet.data["files"]] == names


async def test_a_form_without_a_result_is_null(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"silent": "in task"})
    await operator.settled()

    assert (await post(harness, form(field("USED_AGENT_ID", "silent")))).status_code == 200

    assert (await operator.expect("submit_unit")).data == {"final_data": None, "files": []}


async def test_a_form_that_arrives_byte_by_byte(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"slow": "in task"})
    await operator.settled()
    body = form(file("f", "f.bin", PNG[-300:]), field("USED_AGENT_ID", "slow"), field("final_string_data", "[1]"))

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(len(body)):
            yield body[start : start + 1]

    assert (await post(harness, in_pieces())).status_code == 200
    packet = await operator.expect("submit_unit")

    assert packet.data["final_data"] == [1]
    assert packet.data["files"][0]["sha256"] == hashlib.sha256(PNG[-300:]).hexdigest()


USED = field("USED_AGENT_ID", "worker")
NAMELESS = b"--" + BOUNDARY.encode() + b"\r\nContent-Type: text/plain\r\n\r\nx\r\n"
ATTACHED = file("f", "f.bin", b"x" * 5000)


@pytest.mark.parametrize(
    ("body", "content_type", "statuses"),
    [
        (form(ATTACHED, field("USED_AGENT_ID", "nobody"), field("final_string_data", "{}")), CONTENT_TYPE, {403}),
        (form(ATTACHED, field("final_string_data", "{}")), CONTENT_TYPE, {400, 403}),
        (form(USED, ATTACHED, field("final_string_data", "{broken")), CONTENT_TYPE, {400}),
        (form(USED, ATTACHED, field("final_string_data", "")), CONTENT_TYPE, {400}),
        (USED + ATTACHED, CONTENT_TYPE, {400}),
        (USED + ATTACHED[:-1000], CONTENT_TYPE, {400}),
        (b"", CONTENT_TYPE, {400}),
        (b"not a form at all", CONTENT_TYPE, {400}),
        (form(USED, ATTACHED), "multipart/form-data", {400}),
        (form(USED, ATTACHED), "multipart/form-data; boundary=" + "b" * 500, {400}),
        (form(USED, NAMELESS), CONTENT_TYPE, {200, 400}),
        (form(USED, ATTACHED, field("final_string_data", '"' + "x" * 200_000 + '"')), CONTENT_TYPE, {413}),
        (form(USED, file("f", "large.bin", b"x" * 2**20)), CONTENT_TYPE, {413}),
        (form(*[field(str(number), "") for number in range(5000)], USED), CONTENT_TYPE, {400, 413}),
    ],
    ids=[
        "unknown agent",
        "no agent",
        "broken result",
        "empty result",
        "no end",
        "cut off",
        "nothing",
        "no form",
        "no boundary",
        "long boundary",
        "nameless part",
        "large field",
        "large file",
        "many fields",
    ],
)  # fmt: skip
async def test_a_form_that_is_refused_leaves_nothing_behind(
    tight: RouterHarness, body: bytes, content_type: str, statuses: set[int]
) -> None:
    operator = await tight.operator({"worker": "in task"})

    answer = await post(tight, body, content_type)

    assert answer.status_code in statuses, answer.text
    if answer.status_code != 200:
        error_of(answer)
        assert not operator.inbox.of_type("submit_unit")
    assert stored_bytes(tight.router) == 0
    assert (await tight.submit("worker", "still served")).status_code == 200


async def test_an_endless_form_is_stopped_at_the_limit(tight: RouterHarness) -> None:
    await tight.operator({"worker": "in task"})

    async def endless() -> AsyncIterator[bytes]:
        yield USED
        yield ATTACHED[:-2]
        for _ in range(40):
            yield b"x" * 2**16

    answer = await post(tight, endless())

    assert answer.status_code == 413
    error_of(answer)
    assert stored_bytes(tight.router) == 0


async def test_a_form_whose_sender_is_gone_leaves_nothing_behind(tight: RouterHarness) -> None:
    operator = await tight.operator({"worker": "in task"})
    started = trio.Event()

    async def halting() -> AsyncIterator[bytes]:
        yield USED + ATTACHED[:-2]
        started.set()
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(post, tight, halting())
        await started.wait()
        nursery.cancel_scope.cancel()

    # The next form goes through the same door after it.
    assert (await post(tight, form(USED, field("final_string_data", "1")))).status_code == 200
    assert (await operator.expect("submit_unit")).data == {"final_data": 1, "files": []}
    with trio.fail_after(PATIENCE_SECONDS):
        while stored_bytes(tight.router):
            await tight.counters()


def peak_memory_bytes(router: Router) -> int:
    assert router.process is not None
    status = Path(f"/proc/{router.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
async def test_files_are_streamed_not_held(make_router: MakeRouter, make_harness: MakeHarness) -> None:
    router = make_router()
    router.start()
    harness = make_harness(router)
    operator = await harness.operator({"worker": "in task"})
    chunk = bytes(range(256)) * 4096
    digest = hashlib.sha256()

    async def large() -> AsyncIterator[bytes]:
        yield USED + field("final_string_data", "{}")
        yield file("f", "large.bin", b"")[:-2]
        for _ in range(STREAMING_BYTES * 2 // len(chunk)):
            digest.update(chunk)
            yield chunk
        yield b"\r\n" + form()

    before = peak_memory_bytes(router)
    assert (await post(harness, large())).status_code == 200
    grown = peak_memory_bytes(router) - before
    packet = await operator.expect("submit_unit")

    (record,) = packet.data["files"]
    assert record["size"] == STREAMING_BYTES * 2
    assert record["sha256"] == digest.hexdigest()
    assert grown < STREAMING_BYTES


# -- /download_file --------------------------------------------------------------------------


async def uploaded(harness: RouterHarness, operator: OperatorLink) -> str:
    await operator.agents({"downloads": "in task"})
    await operator.settled()
    answer = await post(harness, form(file("f", "f.txt", b"private"), field("USED_AGENT_ID", "downloads")))
    assert answer.status_code == 200
    (record,) = (await operator.expect("submit_unit")).data["files"]
    name = record["filename"]
    assert isinstance(name, str)
    return name


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic b3BlbiBzZXNhbWU6"},
        {"Authorization": "Bearer \xe4".encode("latin-1")},
    ],
)
async def test_only_the_operator_fetches_files(
    harness: RouterHarness, operator: OperatorLink, headers: dict[str, Any]
) -> None:
    name = await uploaded(harness, operator)

    answer = await harness.http.get(f"/download_file/{name}", headers=headers)

    assert answer.status_code in (401, 403, 404)
    assert b"private" not in answer.content
    error_of(answer)


@pytest.mark.parametrize(
    "name",
    [
        "f.txt",
        "../lock",
        "..%2flock",
        "%2e%2e%2flock",
        "..%5clock",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "....//lock",
        "%00",
        "a%00b",
        "0" * 32,
        "x" * 5000,
        ".",
        "..",
    ],
)
async def test_only_files_of_the_run_are_fetched(harness: RouterHarness, operator: OperatorLink, name: str) -> None:
    await uploaded(harness, operator)
    assert harness.router.journals()

    # httpx tidies paths up; this is what an attacker sends.
    answer = await raw_get(harness.router, f"/download_file/{name}")

    assert answer.split(b" ", 2)[1] in (b"400", b"404", b"414")


async def test_the_journal_is_not_fetched(harness: RouterHarness, operator: OperatorLink) -> None:
    await uploaded(harness, operator)
    (journal,) = harness.router.journals()

    for path in (f"/download_file/{journal.name}", f"/download_file/..%2f{journal.name}", f"/{journal.name}"):
        answer = await raw_get(harness.router, path)
        assert answer.split(b" ", 2)[1] == b"404"


async def raw_get(router: Router, path: str) -> bytes:
    """Ask with the operator's secret for a path as it stands; return all of the answer."""
    host, port = router.listener.getsockname()
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {router.secret}\r\nConnection: close\r\n\r\n"
    async with await trio.open_tcp_stream(host, port) as stream:
        await stream.send_all(request.encode())
        return b"".join([chunk async for chunk in stream])


async def test_only_the_operator_deletes_files(harness: RouterHarness, operator: OperatorLink) -> None:
    name = await uploaded(harness, operator)
    address = f"/download_file/{name}"

    refused = await harness.http.delete(address, headers={"Authorization": "Bearer wrong"})
    assert refused.status_code == 401
    assert (await harness.http.get(address, headers=harness.router.auth)).content == b"private"
    for _ in range(2):
        deleted = await harness.http.delete(address, headers=harness.router.auth)
        assert (deleted.status_code, deleted.json()) == (200, {"status": "Deleted"})
    assert (await harness.http.get(address, headers=harness.router.auth)).status_code == 404


# -- /submit_metadata ------------------------------------------------------------------------


async def post_metadata(harness: RouterHarness, body: bytes) -> httpx.Response:
    content_type = f"multipart/form-data; boundary={BOUNDARY}"
    return await harness.http.post("/submit_metadata", content=body, headers={"content-type": content_type})


async def test_an_opinion_comes_as_a_form_with_files(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"critic": "in task"})
    await operator.settled()
    opinion = '{"worker_opinion":{"questions":[{"question":"Why?","text":"Because 1.0"}]}}'

    answer = await post_metadata(
        harness, form(field("USED_AGENT_ID", "critic"), file("proof", "screen.png", PNG), field("metadata", opinion))
    )
    packet = await operator.expect("submit_metadata")

    assert (answer.status_code, answer.json()) == (200, {"status": "Submitted metadata"})
    assert packet.subject_id == "critic"
    assert packet.data["metadata"] == {"worker_opinion": {"questions": [{"question": "Why?", "text": "Because 1.0"}]}}
    (record,) = packet.data["files"]
    assert (record["fieldname"], record["originalname"], record["size"]) == ("proof", "screen.png", len(PNG))
    download = await harness.http.get(f"/download_file/{record['filename']}", headers=harness.router.auth)
    assert download.content == PNG


@pytest.mark.parametrize("metadata", [None, "", "[1]", '"tips"', "null", "{"])
async def test_metadata_of_a_form_is_an_object(
    harness: RouterHarness, operator: OperatorLink, metadata: str | None
) -> None:
    await operator.agents({"critic": "in task"})
    await operator.settled()
    parts = [] if metadata is None else [field("metadata", metadata)]
    before = stored_bytes(harness.router)

    answer = await post_metadata(harness, form(field("USED_AGENT_ID", "critic"), file("f", "f.png", PNG), *parts))

    assert answer.status_code == 400
    error_of(answer)
    assert stored_bytes(harness.router) == before
