"""Opens the file that a verb writes, or standard output."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ....core.errors import ConfigError


@contextmanager
def opened_output(output: Path | None) -> Iterator[BinaryIO]:
    """Open standard output, or a file that is put in place once it is complete.

    Raises:
        ConfigError: the file cannot be written.
    """
    if output is None:
        yield sys.stdout.buffer
        return
    try:
        descriptor, draft = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
    except OSError as error:
        raise ConfigError(f"{output} cannot be written: {error.strerror}", key="--output") from error
    try:
        with open(descriptor, "wb") as file:
            yield file
        os.replace(draft, output)
    except BaseException:
        os.unlink(draft)
        raise
