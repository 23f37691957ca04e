import json
import logging.config
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
import trio
from structlog.typing import FilteringBoundLogger

from mephisto_es.core.errors import ConfigError
from mephisto_es.core.operations import logger_core
from mephisto_es.core.operations.logger_core import (
    LOG_FORMAT_VARIABLE,
    LogFormat,
    get_logger,
    log_ids,
    set_mephisto_log_format,
    set_mephisto_log_level,
    warn_once,
)
from mephisto_es.core.operations.router_reports import log_router_report

Lines = Callable[[], list[dict[str, object]]]


@pytest.fixture(autouse=True)
def as_usual() -> Iterator[None]:
    yield
    set_mephisto_log_level(level="info")
    set_mephisto_log_format(LogFormat.CONSOLE)


@pytest.fixture
def logger() -> FilteringBoundLogger:
    return get_logger("a.module")


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """Return the lines logged since the last call, decoded from JSON."""
    set_mephisto_log_format(LogFormat.JSON)

    def read() -> list[dict[str, object]]:
        captured = capsys.readouterr()
        assert captured.out == ""
        return [json.loads(line) for line in captured.err.splitlines()]

    return read


def events(lines: Lines) -> list[object]:
    return [line["event"] for line in lines()]


def test_a_line_says_what_where_when_and_how_bad(logger: FilteringBoundLogger, lines: Lines) -> None:
    logger.warning("late by %d s", 3, unit=40)
    [line] = lines()
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {"event": "late by 3 s", "unit": 40, "level": "warning", "logger": "a.module"}


def test_ids_stand_on_each_line_of_the_block_and_on_no_other(logger: FilteringBoundLogger, lines: Lines) -> None:
    with log_ids(run=1, agent=12):
        logger.info("in")
        with log_ids(agent=13, worker=7):
            get_logger("other").info("deeper")
        logger.bind(unit=40).info("bound")
    logger.info("out")
    ids = [{name: line.get(name) for name in ("run", "agent", "worker", "unit")} for line in lines()]
    assert ids == [
        {"run": 1, "agent": 12, "worker": None, "unit": None},
        {"run": 1, "agent": 13, "worker": 7, "unit": None},
        {"run": 1, "agent": 12, "worker": None, "unit": 40},
        {"run": None, "agent": None, "worker": None, "unit": None},
    ]


async def test_tasks_inherit_ids_and_do_not_share_their_own(logger: FilteringBoundLogger, lines: Lines) -> None:
    met = trio.Event()

    async def work(agent: int, meet: Callable[[], object]) -> None:
        with log_ids(agent=agent):
            meet()
            await met.wait()
            logger.info("working")

    with trio.fail_after(120), log_ids(run=1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work, 1, lambda: None)
            nursery.start_soon(work, 2, met.set)
    assert sorted((line["run"], line["agent"]) for line in lines()) == [(1, 1), (1, 2)]


def test_a_level_holds_for_loggers_already_in_use(logger: FilteringBoundLogger, lines: Lines) -> None:
    bound = logger.bind(unit=1)

    def log_all() -> list[object]:
        for used in (logger, bound):
            used.debug("debug")
            used.info("info")
            used.error("error")
        return events(lines)

    assert log_all() == ["info", "error"] * 2
    set_mephisto_log_level(verbose=True)
    assert log_all() == ["debug", "info", "error"] * 2
    set_mephisto_log_level(level="ERROR")
    assert log_all() == ["error"] * 2
    set_mephisto_log_level(verbose=True, level="critical")
    assert log_all() == []
    set_mephisto_log_level(verbose=False)
    assert log_all() == ["info", "error"] * 2


def test_a_level_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'debug'"):
        set_mephisto_log_level(level="debgu")
    with pytest.raises(ConfigError, match="verbose or level"):
        set_mephisto_log_level()


def test_the_environment_chooses_the_format(
    logger: FilteringBoundLogger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOG_FORMAT_VARIABLE, "json")
    set_mephisto_log_format()
    logger.info("for machines")
    assert json.loads(capsys.readouterr().err)["event"] == "for machines"
    monkeypatch.delenv(LOG_FORMAT_VARIABLE)
    set_mephisto_log_format()
    logger.info("for people", unit=40)
    assert "for people" in (line := capsys.readouterr().err)
    assert "unit=40" in line
    monkeypatch.setenv(LOG_FORMAT_VARIABLE, "jsn")
    with pytest.raises(ConfigError, match="Did you mean 'json'"):
        set_mephisto_log_format()


