from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import trio
from omegaconf import DictConfig, OmegaConf

from mephisto_es.adapters.architects.contract import PageServerContract, ResourceBook, answers
from mephisto_es.adapters.architects.heroku import HerokuArchitect
from mephisto_es.core.abstractions.architect import Architect, ArchitectContext
from mephisto_es.core.abstractions.blueprint import SharedTaskState
from mephisto_es.core.abstractions.resources import Resources
from mephisto_es.core.errors import ConfigError, LaunchError
from mephisto_es.core.lifecycles.resource import ResourceStatus
from mephisto_es.core.operations.hydra_config import MephistoConfig
from mephisto_es.events.ids import TaskRunId

from .fake_heroku import FAKE_HEROKU_BIN, FakeHeroku, needs_npm_and_git

pytestmark = [pytest.mark.usefixtures("fake_heroku"), needs_npm_and_git]


def heroku(folder: Path, resources: Resources, **settings: object) -> HerokuArchitect:
    config: DictConfig = OmegaConf.structured(MephistoConfig)
    config.architect = OmegaConf.structured(HerokuArchitect.ArgsClass(_architect_type="heroku"))
    for name, value in settings.items():
        config.architect[name] = value
    HerokuArchitect.assert_task_args(config, SharedTaskState())
    return HerokuArchitect(ArchitectContext(config, SharedTaskState(), TaskRunId(1), folder, resources))


class TestOnStandIn(PageServerContract):
    def make(self, folder: Path, resources: Resources) -> Architect:
        return heroku(folder, resources)


async def deployed(architect: HerokuArchitect) -> str:
    static_dir = await architect.prepare()
    (static_dir / "index.html").write_text("here")
    return await architect.deploy()


async def test_config_and_secret_are_set_without_being_shown(tmp_path: Path, fake_heroku: FakeHeroku) -> None:
    resources = ResourceBook()
    architect = heroku(
        tmp_path,
        resources,
        heroku_app_name="my-app",
        heroku_team="us",
        heroku_config_args={"KEY": "a b's value"},
        max_body_bytes=1000,
    )
    with trio.fail_after(120):
        await deployed(architect)
        config = json.loads((fake_heroku.home / "apps" / "my-app" / "config").read_text())
        secret = (tmp_path / "router.secret").read_text()
        assert await architect.server_is_running()
        await architect.cleanup()
        await architect.shutdown()
    assert config == {
        "KEY": "a b's value",
        "MEPHISTO_ROUTER_COMMIT_WAIT_SECONDS": "2.0",
        "MEPHISTO_ROUTER_MAX_BODY_BYTES": "1000",
        "MEPHISTO_ROUTER_TRUSTED_PROXIES": "1",
    }
    assert ["apps:create", "my-app", "--team", "us", "--no-remote", "--json"] in fake_heroku.calls()
    assert ["ps:scale", "web=1", "--app", "my-app"] in fake_heroku.calls()
    for hidden in (secret, "a b's value", "token-of-the-fake"):
        assert hidden not in repr(fake_heroku.calls())
        assert hidden not in repr(resources.states)
    assert not await architect.server_is_running()
    assert not (tmp_path / "heroku_app").exists()


@pytest.mark.parametrize(
    ("fails", "complaint"),
    [
        ({"apps:create": "You've reached the limit of 5 apps"}, r"limit of 5 apps\. Destroy apps"),
        ({"apps:create": "Name my-app is already taken"}, r"taken\. Set mephisto\.architect\.heroku_app_name"),
        ({"push": "No default language could be detected"}, "did not accept the app my-app.*language|pre-receive"),
        ({"config": "Invalid config"}, "did not accept the app my-app: status 422: .*Invalid config"),
        ({"auth:token": "Not logged in"}, "did not accept the app my-app: .*Not logged in"),
        ({"ps:scale": "No such type as basic"}, "did not accept the app my-app: .*No such type"),
    ],
)
async def test_what_heroku_refuses_is_said_and_nothing_is_left(
    tmp_path: Path, fake_heroku: FakeHeroku, fails: dict[str, str], complaint: str
) -> None:
    fake_heroku.fails(fails)
    resources = ResourceBook()
    architect = heroku(
        tmp_path, resources, heroku_app_name="my-app", use_hobby=True, heroku_config_args={"KEY": "a-hidden-value"}
    )
    with trio.fail_after(120):
        with pytest.raises(LaunchError, match=f"(?s){complaint}") as error:
            await deployed(architect)
        await architect.shutdown()
    assert "a-hidden-value" not in str(error.value)
    assert fake_heroku.apps() == []
    assert resources.count(ResourceStatus.RELEASED) == len(resources.states) == 1


async def test_an_app_of_somebody_else_is_not_destroyed(tmp_path: Path, fake_heroku: FakeHeroku) -> None:
    (fake_heroku.home / "apps" / "my-app").mkdir()
    (fake_heroku.home / "apps" / "my-app" / "port").write_text("1")
    architect = heroku(tmp_path, ResourceBook(), heroku_app_name="my-app")
    with trio.fail_after(120):
        with pytest.raises(LaunchError, match="already taken"):
            await deployed(architect)
        await architect.shutdown()
    assert fake_heroku.apps() == ["my-app"]


