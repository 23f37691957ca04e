"""A run of Mephisto's own, with its router, as its launch scripts have it. Runs where Mephisto is installed, not we.

Usage: mephisto_host.py UNITS FOLDER PORT. Answers where workers come to, like `hosted_run.py`, and ends when standard
input does. Mephisto makes its page and its router's packages first, for which it needs npm.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

_LOOK_SECONDS = 0.05


def _accept_old_defaults() -> None:
    """Let Python 3.11 import Mephisto 1.1.1, which has dataclasses as defaults of dataclasses."""
    real = dataclasses._process_class  # type: ignore[attr-defined]  # there is no public way

    def hashable(cls: type, init: bool, repr_: bool, eq: bool, order: bool, unsafe_hash: bool, *rest: Any) -> Any:
        is_theirs = cls.__module__.split(".")[0] == "mephisto"
        return real(cls, init, repr_, eq, order, unsafe_hash or is_theirs, *rest)

    dataclasses._process_class = hashable  # type: ignore[attr-defined]  # as above


def _operator(folder: Path) -> Any:
    from mephisto.abstractions.databases.local_singleton_database import MephistoSingletonDB
    from mephisto.operations.operator import Operator

    db = MephistoSingletonDB(database_path=str(folder / "database.db"))
    db.new_requester("MOCK_REQUESTER", "mock")
    return Operator(db)


def _blueprint() -> Any:
    """Register the static task without its page, and return its arguments."""
    from mephisto.abstractions.blueprint import TaskBuilder
    from mephisto.abstractions.blueprints.abstract.static_task import static_blueprint
    from mephisto.operations.registry import register_mephisto_abstraction

    def build_in_dir(_: object, build_dir: str) -> None:
        (Path(build_dir) / "static" / "bundle.js").write_text("// measured without a page\n")

    name = "bench_static"
    builder = type("NoPageBuilder", (TaskBuilder,), {"build_in_dir": build_in_dir})
    args = dataclasses.make_dataclass(
        "BenchArgs", [("_blueprint_type", str, name)], bases=(static_blueprint.StaticBlueprintArgs,)
    )
    parts = {"ArgsClass": args, "TaskBuilderClass": builder, "BLUEPRINT_TYPE": name}
    register_mephisto_abstraction()(type("BenchStatic", (static_blueprint.StaticBlueprint,), parts))
    return args(units_per_assignment=1)


def _launch(operator: Any, units: int, port: str) -> Any:
    from mephisto.abstractions.architects.local_architect import LocalArchitectArgs
    from mephisto.abstractions.blueprints.abstract.static_task.static_blueprint import SharedStaticTaskState
    from mephisto.abstractions.providers.mock.mock_provider import MockProviderArgs
    from mephisto.data_model.task_run import TaskRunArgs
    from mephisto.operations.hydra_config import MephistoConfig
    from omegaconf import OmegaConf

    config = MephistoConfig(
        blueprint=_blueprint(),
        provider=MockProviderArgs(requester_name="MOCK_REQUESTER"),
        architect=LocalArchitectArgs(hostname="localhost", port=port),
        task=TaskRunArgs(
            task_name="bench",
            task_title="bench",
            task_description="bench",
            task_reward=0.0,
            task_tags="bench",
            assignment_duration_in_seconds=3600,
            submission_timeout=3600,
        ),
        log_level="error",
    )
    rows = [{"text": f"item {number}"} for number in range(units)]
    run = operator.launch_task_run(OmegaConf.structured(config), SharedStaticTaskState(static_task_data=rows))
    if run is None:
        raise RuntimeError("Mephisto could not launch the run; what it says is above")
    return operator.get_running_task_runs()[run]


def _host(units: int, folder: Path, port: str) -> None:
    # What Mephisto and npm print is no answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    os.environ["HOME"] = str(folder)
    _accept_old_defaults()
    import mephisto

    # Where it runs its servers; it stops at what an earlier one has left.
    shutil.rmtree(Path(mephisto.__file__).parent.parent / "tmp", ignore_errors=True)
    operator = _operator(folder)
    live = _launch(operator, units, port)
    hosted = {"url": f"http://localhost:{port}", "operator_pid": os.getpid(), "data_dir": str(folder)}
    hosted["router_pid"] = live.architect.server_process_pid
    threading.Thread(target=_answer_and_end, args=(live, answers, hosted), daemon=True).start()
    # Here its event loop runs, without which it answers nobody.
    operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=None)


def _answer_and_end(live: Any, answers: TextIO, hosted: dict[str, Any]) -> None:
    """Answer once all work is on offer, and end the process with standard input."""
    try:
        pause, launcher = threading.Event(), live.task_launcher
        while not launcher.units or launcher.units[-1].db_status == "created":
            pause.wait(_LOOK_SECONDS)
        answers.write(json.dumps(hosted) + "\n")
        answers.flush()
        sys.stdin.read()
    finally:
        os.kill(hosted["router_pid"], signal.SIGTERM)
        # Threads of Mephisto's would not let the process end.
        os._exit(0)


if __name__ == "__main__":
    _host(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
