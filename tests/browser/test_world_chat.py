"""A chat written as a world, with an onboarding, on the stock page in turns; reloaded in between, in a real browser."""

import sys
from pathlib import Path

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.projections.mephisto_db.reader import MephistoDB

from ..adapters.blueprints.test_worlds import WORLDS
from ..processes import operator_process
from .browser import Page, open_browser
from .browser_harness import Tools

SCRIPT = """
from mephisto_es import SharedParlAITaskState, task_script


@task_script(default_config_file="chat")
def main(operator, cfg):
    shared_state = SharedParlAITaskState(world_opt={"turns": 1}, onboarding_world_opt={"word": "please"})
    run_id = operator.launch_task_run(cfg.mephisto, shared_state)
    print("Open", operator.get_running_task_runs()[run_id].worker_url, flush=True)
    operator.wait_for_runs_then_shutdown()


main()
"""
CONFIG = """#@package _global_
defaults:
  - /mephisto/blueprint: parlai_chat
  - /mephisto/architect: local
  - /mephisto/provider: mock

mephisto:
  blueprint:
    world_file: ${task_dir}/worlds.py
    num_conversations: 1
    onboarding_qualification: polite
    task_description_file: ${task_dir}/description.html
    tips_location: ${task_dir}/tips.csv
  architect:
    port: 0
  task:
    task_title: Talk
    task_description: Talk in turns.
    task_reward: "0.30"
    task_tags: chat
"""


async def say(page: Page, words: str) -> None:
    """Wait for the turn, and write."""
    await page.see("It is your turn.")
    await page.fill("#text", words)
    await page.press("Send")


async def test_two_people_talk_in_turns_after_their_trials(tools: Tools, tmp_path: Path) -> None:
    files = {
        "run_task.py": SCRIPT,
        "hydra_configs/conf/chat.yaml": CONFIG,
        "worlds.py": WORLDS,
        "world_words.py": "COORDINATOR = 'Coordinator'\n",
        "description.html": "<b>Be polite.</b>",
        "tips.csv": "header,text\nPlease,It helps.\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    data_dir = tmp_path / "mephisto_data"
    command = [sys.executable, str(tmp_path / "run_task.py"), f"mephisto.database.data_dir={data_dir}"]
    async with (
        operator_process(command) as operator,
        open_browser(tools.browser, tmp_path) as browser,
    ):
        ann, bob = await browser.open("ann"), await browser.open("bob")
        for page in (ann, bob):
            await page.visit(f"{operator.url}/?worker_id={page.name}&assignment_id=1")
            await page.see("Be polite.")
            await page.see("Tips for this work")
            await say(page, "no")
            await page.call("reload")
            await page.see("Say please.")
            await page.see("no")
            await say(page, "please")
            await page.see("Waiting for the others." if page is ann else "Talk about anything.")
        first, second = (ann, bob) if "Speaker 1" in await self_name(ann) else (bob, ann)
        await say(first, "good day")
        await second.see("good day")
        await say(second, "hello")
        await first.see("hello")
        await first.call("reload")
        await first.see("Speaker 1 (you)")
        for page in (first, second):
            await page.press("Finish and submit")
            await page.see("Submitted.")
            assert (await page.heard()).errors == []
        assert await operator.process.wait() == 0
    with MephistoDB(data_dir / DATABASE_FILE) as db:
        assert {unit.status for unit in db.find_units()} == {"completed"}


async def self_name(page: Page) -> str:
    """Return the name under which a page speaks: the first speaker writes first."""
    await page.see("Talk about anything.")
    return "Speaker 1" if "It is your turn." in await page.text("#state") else "Speaker 2"
