"""Small node projects of the tests, with the packages of their lock files, installed once and kept."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

#: What `npm ci` may take at most, on a slow line.
INSTALL_TIMEOUT_SECONDS = 600


class NpmFailedError(Exception):
    """npm could not install or build; the text is its own."""


def staged(project: Path, into: Path) -> Path:
    """Copies a project and gives it its packages, which are installed on first use only.

    Returns:
        The copy's folder.
    """
    copy = into / project.name
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("node_modules", "build"))
    (copy / "node_modules").symlink_to(_installed_packages(project), target_is_directory=True)
    return copy


def build(project: Path) -> Path:
    """Runs the project's own build and gives the folder of what it made."""
    _npm(project, "run", "build")
    return project / "build"


def _installed_packages(project: Path) -> Path:
    """Return the cached node_modules for a lock file. They are installed aside, then moved into the cache."""
    manifests = [project / "package.json", project / "package-lock.json"]
    key = hashlib.sha256(b"".join(path.read_bytes() for path in manifests)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mephisto-es" / "npm"
    packages = cache / f"{project.name}-{key}" / "node_modules"
    if not packages.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as aside:
            for path in manifests:
                shutil.copy(path, aside)
            _npm(Path(aside), "ci", "--no-audit", "--no-fund", "--ignore-scripts")
            packages.parent.mkdir(exist_ok=True)
            (Path(aside) / "node_modules").rename(packages)
    return packages


def _npm(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        ["npm", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise NpmFailedError(f"npm {arguments[0]} of {folder.name} failed: {done.stderr.strip()}")
