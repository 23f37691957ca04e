"""Writes the pinned shapes of what verbs print with `--json`."""

from __future__ import annotations

import json
from pathlib import Path

from mephisto_es.adapters.cli.schema import EXPORT, SHAPES, schema_of

if __name__ == "__main__":
    lines = [f"{json.dumps(name)}: {json.dumps(schema_of(name), ensure_ascii=False)}" for name in (EXPORT, *SHAPES)]
    text = ",\n".join(lines)
    Path(__file__).with_name("json_shapes.json").write_text(f"{{\n{text}\n}}\n", encoding="utf-8")
