"""Adds to a list of parts (CycloneDX) the libraries that are no packages of Python, and come with the web view."""

import json
import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "adapters/web/static/vendor/README.md"
#: A row of its table: name and address, version, licence, npm package.
_LIBRARY = re.compile(
    r"^\| \[[^]]+\]\((?P<address>[^)]+)\) \| (?P<version>[^ ]+) \| \[(?P<licence>[^]]+)\].*"
    r" npm package `(?P<name>[^`]+)`",
    re.MULTILINE,
)


def main(path: Path) -> None:
    """Add the libraries to the list at a path."""
    parts = json.loads(path.read_text())
    libraries = list(_LIBRARY.finditer(README.read_text()))
    if not libraries:
        sys.exit(f"{README} lists no libraries")
    for found in libraries:
        purl = f"pkg:npm/{found['name']}@{found['version']}"
        parts["components"].append(
            {
                "type": "library",
                "bom-ref": purl,
                "name": found["name"],
                "version": found["version"],
                "licenses": [{"license": {"id": found["licence"]}}],
                "purl": purl,
                "externalReferences": [{"type": "vcs", "url": found["address"]}],
            }
        )
    path.write_text(json.dumps(parts, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
