"""Unusual JSON is read the same by both routers: it is forwarded digit by digit, or refused."""

import json
import re

import msgspec
import pytest
import trio

from .harness import OperatorLink, RouterHarness, error_of

JSON_HEADERS = {"Content-Type": "application/json"}
#: Values, and how they are forwarded; None: they are refused.
ODD = [
    # Numbers keep their digits, whatever a reader makes of them.
    (b"9007199254740993", b"9007199254740993"),
    (b"-9223372036854775809", b"-9223372036854775809"),
    (b"123456789012345678901234567890", b"123456789012345678901234567890"),
    (b"-0", b"-0"),
    (b"-0.0", b"-0.0"),
    (b"1e-400", b"1e-400"),
    (b"0.1000000000000000055511151231257827", b"0.1000000000000000055511151231257827"),
    (b"1E+5", b"1E+5"),
    (b"1.7976931348623157e308", b"1.7976931348623157e308"),
    (b"9" * 308, b"9" * 308),
    # Numbers that no reader can hold, and what only looks like one.
    (b"9" * 400, None),
    (b"-" + b"9" * 400, None),
    (b"[[1, " + b"9" * 400 + b"]]", None),
    (b"1e400", None),
    (b"-1e400", None),
    (b"NaN", None),
    (b"Infinity", None),
    (b"-Infinity", None),
    (b"01", None),
    (b"+1", None),
    (b"1.", None),
    (b".5", None),
    (b"0x10", None),
    (b"1_000", None),
    # Text.
    (rb'"\u0000\u001b"', rb'"\u0000\u001b"'),
    ('"\u2028 \U0001f989"'.encode(), '"\u2028 \U0001f989"'.encode()),
    (rb'"\ud83d"', rb'"\ufffd"'),
    (rb'"\udd89\ud83d"', rb'"\ufffd\ufffd"'),
    (rb'"\ud83e\udd89"', rb'"\ud83e\udd89"'),
    (b'"\xed\xa0\x80"', None),
    (b'"\xc0\xaf"', None),
    (b'"\xff"', None),
    (b'"a\x00b"', None),
    (b'"a\tb"', None),
    (b'"a\nb"', None),
    (rb'"\x41"', None),
    (rb'"\u12"', None),
    (b"'a'", None),
    # Shapes.
    (b'{"a":1,"a":2}', b'{"a":1,"a":2}'),
    (b'{"__proto__":{"a":1},"constructor":null}', b'{"__proto__":{"a":1},"constructor":null}'),
    (b"{a:1}", None),
    (b"[1,]", None),
    (b"[1] [2]", None),
    (b"/* none */ 1", None),
    (b"[" * 199 + b"]" * 199, b"[" * 199 + b"]" * 199),
    (b"[" * 200 + b"]" * 200, None),
    (b'"' + b"[" * 300 + b'"', b'"' + b"[" * 300 + b'"'),
    (b"[" + b"[]," * 300 + b"[]]", b"[" + b"[]," * 300 + b"[]]"),
]


async def post(harness: RouterHarness, body: bytes) -> int:
    answer = await harness.http.post("/submit_task", content=body, headers=JSON_HEADERS)
    if answer.status_code != 200:
        error_of(answer)
    return answer.status_code


