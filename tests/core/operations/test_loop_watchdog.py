"""A function that blocks the event loop is named in the log, while it does."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import trio

from mephisto_es.core.operations.task_code.code_location import function_of_thread
from mephisto_es.core.operations.task_code.loop_watchdog import watching_the_loop

#: Looks at the log, every hundredth of a second.
MAX_LOOKS = 6000
#: Attempts at a scene that a machine which stalls may spoil.
MAX_ATTEMPTS = 20


async def blocks_until_it_is_named(capture: pytest.CaptureFixture[str]) -> str:
    """Block the loop until the log names this function; return the log."""
    said = ""
    for _ in range(MAX_LOOKS):
        said += capture.readouterr().err
        if "blocks the event loop" in said:
            break
        threading.Event().wait(0.01)
    await trio.lowlevel.checkpoint()
    return said


async def test_a_function_that_blocks_the_loop_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with watching_the_loop(blocked_seconds=0.05, look_seconds=0.01):
        said = await blocks_until_it_is_named(capsys)
        await trio.sleep(0.02)
    said += capsys.readouterr().err
    assert "blocks_until_it_is_named blocks the event loop: no page is answered until it returns or waits" in said
    assert f"at={Path(__file__).name}:" in said
    assert "hint=" in said
    assert said.count("blocks_until_it_is_named blocks the event loop") == 1
    assert "the event loop runs again" in said


async def test_a_loop_that_waits_is_not_blocked(capsys: pytest.CaptureFixture[str]) -> None:
    # A machine that is busy with other things may block the loop in some attempts.
    for _ in range(MAX_ATTEMPTS):
        with watching_the_loop(blocked_seconds=0.05, look_seconds=0.01):
            await trio.sleep(0.2)
        if (said := capsys.readouterr().err) == "":
            break
    assert said == ""


def test_a_thread_outside_of_the_tasks_code_is_in_no_function() -> None:
    assert function_of_thread(-1) is None
