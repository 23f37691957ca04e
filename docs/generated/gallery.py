"""Lists the screenshots that the browser tests leave: what pages look like to workers and to those who run a task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

#: Folder of the browser tests' screenshots; they are made anew by each run of the tests.
SCREENSHOTS = Path(__file__).resolve().parents[2] / "artefacts" / "browser"
#: Folder of the gallery in the built documentation.
FOLDER = "gallery"
_EVERY_PAGE = "test_web_view-test_everybody_can_use_every_page"


class Picture(NamedTuple):
    """One screenshot of the gallery."""

    #: Folder and file below `SCREENSHOTS`.
    source: str
    title: str
    #: What is to be seen, also for those who cannot see it.
    caption: str

    @property
    def path(self) -> Path:
        """The file, which a build without the tests does not have."""
        return SCREENSHOTS / self.source

    @property
    def uri(self) -> str:
        """The path in the built documentation."""
        return f"{FOLDER}/{self.title.lower().replace(' ', '_')}.png"


def _page(file: str, title: str, caption: str) -> Picture:
    return Picture(f"{_EVERY_PAGE}/{file}.png", title, caption)


PICTURES = (
    _page("run-desk", "A live run", "Its progress, pace and money in plots, what keeps it open, and its last events."),
    _page("run-phone", "The same on a phone", "One column, and nothing wider than the screen."),
    _page("desk-desk", "The review desk", "One piece of work at a time, with filters, verdicts and keys."),
    _page("review-desk", "A list of work", "Many pieces of work on one page, each with its verdict."),
    _page("quality-desk", "Quality", "Agreement, labels and workers worth a look, each with how it was computed."),
    _page("adjudicate-desk", "Adjudication", "All answers to one item side by side, and the decision on its label."),
    _page("money-desk", "Money", "What was paid, what is owed, what is in doubt, and what is left of the budget."),
    _page("units-desk", "Units", "All units with their status, worker and work, sorted and searched."),
    _page("timeline-desk", "The timeline", "Every event of a run in words, with its author and position."),
    _page("timeline-dark-desk", "The timeline in the dark", "The same page with the colours of a dark desktop."),
)


def gallery() -> str:
    """Return all screenshots that there are, with their captions."""
    return "\n".join(_figures()) or (
        "This documentation was built without screenshots: run `make test`, which makes them, and then `make docs`."
    )


def _figures() -> Iterator[str]:
    for picture in PICTURES:
        if picture.path.exists():
            yield f"## {picture.title}\n\n{picture.caption}\n\n![{picture.title}: {picture.caption}]({picture.uri})\n"
