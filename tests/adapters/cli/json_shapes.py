"""Writes the pinned shapes of what verbs print with `--json`."""

from __future__ import annotations

import json
from pathlib import Path

from mephisto_es.adapters.cli.schema import EXPORT, SHAPES, schema_of

if __name__ == "__main__":
    shapes = {name: schema_of(name) for name in (EXPORT, *SHAPES)}
    text = json.dumps(shapes, indent=1, ensure_ascii=False)
    Path(__file__).with_name("json_shapes.json").write_text(f"{text}\n", encoding="utf-8")
