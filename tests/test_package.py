"""What the package hands on at its root."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mephisto_es


def test_every_public_name_can_be_had() -> None:
    for name in mephisto_es.__all__:
        assert getattr(mephisto_es, name).__name__ == name


def test_a_name_that_is_not_there_is_named() -> None:
    with pytest.raises(AttributeError, match="mephisto_es has no 'Oparator'"):
        mephisto_es.__getattr__("Oparator")


def test_who_needs_only_the_events_loads_nothing_else() -> None:
    loaded = "[name for name in sys.modules if name.startswith('mephisto_es.') and '.events' not in name]"
    code = f"import sys, mephisto_es.events.codec; print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
