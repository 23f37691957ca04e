"""Writes a new task: a launch script, its configuration, a few items, and a page if the kind of task has one."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path

import msgspec

from ...core.errors import ConfigError
from .config_schema import config_schema

_FILES = Path(__file__).parent / "files"
#: The chat's page is that of the example.
_CHAT_PAGE = Path(__file__).resolve().parents[2] / "examples" / "paired_chat" / "page"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")
SCHEMA_FILE = "config.schema.json"


class StarterKind(Enum):
    """The page that a new task starts from."""

    #: The stock page, which draws a form.
    FORM = "form"
    #: A page that is one HTML file.
    HTML = "html"
    #: A page on React and the npm package `mephisto-task`.
    REACT = "react"
    #: A chat in pairs.
    CHAT = "chat"


class _Starter(msgspec.Struct, frozen=True, kw_only=True):
    about: str
    #: Target of each file, by its name in the folder of the kind.
    files: dict[str, str]
    #: Files of the task with what they are for.
    described: dict[str, str]
    script: str = "common/run_task.py.txt"


_STARTERS = {
    StarterKind.FORM: _Starter(
        about="Workers choose the mood of short texts, on the stock page: the form is in the configuration.",
        files={},
        described={},
    ),
    StarterKind.HTML: _Starter(
        about="Workers choose the mood of short texts, on a page that is one HTML file.",
        files={"page.html.txt": "page.html"},
        described={"page.html": "the page; `${text}` is a value of an item"},
    ),
    StarterKind.REACT: _Starter(
        about="Workers choose the mood of short texts, on a page in React. The launch script builds it with npm.",
        files={
            "package.json.txt": "webapp/package.json",
            "page.jsx.txt": "webapp/src/page.jsx",
            "answers.py.txt": "answers.py",
        },
        described={"webapp/src/page.jsx": "the page", "answers.py": "what simulated workers answer"},
        script="react/run_task.py.txt",
    ),
    StarterKind.CHAT: _Starter(
        about="Workers chat in pairs about a topic.",
        files={},
        described={"page/": "the chat page"},
    ),
}


def write_starter(kind: StarterKind, folder: Path) -> tuple[Path, ...]:
    """Write a new task into a folder, and return its files, relative to the folder.

    Args:
        kind: what it starts from.
        folder: the folder, whose name becomes the name of the task; it must not exist, or be empty.

    Raises:
        ConfigError: the name cannot be one of a task, or something is in the folder already, or it cannot be written.
    """
    if not _NAME.fullmatch(folder.name):
        raise ConfigError(
            f"{folder.name!r} cannot be the name of a task",
            key="NAME",
            hint="Use small letters, digits and underscores, and begin with a letter, for example my_task",
        )
    texts = _texts(kind, folder.name)
    try:
        if folder.exists() and any(folder.iterdir()):
            raise ConfigError(f"{folder} is not empty", key="NAME", hint="Choose another name, or delete the folder")
        for relative, text in texts.items():
            target = folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}", key="NAME") from error
    return tuple(texts)


def _texts(kind: StarterKind, name: str) -> dict[Path, str]:
    starter = _STARTERS[kind]
    sources = {
        "run_task.py": starter.script,
        f"hydra_configs/conf/{name}.yaml": f"{kind.value}/conf.yaml.txt",
        "data/items.csv": f"{kind.value}/items.csv.txt",
        "README.md": "common/README.md.txt",
        **{target: f"{kind.value}/{source}" for source, target in starter.files.items()},
    }
    described = "\n".join(f"| `{file}` | {about} |" for file, about in starter.described.items())
    places = {
        "__NAME__": name,
        "__NPM_NAME__": name.replace("_", "-"),
        "__ABOUT__": starter.about,
        "__ANSWERS__": " --answers answers.py" if "answers.py" in starter.described else "",
        "__FILES__\n": f"{described}\n" if described else "",
    }
    texts = {Path(target): _filled(_FILES / source, places) for target, source in sources.items()}
    if kind is StarterKind.CHAT:
        texts |= {Path("page", one.name): one.read_text(encoding="utf-8") for one in sorted(_CHAT_PAGE.iterdir())}
    return texts | {Path(SCHEMA_FILE): f"{msgspec.json.encode(config_schema()).decode()}\n"}


def _filled(source: Path, places: dict[str, str]) -> str:
    text = source.read_text(encoding="utf-8")
    for place, value in places.items():
        text = text.replace(place, value)
    return text
