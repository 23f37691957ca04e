"""The page's rules for answers are the server's: `form_cases.json` is for both."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from .browser_harness import ROOT

CASES_FILE = ROOT / "tests" / "adapters" / "blueprints" / "form_cases.json"
RULES = ROOT / "adapters" / "blueprints" / "static_task_page" / "form_rules.js"
ORDER = ROOT / "adapters" / "blueprints" / "static_task_page" / "presented_order.js"


def run(node: str, module: Path, script: str) -> list[Any]:
    """Run a script that has a module of the page as `page`, and give what it prints: a list, as JSON."""
    code = f"import * as page from {json.dumps(module.as_uri())};\n{script}"
    done = subprocess.run(
        [node, "--input-type=module", "--eval", code], capture_output=True, text=True, check=True, timeout=120
    )
    printed: list[Any] = json.loads(done.stdout)
    return printed


def test_answers_are_judged_as_the_server_judges_them(node: str) -> None:
    cases = json.loads(CASES_FILE.read_text(encoding="utf-8"))
    script = f"""
        import {{ readFileSync }} from "node:fs";
        const cases = JSON.parse(readFileSync({json.dumps(str(CASES_FILE))}, "utf-8"));
        const judge = ({{ form, answers }}) => Object.fromEntries(page.problemsOf(form, answers));
        console.log(JSON.stringify(cases.map(judge)));
    """
    for case, problems in zip(cases, run(node, RULES, script), strict=True):
        assert problems == case["problems"], case


def test_orders_are_the_same_for_a_seed_and_even_over_seeds(node: str) -> None:
    script = """
        const orders = Array.from({ length: 6000 }, (_, seed) => page.shuffled(["a", "b", "c"], `agent${seed}/field`));
        const again = Array.from({ length: 6000 }, (_, seed) => page.shuffled(["a", "b", "c"], `agent${seed}/field`));
        console.log(JSON.stringify([orders, again]));
    """
    orders, again = run(node, ORDER, script)
    assert orders == again
    counts = {tuple(order): orders.count(order) for order in orders[:50]}
    assert len(counts) == 6
    assert all(800 < count < 1200 for count in counts.values())
