"""The page of uploaded files, and the files themselves."""

from __future__ import annotations

from pathlib import Path

from mephisto_es.projections.mephisto_db import MephistoDB

from ...sample_log import RUN
from ...sample_uploads import AWAY, HERE, add_uploads
from .visitor import Visitor


async def test_files_are_listed_and_served_without_running_anything(visitor: Visitor, database: Path) -> None:
    agent = add_uploads(database)
    address = f"/runs/{RUN}/files/{agent}"
    page = await visitor.get(f"/runs/{RUN}/files")
    assert f'href="{address}/{HERE}"' in page.text
    assert "&lt;b&gt;me" in page.text
    assert "x.wav (not here)" in page.text
    shown = await visitor.get(f"{address}/{HERE}")
    assert (shown.content, shown.headers["content-type"]) == (b"PNG", "image/png")
    assert shown.headers["content-disposition"].startswith('inline; filename="b_me_31m_.png"')
    assert "sandbox" in shown.headers["content-security-policy"]
    assert shown.headers["x-content-type-options"] == "nosniff"
    stored = database.parent / "runs" / str(RUN) / "files" / str(agent)
    await visitor.get(f"{address}/{AWAY}", status=404)
    (stored / AWAY).write_bytes(b"<script>alert(1)</script>")
    away = await visitor.get(f"{address}/{AWAY}")
    assert away.headers["content-type"] == "application/octet-stream"
    assert away.headers["content-disposition"].startswith("attachment")


async def test_only_files_of_the_agent_are_served(visitor: Visitor, database: Path) -> None:
    agent = add_uploads(database)
    (database.parent / "runs" / str(RUN) / "files" / str(agent) / "secret").write_text("not an upload")
    for wrong in (f"{agent}/secret", f"{agent + 1}/{HERE}", f"{agent}/..%2f..%2fmephisto.db", f"999/{HERE}"):
        await visitor.get(f"/runs/{RUN}/files/{wrong}", status=404)
    await visitor.get(f"/runs/2/files/{agent}/{HERE}", status=404)


async def test_the_desk_links_the_files_beside_the_work(visitor: Visitor, database: Path) -> None:
    agent = add_uploads(database)
    with MephistoDB(database) as db:
        unit = db.get_agent(agent).unit_id
    page = await visitor.get(f"/runs/{RUN}/review/desk?unit={unit}")
    assert f'<a href="/runs/{RUN}/files/{agent}/{HERE}">' in page.text
    assert "x.wav (not here)" in page.text