async def test_a_value_is_forwarded_digit_by_digit_or_refused(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"author": "in task"})
    await operator.settled()
    statuses = [await post(harness, b'{"USED_AGENT_ID":"author","final_data":' + value + b"}") for value, _ in ODD]
    expected = [400 if forwarded is None else 200 for _, forwarded in ODD]
    assert {value[:40]: status for (value, _), status in zip(ODD, statuses, strict=True)} == {
        value[:40]: status for (value, _), status in zip(ODD, expected, strict=True)
    }

    wanted = [forwarded for _, forwarded in ODD if forwarded is not None]
    for _ in wanted:
        await operator.expect("submit_unit")
    frames = "".join(map(str, operator.frames))
    at = 0
    for forwarded in wanted:
        at = frames.index(f'"final_data":{forwarded.decode()}', at) + 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'\xef\xbb\xbf{"USED_AGENT_ID":"author","final_data":1}', 200),
        (b'\xef\xbb\xbf\xef\xbb\xbf{"USED_AGENT_ID":"author","final_data":1}', 400),
        (b' \xef\xbb\xbf{"USED_AGENT_ID":"author","final_data":1}', 400),
        (json.dumps({"USED_AGENT_ID": "author", "final_data": 1}).encode("utf-16"), 400),
        (b'\t\r\n{"USED\\u005fAGENT_ID":"author","final_data":1}\r\n ', 200),
        (b'{"USED_AGENT_ID":"nobody","USED_AGENT_ID":"author","final_data":1}', 200),
        (b'{"USED_AGENT_ID":"author","USED_AGENT_ID":"nobody","final_data":1}', 403),
        (b'{"USED_AGENT_ID":"auth\\u006fr","final_data":1}', 200),
        (b'{"USED_AGENT_ID":["author"],"final_data":1}', 400),
        (b'{"USED_AGENT_ID":null,"final_data":1}', 400),
        (b'{"used_agent_id":"author","final_data":1}', 400),
        (b'{"USED_AGENT_ID":"author","final_data":1,"client_timestamp":"1"}', 400),
        (b'{"USED_AGENT_ID":"author","final_data":1,"client_timestamp":true}', 400),
        (b'{"USED_AGENT_ID":"author","final_data":1,"client_timestamp":1e400}', 400),
        (b'{"USED_AGENT_ID":"author","final_data":1,"client_timestamp":12345678901234567890123}', 200),
        (b'{"USED_AGENT_ID":"author","final_data":1,"client_timestamp":-1e-7}', 200),
        (b'{"USED_AGENT_ID":"author","final_data":1}\x00', 400),
    ],
    ids=range(17),
)
async def test_an_odd_body_is_read_one_way(
    harness: RouterHarness, operator: OperatorLink, body: bytes, status: int
) -> None:
    await operator.agents({"author": "in task"})
    await operator.settled()
    assert await post(harness, body) == status
    if status == 200:
        assert (await operator.expect("submit_unit")).data == {"final_data": 1}


