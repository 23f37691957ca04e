"""What pages can do with `mephisto_client.js` beyond the pages of this project."""

from pathlib import Path

import msgspec

from .browser import Page
from .scripts import EchoScript, StaticScript
from .stage import CLIENT, MOCK_PROVIDER, RouterKind, Stage, Tools, lay_out, staged

PAGE = """<!doctype html>
<title>Bare page</title>
<link rel="icon" href="data:," />
<script src="/wrap_crowd_source.js"></script>
<form id="form">
  <input name="note" value="a form as it is" />
  <input name="colour" value="red" /><input name="colour" value="blue" />
  <input name="attachment" type="file" />
  <input name="nothing" type="file" />
</form>
<script type="module">
  import * as Mephisto from "/mephisto_client.js";
  globalThis.opening = Mephisto.start({ onTask() {}, live: %s });
</script>
"""


def bare_page(tmp_path: Path, live: bool = False) -> Path:
    static = lay_out(tmp_path / "static", [CLIENT, MOCK_PROVIDER], {"block_mobile": False})
    (static / "index.html").write_text(PAGE % msgspec.json.encode(live).decode(), encoding="utf-8")
    return static


async def run(page: Page, script: str) -> str:
    """Runs statements with the opened `task` and gives what they return as JSON."""
    body = f"(async () => {{ const task = await opening; {script} }})()"
    return str(await page.call("evaluate", f"{body}.then(JSON.stringify)"))


async def opened(stage: Stage) -> Page:
    page = await stage.visitor("ann")
    await stage.operator.packets("register_agent")
    return page


async def test_remote_procedures(tools: Tools, router_kind: RouterKind, tmp_path: Path) -> None:
    static = bare_page(tmp_path, live=True)
    async with staged(tools, router_kind, static, EchoScript()) as stage:
        page = await opened(stage)
        echoed = await run(page, "return Promise.all([1, 2, 3].map((n) => task.call('echo', {n, text: 'wörld'})))")
        assert msgspec.json.decode(echoed) == [{"n": n, "text": "wörld"} for n in (1, 2, 3)]
        refused = await run(page, "return task.call('refuse').catch((error) => error.message)")
        assert msgspec.json.decode(refused) == "this procedure always refuses"


async def test_form_data_with_a_file(tools: Tools, router_kind: RouterKind, tmp_path: Path) -> None:
    upload = tmp_path / "notes.txt"
    upload.write_text("some notes", encoding="utf-8")
    async with staged(tools, router_kind, bare_page(tmp_path), StaticScript([{}])) as stage:
        page = await opened(stage)
        await page.call("setInputFiles", "[name=attachment]", str(upload))
        await run(page, "await task.submit(new FormData(document.getElementById('form')))")
        [submission] = await stage.operator.packets("submit_unit")
        answer = submission.data["final_data"]
        assert isinstance(answer, dict)
        attachment = answer.pop("attachment")
        assert (attachment["name"], attachment["size"]) == ("notes.txt", 10)
        assert answer == {"note": "a form as it is", "colour": ["red", "blue"]}
        files = submission.data["files"]
        assert isinstance(files, list)
        assert [file["originalname"] for file in files] == ["notes.txt"]


async def test_metadata_and_errors(tools: Tools, router_kind: RouterKind, tmp_path: Path) -> None:
    async with staged(tools, router_kind, bare_page(tmp_path), StaticScript([{}])) as stage:
        page = await opened(stage)
        answer = await run(page, "return task.sendMetadata({type: 'tips', header: 'a tip', text: 'be kind'})")
        assert msgspec.json.decode(answer) == {"status": "Submitted metadata"}
        [metadata] = await stage.operator.packets("submit_metadata")
        assert metadata.data["metadata"] == {"tips": {"type": "tips", "header": "a tip", "text": "be kind"}}
        await run(page, "dispatchEvent(new ErrorEvent('error', {message: 'it broke'}))")
        [report] = await stage.operator.packets("log_error")
        assert report.data["error_data"] == {"error": "it broke"}
        assert report.subject_id == metadata.subject_id


async def test_submitting_twice_is_one_submission(tools: Tools, router_kind: RouterKind, tmp_path: Path) -> None:
    async with staged(tools, router_kind, bare_page(tmp_path), StaticScript([{}])) as stage:
        page = await opened(stage)
        await run(page, "await Promise.all([task.submit(1), task.submit(2)]); await task.submit(3)")
        await run(page, "await task.sendMetadata({type: 'tips', text: 'after everything else'})")
        await stage.operator.packets("submit_metadata")
        assert len(stage.operator.received("submit_unit")) == 1
