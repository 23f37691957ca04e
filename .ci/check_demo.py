"""Check what `mephisto-es demo --json` says, and that `mephisto-es replay` says the same of its database."""

import json
import subprocess
import sys
from pathlib import Path

COMMAND = Path(sys.executable).parent / "mephisto-es"
UNITS = 100
#: What the demo may take on two cores, once everything is installed.
SECONDS_LIMIT = 60


def main(report_file: str) -> None:
    """Compare; ends with a sentence and exit code 1 on the first thing that is not as it should be."""
    report = json.loads(Path(report_file).read_text())
    replayed = json.loads(subprocess.run([COMMAND, "replay", report["database"], "--json"], stdout=-1).stdout)
    expected = {
        "all units are completed": report["units"] == {"completed": UNITS},
        "the crowd submitted each unit once": report["crowd"]["submissions"] == UNITS,
        "two gave work back": report["crowd"]["returned"] == 2,
        "one vanished": report["crowd"]["disconnected"] == 1,
        "the demo found its log legal": report["replay"]["legal"] is True,
        "replay finds it legal": replayed["legal"] is True and replayed["findings"] == [],
        "both count the same events": report["events"] == replayed["events"] > 5 * UNITS,
        "both saw the same chain": report["replay"]["chain"] == replayed["chain"],
        "the view holds all units": replayed["units"].get("completed") == UNITS,
        "the address is one": report["url"].startswith("http://"),
        f"it took less than {SECONDS_LIMIT} s": report["seconds"] < SECONDS_LIMIT,
    }
    failed = [sentence for sentence, holds in expected.items() if not holds]
    if failed:
        sys.exit(f"{report_file}: it is not so that " + ", that ".join(failed))


if __name__ == "__main__":
    main(sys.argv[1])
