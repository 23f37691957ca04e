"""Every request of the control socket is answered by a live operator, which outlives whatever a request does to it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
import trio

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.composition.operator import open_operator
from mephisto_es.adapters.control.client import new_key, open_control
from mephisto_es.adapters.control.protocol import ControlAnswer, ControlMessage, socket_path
from mephisto_es.adapters.control.server import serve_control
from mephisto_es.core.abstractions.work_data import InitializationData
from mephisto_es.core.entity_ref import KINDS
from mephisto_es.core.errors import MephistoError, OutcomeUnknownError
from mephisto_es.core.operations.control.executor import RequestExecutor
from mephisto_es.core.operations.control.requests import (
    AnyRequest,
    EndRequest,
    ExtendRequest,
    PauseRequest,
    RegisterRequest,
    Reply,
    Request,
)
from mephisto_es.events.ids import PaymentId, TaskRunId, UnitId

from ...core.operations.operator_harness import HarnessTaskState, config, items

REQUESTS: tuple[type[AnyRequest], ...] = get_args(AnyRequest)
#: The last ones: nothing is live after them.
LAST = (PauseRequest, EndRequest)
UNKNOWN = 99
ITEM = InitializationData(shared={"a": [{"b": [1]}]}, unit_data=({"c": {}},))


def example_of(hint: Any, number: int) -> object:
    """Return a value of a field's type, with dicts and lists wherever the type allows them."""
    if isinstance(hint, NewType):
        return number
    if get_origin(hint) in (Union, UnionType):
        return example_of(next(one for one in get_args(hint) if one is not NoneType), number)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    tuples = {
        tuple[InitializationData, ...]: (ITEM,),
        tuple[PaymentId, ...]: (number,),
        tuple[UnitId, ...]: (number,),
        tuple[str, ...]: KINDS,
    }
    return tuples[hint] if hint in tuples else hint(number)


def example_request(kind: type[AnyRequest], number: int) -> AnyRequest:
    """Return a request with a value in every field, about the entities with a number."""
    hints = {name: hint for name, hint in get_type_hints(kind).items() if name in kind.__struct_fields__}
    values: dict[str, Any] = {name: example_of(hint, number) for name, hint in hints.items()}
    return kind(**values)


def every_request() -> Iterator[AnyRequest]:
    first = [kind for kind in REQUESTS if kind not in LAST]
    yield from (example_request(kind, number) for number in (UNKNOWN, 1) for kind in first)
    yield from (example_request(kind, number) for number in (UNKNOWN, 1) for kind in LAST)


async def test_every_request_is_answered_by_a_live_operator(tmp_path: Path) -> None:
    cfg = config()
    with trio.fail_after(120):
        async with open_operator(tmp_path) as operator:
            await operator.launch_task_run_or_die(cfg, HarnessTaskState(data=items(2)))
            async with open_control(tmp_path / DATABASE_FILE, "user/ann") as control:
                # Twice with one key, and at once: equal requests are requests of their own.
                added = ExtendRequest(task_run=TaskRunId(1), reason="more", items=(ITEM,))
                keyed = [(added, "the same"), (added, "the same")]
                replies = [outcome async for _, outcome in control.execute_all(keyed)]
                assert len({reply.seq for reply in replies if isinstance(reply, Reply)}) == 1
                for request in every_request():
                    try:
                        await control.execute(request)
                    except OutcomeUnknownError as error:
                        raise AssertionError(f"the operator failed on {request}") from error
                    except MephistoError:
                        continue


class BrokenExecutor(RequestExecutor):
    """An executor with a mistake in it."""

    def __init__(self) -> None:
        self.executed = list[Request]()

    async def execute(self, request: AnyRequest, author: str, key: str) -> Reply:
        await trio.lowlevel.checkpoint()
        self.executed.append(request)
        if len(self.executed) == 1:
            raise ZeroDivisionError("a secret")
        return Reply(found=f"{author} {key}")


async def test_an_unexpected_exception_is_answered_and_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database, executor = tmp_path / DATABASE_FILE, BrokenExecutor()
    database.touch()
    request = RegisterRequest(requester="a-lab", provider_type="mock")
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_control, database, executor)
            async with open_control(database, "user/ann") as control:
                with pytest.raises(OutcomeUnknownError, match=r"failed on this request \(ZeroDivisionError\)"):
                    await control.execute(request, new_key())
                assert (await control.execute(request, "k")).found == "user/ann k"
            nursery.cancel_scope.cancel()
    said = capsys.readouterr().err
    assert "failed unexpectedly" in said
    assert "RegisterRequest" in said


async def test_a_request_that_is_nested_too_deeply_ends_its_connection_alone(tmp_path: Path) -> None:
    database, executor = tmp_path / DATABASE_FILE, BrokenExecutor()
    executor.executed.append(RegisterRequest(requester="x", provider_type="mock"))
    deep = b'{"id": 1, "author": "a", "key": "k", "request": {"request": "extend", "task_run": 1, "reason": "r", '
    deep += b'"items": [{"shared": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}]}}\n"
    message = ControlMessage(
        id=2, author="user/ann", key="k", request=RegisterRequest(requester="a-lab", provider_type="mock")
    )
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_control, database, executor)
            async with await trio.open_unix_socket(str(socket_path(database))) as stream:
                await stream.send_all(deep)
                assert await stream.receive_some() == b""
            async with await trio.open_unix_socket(str(socket_path(database))) as stream:
                await stream.send_all(msgspec.json.encode(message) + b"\n")
                assert msgspec.json.decode(await stream.receive_some(), type=ControlAnswer).id == 2
            nursery.cancel_scope.cancel()
