"""Commands are data: JSON and back, a decision for each, and the partitions they name."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mephisto_es.core.commands.admission import AssignUnit
from mephisto_es.core.commands.agent import SubmitUnit
from mephisto_es.core.commands.base import CommandRequest, RunCommand
from mephisto_es.core.commands.catalogue import (
    AnyCommand,
    decode_command,
    decode_request,
    encode_command,
    encode_request,
)
from mephisto_es.core.commands.task_run import CreateRun
from mephisto_es.core.decisions.registry import DECISIONS
from mephisto_es.core.errors import ProtocolError
from mephisto_es.events import streams

from ..strategies import shaped

COMMANDS: tuple[type[AnyCommand], ...] = get_args(AnyCommand)
every_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
few = settings(max_examples=max(10, settings().max_examples // 10))  # of each


@every_command
@few
@given(data=st.data())
def test_a_command_comes_back_from_its_json(command: type[AnyCommand], data: st.DataObject) -> None:
    drawn = data.draw(shaped(command))
    received = decode_command(encode_command(drawn))
    assert received == drawn
    assert type(received) is command


@given(data=st.data())
def test_a_request_comes_back_with_its_command_and_payloads(data: st.DataObject) -> None:
    request: CommandRequest[SubmitUnit] = data.draw(shaped(CommandRequest[SubmitUnit]))
    received = decode_request(encode_request(request))
    assert received == request
    assert received.partitions == request.partitions


def test_every_command_has_a_decision_and_no_decision_is_left_over() -> None:
    assert set(DECISIONS) == set(COMMANDS)


@every_command
@few
@given(data=st.data())
def test_a_command_names_its_partitions_in_the_order_of_their_locks(
    command: type[AnyCommand], data: st.DataObject
) -> None:
    drawn = data.draw(shaped(command))
    runs: set[str] = set()
    if isinstance(drawn, RunCommand):
        runs = {streams.partition_of_run(drawn.task_run)}
    elif isinstance(drawn, CreateRun):
        runs = {streams.partition_of_run(drawn.created.task_run)}
    if isinstance(drawn, AssignUnit):
        runs |= {streams.partition_of_run(run) for run in drawn.counted_runs}
    assert set(drawn.partitions) - {streams.DIRECTORY} == runs
    assert list(drawn.partitions) == sorted(set(drawn.partitions))
    assert drawn.partitions


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"command":"no_such_command"}',
        b'{"command":"stop_run","task_run":1}',
        b'{"command":"stop_run","task_run":1,"reason":"x","more":1}',
        b'{"command":"' + b"x" * 10_000 + b'"}',
    ],
)
def test_what_is_no_command_is_refused_in_few_words(data: bytes) -> None:
    for decode in (decode_command, decode_request):
        with pytest.raises(ProtocolError) as refused:
            decode(data)
        assert len(str(refused.value)) < 300
