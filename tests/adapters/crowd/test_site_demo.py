"""A whole job on a simulated site, with a real router and real requests: both sides agree to the cent."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
import trio

from mephisto_es.adapters.crowd.site_demo import run_site_demo
from mephisto_es.adapters.fakes.prolific.site import DEFAULT_TOKEN
from mephisto_es.core.operations.config_handler import CONFIG_FILE_VARIABLE

UNITS = 5


def test_both_sides_agree_and_the_key_is_nowhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG_FILE_VARIABLE, "")  # set by the demo, and put back afterwards
    urls: list[str] = []
    demo = partial(
        run_site_demo,
        on_live=lambda live_run: urls.append(live_run.worker_url),
        on_submitted=lambda: None,
    )
    done = trio.run(demo, "prolific", UNITS, tmp_path, 1)
    assert done.is_success, done
    assert (done.units, done.paid_cents) == ({"accepted": UNITS}, UNITS * 100 + 25)
    assert urls[0].endswith("/?PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}")
    settings = Path(os.environ[CONFIG_FILE_VARIABLE])
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path != settings]
    assert len(written) > 3
    assert DEFAULT_TOKEN in settings.read_text()
    assert not any(DEFAULT_TOKEN.encode() in path.read_bytes() for path in written)
    output = capfd.readouterr()
    assert DEFAULT_TOKEN not in output.out + output.err
