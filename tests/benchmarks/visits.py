"""How many visits a second one operator serves through one router, and how long workers wait.

A crowd that hardly thinks works through the sentence rating example; router, operator, log and crowd share the machine.
Prints one JSON object a round.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path
from random import Random

import msgspec
import trio

from mephisto_es.adapters.crowd.plan import plan_crowd
from mephisto_es.adapters.crowd.rehearsal import Rehearsal, rehearse
from mephisto_es.adapters.crowd.sentence_rating import configuration, rate, sentences
from mephisto_es.core.operations.logger_core import set_mephisto_log_level

THINK_SECONDS = 0.001


def measured(units: int, workers: int, server_type: str) -> Rehearsal:
    """One run in a fresh data folder, which is thrown away."""
    plans = plan_crowd(Random(0), workers, returning=0, disconnecting=0, think_seconds=THINK_SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        return trio.run(
            partial(
                rehearse,
                configuration(server_type),
                sentences(units),
                Path(folder),
                plans,
                rate,
                on_live=lambda _: None,
                on_submitted=lambda: None,
            )
        )


def main() -> None:
    """Measure."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--units", type=int, default=1000)
    options.add_argument("--workers", type=int, default=16)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--server-type", choices=["python", "node"], default="python")
    chosen = options.parse_args()
    set_mephisto_log_level(level="warning")
    for number in range(1, chosen.rounds + 1):
        run = measured(chosen.units, chosen.workers, chosen.server_type)
        figures = {
            "round": number,
            "units": run.units,
            "workers": chosen.workers,
            "seconds": run.seconds,
            "units_per_second": round(chosen.units / run.seconds, 1),
            "request_agent": run.crowd.request_agent,
            "submit_task": run.crowd.submit_task,
            "events": run.events,
            "legal": run.replay.legal,
        }
        print(msgspec.json.encode(figures).decode(), flush=True)  # noqa: T201 - the result


if __name__ == "__main__":
    main()
