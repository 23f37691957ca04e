"""The unit tests of the router in JavaScript, by node's own test runner. They need none of its packages."""

import shutil
import subprocess

import pytest

from .conftest import cannot_run
from .harness import NODE_ROUTER

LIMIT_SECONDS = 120


def test_the_unit_tests_of_the_node_router_pass() -> None:
    if shutil.which("node") is None:
        cannot_run("node is not installed: the node router is not tested")
    done = subprocess.run(
        ["node", "--test"], cwd=NODE_ROUTER, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    if done.returncode != 0:
        pytest.fail(done.stdout + done.stderr, pytrace=False)
    # A runner that finds no tests succeeds as well.
    assert "# tests 0" not in done.stdout
