"""Runs a launch script as a rehearsal: with its own configuration, but a separate log, a local server and mock workers.

As a program, `python -m mephisto_es.adapters.rehearsal.script_process JOB`, with a `ScriptJob` as JSON.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from ..composition.operator_override import OperatorOverride, overriding_operators
from .operator import RehearsalOperator
from .settings import LaunchedRun, RehearsalSettings


class ScriptJob(msgspec.Struct, frozen=True, kw_only=True):
    """The task of the process that runs the launch script."""

    settings: RehearsalSettings
    #: The file descriptor to which it reports each launched run, as a line of JSON.
    reports_to: int


def encode_path(value: Any) -> str:
    """Encode a path, for msgspec."""
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError


def decode_path(kind: type, value: Any) -> Any:
    """Decode a path, for msgspec."""
    if issubclass(kind, Path):
        return kind(value)
    raise NotImplementedError


encode_job = msgspec.json.Encoder(enc_hook=encode_path).encode
decode_job = msgspec.json.Decoder(ScriptJob, dec_hook=decode_path).decode


def main(arguments: Sequence[str]) -> None:
    """Run the program."""
    job = decode_job(arguments[0])
    settings = job.settings

    def report(run: LaunchedRun) -> None:
        os.write(job.reports_to, msgspec.json.encode(run) + b"\n")

    make_operator = partial(RehearsalOperator, rehearsal=settings, on_launched=report)
    sys.argv = [str(settings.script), *settings.overrides]
    sys.path[0] = str(settings.script.parent)
    with overriding_operators(OperatorOverride(settings.data_dir, make_operator)):
        runpy.run_path(str(settings.script), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