async def test_a_large_body_is_read_like_a_small_one(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"author": "in task"})
    await operator.settled()
    rest = b"1," * 2**18
    values = [b"[" + rest + last + b"]" for last in (b"1e999", b'"\xff"', b"[" * 250 + b"]" * 250, b"1.50")]
    statuses = []

    async def send() -> None:
        for value in values:
            statuses.append(await post(harness, b'{"USED_AGENT_ID":"author","final_data":' + value + b"}"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        packet = await operator.expect("submit_unit")
        assert packet.seq is not None
        await operator.ack(packet.seq)
    assert statuses == [400, 400, 400, 200]
    assert len(packet.data["final_data"]) == 2**18 + 1
    assert any("1.50]" in str(frame)[-1000:] for frame in operator.frames)


#: Valid JSON that readers make different things of: numbers, names that occur twice, escapes, spaces, depth.
UNREAD = b"".join(
    [
        b'{"float":1.0,"int":1,"zero":-0,"long":123456789012345678901234567890,"exponent":1E+5,"tiny":1e-400,\n',
        b'"twice":1,"twice":{"a":1,"a":2},"__proto__":{"__proto__":[]}, "spaces" : [ 1 ,\r\n\t2 ],',
        rb'"\u0061":"\u00e9 \/ \u2028 \ud83e\udd89",',
        b'"deep":' + b"[" * 150 + b"1.50" + b"]" * 150,
        b',"":"","constructor":null}',
    ]
)
TIMES = [b"1795290650.5970000001", b"5", b"-0", b"1e3", b"12345678901234567890123", b"null"]
#: Requests with values that no router looks at, and the packets that an operator gets of them.
REQUESTS = {
    "submit_unit": ("/submit_task", b'"USED_AGENT_ID":"author","final_data":%b,"more":%b', b'{"final_data":%b}'),
    "submit_metadata": ("/submit_metadata", b'"USED_AGENT_ID":"author","metadata":%b,"more":%b', b'{"metadata":%b}'),
    "log_error": ("/log_error", b'"USED_AGENT_ID":"author","error_data":%b,"more":%b', b'{"error_data":%b}'),
    "submit_onboarding": (
        "/submit_onboarding",
        b'"provider_data":{"USED_AGENT_ID":"onboarding_1","onboarding_data":%b,"more":%b}',
        b'{"onboarding_data":%b,"request_id":""}',
    ),
    "register_agent": (
        "/request_agent",
        b'"provider_data":{"worker_name":"W","agent_registration_id":"R","values":%b,"more":%b}',
        b'{"provider_data":{"worker_name":"W","agent_registration_id":"R","values":%b,"more":%b},"request_id":""}',
    ),
}


def plain(text: bytes) -> str:
    """Return JSON without spaces between its parts, and without what a router makes up."""
    without_spaces = re.sub(r'("(?:[^"\\]|\\.)*")|\s+', r"\1", text.decode())
    return re.sub(r'"request_id":"[^"]*"', '"request_id":""', without_spaces)


Members = dict[str, msgspec.Raw]


def packet_of(operator: OperatorLink, packet_type: str) -> dict[str, msgspec.Raw]:
    """Return the last packet of a type as the texts of its parts."""
    frames = (msgspec.json.decode(frame, type=Members | list[Members]) for frame in operator.frames)
    packets = [packet for frame in frames for packet in (frame if isinstance(frame, list) else [frame])]
    return [packet for packet in packets if bytes(packet["packet_type"]) == f'"{packet_type}"'.encode()][-1]


@pytest.mark.parametrize("packet_type", [*REQUESTS, "mephisto_bound_live_update"])
async def test_what_no_router_reads_is_forwarded_as_it_is(
    harness: RouterHarness, operator: OperatorLink, packet_type: str
) -> None:
    await operator.agents({"author": "in task", "onboarding_1": "onboarding"})
    await operator.settled()
    async with trio.open_nursery() as nursery:
        if packet_type in REQUESTS:
            path, body, data = REQUESTS[packet_type]
            sent = b"{" + body % (UNREAD, UNREAD) + b',"client_timestamp":1795290650.5970000001}'
            nursery.start_soon(
                lambda: harness.http.post(path, content=sent, headers={"Content-Type": "application/json"})
            )
            expected = data % ((UNREAD,) * data.count(b"%b"))
        else:
            page = await harness.page("author")
            expected = b'{"update_id":"u","values":%b}' % UNREAD
            head = b'"packet_type":"mephisto_bound_live_update","subject_id":"author","more":%b' % UNREAD
            await page.send_text((b'{%b,"data":%b}' % (head, expected)).decode())
        await operator.expect(packet_type)
        nursery.cancel_scope.cancel()
    packet = packet_of(operator, packet_type)
    assert plain(bytes(packet["data"])) == plain(expected)
    times = {"router_incoming_timestamp", "router_outgoing_timestamp", "client_timestamp", "seq"}
    assert set(packet) - times == {"packet_type", "subject_id", "data"}


async def test_a_time_is_the_same_number(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"author": "in task"})
    await operator.settled()
    for at in TIMES:
        assert await post(harness, b'{"USED_AGENT_ID":"author","client_timestamp":' + at + b"}") == 200
        await operator.expect("submit_unit")
        told = packet_of(operator, "submit_unit").get("client_timestamp", b"null")
        assert json.loads(bytes(told)) == (None if at == b"null" else float(at))


@pytest.mark.parametrize(
    ("path", "field", "packet_type", "data"),
    [
        ("/submit_task", "final_string_data", "submit_unit", b'{"final_data":%b,"files":[]}'),
        ("/submit_metadata", "metadata", "submit_metadata", b'{"metadata":%b,"files":[]}'),
    ],
    ids=["submission", "metadata"],
)
async def test_the_text_in_a_form_is_forwarded_as_it_is(
    harness: RouterHarness, operator: OperatorLink, path: str, field: str, packet_type: str, data: bytes
) -> None:
    await operator.agents({"author": "in task"})
    await operator.settled()
    form = {"USED_AGENT_ID": (None, b"author"), field: (None, UNREAD)}
    assert (await harness.http.post(path, files=form)).status_code == 200
    await operator.expect(packet_type)
    assert plain(bytes(packet_of(operator, packet_type)["data"])) == plain(data % UNREAD)
