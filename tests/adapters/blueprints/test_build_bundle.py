"""A page that is a node project is built when it has to be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from mephisto_es.adapters.blueprints.build_bundle import build_custom_bundle
from mephisto_es.core.errors import ConfigError, LaunchError

#: Stands for npm: notes what it is asked for, and builds unless a file says that it cannot.
NPM = """#!/bin/sh
echo "npm $*" >> steps
if [ "$1" = run ] && [ -e broken ]; then echo "Module not found: ./missing.jsx"; exit 2; fi
if [ "$1" = run ] && [ ! -e lazy ]; then mkdir -p build && echo "$2" > build/bundle.js; fi
"""
INSTALL = "npm install --no-audit --no-fund"


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a task folder with a page, and a fake npm on the PATH."""
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(NPM)
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:{os.environ['PATH']}")
    source = tmp_path / "task" / "webapp" / "src"
    source.mkdir(parents=True)
    (source / "main.jsx").write_text("<App />")
    (source.parent / "package.json").write_text("{}")
    return tmp_path / "task"


def steps(task: Path) -> list[str]:
    """Return the calls since the last time."""
    done = task / "webapp" / "steps"
    if not done.exists():
        return []
    lines = done.read_text().splitlines()
    done.unlink()
    return lines


async def build(task: Path, **how: object) -> Path:
    with trio.fail_after(120):
        return await build_custom_bundle(task, **how)  # type: ignore[arg-type]  # passed on as the tests give it


async def test_it_is_built_once_and_again_when_its_source_is_newer(task: Path) -> None:
    bundle = await build(task)
    assert bundle == task / "webapp" / "build" / "bundle.js"
    assert bundle.read_text() == "dev\n"
    assert steps(task) == [INSTALL, "npm run dev"]
    await build(task)
    assert steps(task) == []
    changed_at = bundle.stat().st_mtime_ns + 1_000_000
    (task / "webapp" / "node_modules").mkdir()
    for ignored in ("node_modules/react.js", "build/bundle.js.map"):
        (task / "webapp" / ignored).touch()
        os.utime(task / "webapp" / ignored, ns=(changed_at, changed_at))
    await build(task)
    assert steps(task) == []
    os.utime(task / "webapp" / "src" / "main.jsx", ns=(changed_at, changed_at))
    await build(task)
    assert steps(task) == [INSTALL, "npm run dev"]


async def test_a_script_may_do_it_in_its_own_way(task: Path) -> None:
    await build(task)
    (task / "webapp" / "link.sh").write_text('echo "linked" >> steps')
    steps(task)
    await build(task, force_rebuild=True, post_install_script="link.sh", build_command="build")
    assert steps(task) == [INSTALL, "linked", "npm run build"]


async def test_what_cannot_be_built_says_why(task: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"elsewhere has no package\.json"):
        await build(task, webapp_name="elsewhere")
    with pytest.raises(ConfigError, match=r"webapp has no link\.sh"):
        await build(task, post_install_script="link.sh")
    (task / "webapp" / "lazy").touch()
    with pytest.raises(LaunchError, match=r"npm run dev did not create .*bundle\.js"):
        await build(task)
    (task / "webapp" / "broken").touch()
    with pytest.raises(LaunchError, match=r"'npm run dev' in .* failed \(status 2\): Module not found"):
        await build(task)
    monkeypatch.setenv("PATH", str(task))
    with pytest.raises(LaunchError, match="npm is not on the PATH"):
        await build(task)
