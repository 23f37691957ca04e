"""A crowd provider that only a launch script defines pays from the command line."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.ports import AppendRequest
from mephisto_es.events.catalogue import AnyEvent
from mephisto_es.events.records import RequesterRegistered
from mephisto_es.events.task_run import TaskRunCreated
from mephisto_es.events.worker import WorkerRegistered
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import sample_history

SCRIPT = '''
from pathlib import Path

from mephisto_es import CrowdProvider, register_mephisto_abstraction
from shelf import SHELF


@register_mephisto_abstraction()
class Barter(CrowdProvider):
    """Pays in apples."""

    PROVIDER_TYPE = "barter_of_script"

    @property
    def requester_name(self):
        return "orchard"

    def get_wrapper_js_path(self):
        return Path(__file__)

    def worker_url(self, server_url):
        return server_url

    async def pay(self, order):
        with SHELF.open("a") as shelf:
            shelf.write(f"{order.token} {order.amount_cents}\\n")
        return order.token

    async def has_arrived(self, reference):
        return True


def main():
    raise SystemExit("it was launched")


if __name__ == "__main__":
    main()
'''


def ask(*words: str | Path) -> Result:
    return CliRunner().invoke(command.main, [*map(str, words)])


def from_barter(request: AppendRequest) -> AppendRequest:
    """The request, with workers from the script's provider."""

    def changed(event: AnyEvent) -> AnyEvent:
        kinds = (TaskRunCreated, WorkerRegistered, RequesterRegistered)
        return msgspec.structs.replace(event, provider_type="barter_of_script") if isinstance(event, kinds) else event

    events = tuple(new._replace(event=changed(new.event)) for new in request.events)
    return msgspec.structs.replace(request, events=events)


def test_a_provider_of_a_script_pays(tmp_path: Path) -> None:
    database, script, shelf = tmp_path / "mephisto.db", tmp_path / "run_task.py", tmp_path / "apples"
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit([from_barter(request) for request in sample_history()])
    script.write_text(SCRIPT)
    (tmp_path / "shelf.py").write_text(f"from pathlib import Path\nSHELF = Path({str(shelf)!r})\n")
    assert ask("review", database, "1", "--approve", "agent-1").exit_code == 0
    refused = ask("pay", database, "1", "--yes")
    assert refused.exit_code != 0
    assert "'barter_of_script', which is not installed here" in refused.output
    assert "name the script: --script run_task.py" in refused.output
    paid = ask("pay", database, "1", "--yes", "--script", script)
    assert paid.exit_code == 0, paid.output
    assert len(shelf.read_text().splitlines()) == 1
    assert ask("pay", database, "1", "--yes", "--script", script).exit_code == 0
    assert len(shelf.read_text().splitlines()) == 1
    assert "without a site" in ask("reconcile", database, "1", "--script", script).output


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def main():\n    raise SystemExit(3)\n\nmain()\n", "calls main in line 4 whenever it is imported"),
        ("import nothing_like_this\n", "cannot be imported: ModuleNotFoundError"),
        ("def (\n", "cannot be read: invalid syntax"),
    ],
)
def test_a_script_that_would_launch_or_cannot_be_imported_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    script = tmp_path / "run_task.py"
    script.write_text(text)
    refused = ask("pay", tmp_path, "1", "--script", script)
    assert refused.exit_code != 0
    assert reason in " ".join(refused.output.split())