async def test_an_app_that_cannot_be_destroyed_is_named_and_can_be_tried_again(
    tmp_path: Path, fake_heroku: FakeHeroku
) -> None:
    resources = ResourceBook()
    architect = heroku(tmp_path, resources, heroku_app_name="my-app")
    with trio.fail_after(120):
        url = await deployed(architect)
        fake_heroku.fails({"apps:destroy": "Service unavailable"})
        with pytest.raises(LaunchError, match=r"my-app still exists.*Service unavailable.*heroku apps:destroy"):
            await architect.shutdown()
        assert resources.count(ResourceStatus.ACQUIRED) == 1
        fake_heroku.fails({})
        await architect.shutdown()
        assert not await answers(url)
    assert resources.count(ResourceStatus.RELEASED) == 1


async def test_an_app_that_is_gone_already_counts_as_destroyed(tmp_path: Path, fake_heroku: FakeHeroku) -> None:
    resources = ResourceBook()
    architect = heroku(tmp_path, resources, heroku_app_name="my-app")
    with trio.fail_after(120):
        await deployed(architect)
        await trio.run_process([FAKE_HEROKU_BIN / "heroku", "apps:destroy", "--app", "my-app", "--confirm", "my-app"])
        await architect.shutdown()
    assert resources.count(ResourceStatus.RELEASED) == 1


async def test_a_later_process_takes_the_app_up(tmp_path: Path, fake_heroku: FakeHeroku) -> None:
    resources = ResourceBook()
    with trio.fail_after(120):
        url = await deployed(heroku(tmp_path, resources))
        [(number, state)] = resources.states.items()
        later = heroku(tmp_path, resources)
        assert await later.reattach(number, state.details) == url
        await later.shutdown()
        assert fake_heroku.apps() == []
        assert await heroku(tmp_path, resources).reattach(number, state.details) is None


async def test_an_app_that_was_created_but_never_filled_is_destroyed_if_it_is_ours(
    tmp_path: Path, fake_heroku: FakeHeroku
) -> None:
    architect = heroku(tmp_path, ResourceBook())
    with trio.fail_after(120):
        for app in ("made-up-by-us", "somebody-elses"):
            await trio.run_process([FAKE_HEROKU_BIN / "heroku", "apps:create", app], capture_stdout=True)
        assert await architect.reattach(1, {"app": "made-up-by-us", "made_up": 1}) is None
        assert await architect.reattach(2, {"app": "somebody-elses", "made_up": 0}) is None
    assert fake_heroku.apps() == ["somebody-elses"]


async def test_an_app_that_was_left_is_released_by_whoever_comes(tmp_path: Path, fake_heroku: FakeHeroku) -> None:
    with trio.fail_after(120):
        for app in ("made-up-by-us", "named-and-acquired", "somebody-elses"):
            await trio.run_process([FAKE_HEROKU_BIN / "heroku", "apps:create", app], capture_stdout=True)
        for _ in range(2):
            await HerokuArchitect.release({"app": "made-up-by-us", "made_up": 1})
            await HerokuArchitect.release({"app": "named-and-acquired", "made_up": 0, "url": "https://named.test"})
        with pytest.raises(LaunchError, match="heroku apps:destroy --app somebody-elses"):
            await HerokuArchitect.release({"app": "somebody-elses", "made_up": 0})
    assert fake_heroku.apps() == ["somebody-elses"]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"server_type": "python"}, "server_type is 'python'. Heroku runs only the node router"),
        ({"heroku_app_name": "My App"}, "heroku_app_name is 'My App'"),
        ({"server_source_path": "nowhere"}, r"nowhere has no server\.js"),
        ({"max_sockets": 0}, "max_sockets is 0"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, settings: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        heroku(tmp_path, ResourceBook(), **settings)


def test_somebody_has_to_be_logged_in(tmp_path: Path, fake_heroku: FakeHeroku) -> None:
    fake_heroku.fails({"auth:whoami": "Invalid credentials provided."})
    with pytest.raises(ConfigError, match=r"nobody is logged in to Heroku.*heroku login"):
        heroku(tmp_path, ResourceBook())


def test_the_cli_has_to_be_somewhere(tmp_path: Path, fake_heroku: FakeHeroku, monkeypatch: pytest.MonkeyPatch) -> None:
    git_only = tmp_path / "bin"
    git_only.mkdir()
    (git_only / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.setenv("PATH", str(git_only))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ConfigError, match="neither heroku nor npm to install it is on the PATH"):
        heroku(tmp_path, ResourceBook())


def test_a_cli_in_the_cache_is_taken(tmp_path: Path, fake_heroku: FakeHeroku, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = tmp_path / "cache" / "mephisto-es" / "heroku-11" / "node_modules" / ".bin"
    cached.mkdir(parents=True)
    (cached / "heroku").symlink_to(FAKE_HEROKU_BIN / "heroku")
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("git", "python3"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    heroku(tmp_path, ResourceBook())
    assert fake_heroku.calls()[-1] == ["auth:whoami"]
