"""Print the coverage of each folder, and fail if one is below its floor.

Reads the data that `make coverage` has just taken. A figure counts lines and branches together.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

#: The least that must be covered, in percent, with everything below the folder.
FLOORS = {"core": 95.0, "core/lifecycles": 100.0, "core/decisions": 100.0}


class Covered(NamedTuple):
    """Lines and branches, those that were run and all of them."""

    run: int
    all: int

    @property
    def percent(self) -> float:
        """The share that was run."""
        return 100 * self.run / self.all if self.all else 100.0


def measured() -> dict[str, Covered]:
    """Return the coverage of each file."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        subprocess.run([sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(report)], check=True)
        files = json.loads(report.read_text())["files"]
    return {
        name: Covered(
            file["summary"]["covered_lines"] + file["summary"]["covered_branches"],
            file["summary"]["num_statements"] + file["summary"]["num_branches"],
        )
        for name, file in files.items()
    }


def below(files: dict[str, Covered], folder: str) -> Covered:
    """Return the coverage of all that is below a folder."""
    inside = [covered for name, covered in files.items() if name.startswith(f"{folder}/")]
    return Covered(sum(one.run for one in inside), sum(one.all for one in inside))


def main() -> None:
    """Print the table; end with exit code 1 if a folder is below its floor."""
    files = measured()
    folders = sorted({parent.as_posix() for name in files for parent in Path(name).parents} - {"."})
    failed = []
    print(f"{'coverage':<44} {'percent':>8} {'not run':>8}  floor")
    for folder in folders:
        covered, floor = below(files, folder), FLOORS.get(folder)
        print(f"{folder:<44} {covered.percent:8.1f} {covered.all - covered.run:8}  {floor or ''}".rstrip())
        if floor is not None and covered.percent < floor:
            failed.append(f"{folder} is at {covered.percent:.2f} %, its floor is {floor:.0f} %")
    if failed:
        sys.exit("; ".join(failed) + ": `coverage report --show-missing` lists the lines")


if __name__ == "__main__":
    main()