def test_warn_once_warns_once(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        warn_once("only one of these", unit=1)
    assert events(lines) == ["only one of these"]
    monkeypatch.setattr(logger_core, "MAX_REMEMBERED_WARNINGS", 0)
    for _ in range(2):
        warn_once("too many to remember")
    assert events(lines) == ["too many to remember"] * 2


def test_no_secret_reaches_a_line(logger: FilteringBoundLogger, lines: Lines) -> None:
    try:
        raise ConnectionError("cannot reach https://me:hunter2@host/")
    except ConnectionError:
        logger.exception("call of https://me:hunter2@host/ failed", api_key="hunter2", config={"password": "hunter2"})
    [line] = lines()
    assert "ConnectionError" in str(line["exception"])
    assert "hunter2" not in str(line)


@pytest.mark.parametrize("format_", LogFormat)
def test_tracebacks_do_not_print_local_variables(
    logger: FilteringBoundLogger, capsys: pytest.CaptureFixture[str], format_: LogFormat
) -> None:
    set_mephisto_log_format(format_)

    def fail(answer: str) -> None:
        raise ValueError("what a worker wrote is not here")

    answer = "-".join(("my", "private", "answer"))
    try:
        fail(answer)
    except ValueError:
        logger.exception("failed")
    written = capsys.readouterr().err
    assert "ValueError: what a worker wrote" in written
    assert answer not in written


def test_what_a_worker_types_cannot_forge_a_line_or_move_the_cursor(
    logger: FilteringBoundLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    logger.info("name is \x1b[2J", worker="x\n2026-01-01 [info] paid\r\x9b")
    try:
        raise ValueError("\x1b[31m")
    except ValueError:
        logger.exception("refused")
    written = capsys.readouterr().err
    assert not set(written) & {"\x1b", "\r", "\x9b"}
    assert len([line for line in written.splitlines() if "[info" in line]) == 1


@pytest.mark.parametrize("error", [BrokenPipeError(32, "gone"), OSError(28, "disk full")])
def test_a_dead_standard_error_stops_nobody(
    logger: FilteringBoundLogger, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    tried = []

    class Dead:
        def isatty(self) -> bool:
            return False

        def write(self, text: str) -> int:
            tried.append(text)
            raise error

    monkeypatch.setattr(sys, "stderr", Dead())
    logger.info("nobody hears this")
    assert len(tried) == 1


def test_the_programs_own_structlog_settings_are_left_alone(logger: FilteringBoundLogger, lines: Lines) -> None:
    structlog.configure(processors=[])
    try:
        logger.info("as ever")
        assert events(lines) == ["as ever"]
    finally:
        structlog.reset_defaults()


def test_logging_of_python_can_be_configured_as_one_likes(logger: FilteringBoundLogger, lines: Lines) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "root": {"level": "CRITICAL"}})
    try:
        logger.info("as ever")
        assert events(lines) == ["as ever"]
    finally:
        root.handlers, root.level = handlers, level


HYDRA_SCRIPT = """
import hydra
from mephisto_es.core.operations.logger_core import get_logger
logger = get_logger("a.script")
@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    logger.info("inside the job")
logger.info("before the job")
main()
logger.info("after the job")
"""


def test_hydras_job_logging_neither_swallows_nor_doubles_a_line(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(HYDRA_SCRIPT)
    finished = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0
    assert finished.stdout == ""
    said = [line for line in finished.stderr.splitlines() if "a.script" in line]
    assert [part in line for part, line in zip(("before", "inside", "after"), said, strict=True)] == [True] * 3


def test_a_version_that_a_page_sends_is_reported_in_words(lines: Lines) -> None:
    log_router_report({"what": "version_mismatch", "version": None})
    log_router_report({"what": "version_mismatch", "version": "1.9"})
    log_router_report({"what": "disk_full"})
    none, other, unknown = lines()
    assert none["level"] == "info"
    assert str(none["event"]).startswith("task_config.json was read without a version of mephisto-task, as curl does")
    assert (other["level"], other["version"]) == ("warning", "1.9")
    assert "build it again with mephisto-task" in str(other["event"])
    assert (unknown["level"], unknown["report_what"]) == ("warning", "disk_full")
