"""An HTML task as Mephisto's users write it: templates, an onboarding, a form with a file; done in a real browser."""

import csv
import sys
from pathlib import Path

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.projections.mephisto_db.reader import MephistoDB

from ..processes import operator_process
from .browser import open_browser
from .browser_harness import Tools

SCRIPT = """
from mephisto_es import SharedStaticTaskState, task_script


def validate_onboarding(data):
    return "blue" in str(data)


@task_script(default_config_file="portraits")
def main(operator, cfg):
    shared_state = SharedStaticTaskState(
        onboarding_data={"thing": "the sky"}, validate_onboarding=validate_onboarding
    )
    run_id = operator.launch_task_run(cfg.mephisto, shared_state)
    print("Open", operator.get_running_task_runs()[run_id].worker_url, flush=True)
    operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=30)


if __name__ == "__main__":
    main()
"""
CONFIG = """#@package _global_
defaults:
  - /mephisto/blueprint: static_task
  - /mephisto/architect: local
  - /mephisto/provider: mock

mephisto:
  blueprint:
    data_csv: ${task_dir}/data/portraits.csv
    task_source: ${task_dir}/pages/portrait.html
    preview_source: ${task_dir}/pages/preview.html
    onboarding_source: ${task_dir}/pages/trial.html
    extra_source_dir: ${task_dir}/pages/extra
    task_source_review: ${task_dir}/pages/portrait.html
    onboarding_qualification: sees-colors
    tips_location: ${task_dir}/tips.csv
    html_fields: [caption]
  architect:
    port: 0
  task:
    task_name: portraits
    task_title: "Describe a portrait"
    task_description: "Say who is on a picture."
    task_reward: 0.3
    task_tags: [portrait, description]
"""
TASK = """
<title>Portraits</title>
<link rel="stylesheet" href="portraits.css">
<h2>The portrait of ${name}</h2>
<p id="name" title="${name}" data-agent="${mephisto_agent_id}">${caption}</p>
<a id="more" href="${link}">more</a>
<label>Age <input name="age" type="number" required></label>
<label>Proof <input id="proof" name="proof" type="file"></label>
<label><input type="checkbox" name="mood" value="happy"> happy</label>
<label><input type="checkbox" name="mood" value="calm"> calm</label>
<script>
  const theName = "${name}";
  const theAge = ${age};
  document.getElementById("name").dataset.read = theName.length + "/" + theAge;
</script>
<script src="portraits.js"></script>
"""
HOSTILE = '"><img src=x onerror="document.title=\'owned\'">\';document.title="owned";//'
EXTRA_SCRIPT = 'document.getElementById("name").dataset.extra = `loaded`;'


def write_task(folder: Path) -> None:
    files = {
        "run_task.py": SCRIPT,
        "hydra_configs/conf/portraits.yaml": CONFIG,
        "pages/portrait.html": TASK,
        "pages/preview.html": "<h2>A preview of portraits</h2>",
        "pages/trial.html": "<h2>Which color has ${thing}?</h2><label>Color <input name=color></label>",
        "tips.csv": "header,text\nAge,Guess.\n",
        "pages/extra/portraits.css": "h2 { color: teal }",
        "pages/extra/portraits.js": EXTRA_SCRIPT,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "data").mkdir()
    with (folder / "data" / "portraits.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "caption", "age", "link"])
        rows.writerow([HOSTILE, "<em>A painter</em>", "41", "javascript:document.title='owned'"])


async def test_an_html_task_from_preview_to_data(tools: Tools, tmp_path: Path) -> None:
    write_task(tmp_path)
    (tmp_path / "proof.png").write_bytes(b"the picture")
    data_dir = tmp_path / "mephisto_data"
    command = [sys.executable, str(tmp_path / "run_task.py"), f"mephisto.database.data_dir={data_dir}"]
    async with (
        operator_process(command) as operator,
        open_browser(tools.browser, tmp_path) as browser,
    ):
        page = await browser.open("ann")
        await page.visit(f"{operator.url}/")
        await page.see("A preview of portraits")
        await page.visit(f"{operator.url}/?worker_id=ann&assignment_id=1")
        await page.see("Which color has the sky?")
        await page.fill("[name=color]", "blue")
        await page.press("Submit")
        await page.see("The portrait of")
        await page.see("Tips for this work")
        assert HOSTILE in await page.text("h2")
        assert await page.text("#name em") == "A painter"
        for selector in (
            f'#name[data-read="{len(HOSTILE)}/41"][data-extra=loaded]',
            '#more[href="about:blank"]',
            "#name[data-agent]",
        ):
            await page.call("waitForSelector", selector)
        assert await page.call("title") == "Portraits"
        await page.fill("[name=age]", "42")
        for mood in ("happy", "calm"):
            await page.call("check", f"[value={mood}]")
        await page.call("setInputFiles", "#proof", str(tmp_path / "proof.png"))
        await page.press("Submit")
        await page.see("Submitted.")
        assert (await page.heard()).errors == []
        assert await operator.process.wait() == 0
    with MephistoDB(data_dir / DATABASE_FILE) as db:
        [unit] = db.find_units()
        agent = unit.get_assigned_agent()
        assert agent is not None
        outputs = agent.state.get_data()["outputs"]
    assert (outputs["age"], outputs["mood"]) == ("42", ["happy", "calm"])
    assert outputs["proof"]["name"] == "proof.png"
    assert len(outputs["files"]) == 1
