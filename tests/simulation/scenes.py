"""The parts of the world that the simulation of a seed has, and the seeds that are kept because they showed a fault."""

from __future__ import annotations

from typing import NamedTuple, TypedDict


class Scene(TypedDict):
    """The parts of the world that a simulation has."""

    has_requester: bool
    on_disk: bool
    routers: int
    has_uploads: bool
    has_quality: bool
    is_hasty: bool


class KeptSeed(NamedTuple):
    """A seed that showed a fault once."""

    seed: int
    scene: Scene
    fault: str


def scene_of(seed: int) -> Scene:
    """Return the parts that the simulation of a seed has."""
    return Scene(
        has_requester=seed % 2 == 0,
        on_disk=seed // 2 % 4 == 0,
        routers=1 + seed // 4 % 2,
        has_uploads=seed % 3 == 0,
        has_quality=seed % 7 in (0, 3),
        is_hasty=seed % 5 in (0, 2, 3),
    )


def _scene(
    *,
    has_requester: bool = False,
    on_disk: bool = False,
    routers: int = 1,
    has_uploads: bool = False,
    has_quality: bool = False,
    is_hasty: bool = False,
) -> Scene:
    return Scene(
        has_requester=has_requester,
        on_disk=on_disk,
        routers=routers,
        has_uploads=has_uploads,
        has_quality=has_quality,
        is_hasty=is_hasty,
    )


#: Seeds that showed a fault of the product, and in the end some that show one which is made on purpose.
KEPT = (
    KeptSeed(2557279352093, _scene(), "a connection was cut within the first greeting"),
    KeptSeed(2557279352918, _scene(), "an agent was told of before its commit"),
    KeptSeed(75108003290379, _scene(), "an update was sent before older ones"),
    KeptSeed(161121806566678, _scene(), "two that waited for a decision woke each other while the log was asked"),
    KeptSeed(237207331428943, _scene(routers=2), "updates did not follow a page to a router that connected after it"),
    KeptSeed(
        24,
        _scene(on_disk=True, routers=2, has_uploads=True, has_requester=True),
        "the end of the work was taken for a request to end the run, and a failed callback was not asked again",
    ),
    KeptSeed(39, _scene(has_requester=True), "the script never heard of work that was reviewed before it was asked"),
    KeptSeed(75, _scene(has_requester=True), "a run that was ended at once did not wait for the script's last answer"),
    KeptSeed(5910052, _scene(has_requester=True, routers=2), "an erasure took another one of the worker for recorded"),
    KeptSeed(
        263278707623394,
        _scene(has_requester=True, has_uploads=True),
        "a page was not onboarded again once the verdict on its worker was revoked",
    ),
    KeptSeed(
        256207872668252,
        _scene(has_requester=True, routers=2),
        "a page that submitted again and again, while no router knew it, was taken for gone",
    ),
    KeptSeed(
        62, _scene(has_requester=True, has_quality=True), "work was kept that arrived after its worker was erased"
    ),
    KeptSeed(
        100,
        _scene(has_requester=True, has_quality=True),
        "a run with screening or gold units could not be ended without its script",
    ),
    KeptSeed(
        144,
        _scene(has_requester=True, has_quality=True),
        "somebody's evaluation was reviewed before the script could judge it",
    ),
    KeptSeed(
        256207872669084,
        _scene(has_requester=True, routers=2, has_uploads=True, has_quality=True),
        "work that followed when a partner had left was not judged",
    ),
    KeptSeed(
        76461218128260,
        _scene(has_requester=True, routers=2, has_uploads=True, has_quality=True),
        "a worker who was judged while a gold unit was being chosen got it",
    ),
    KeptSeed(
        44713734500694,
        _scene(has_requester=True, routers=2, has_uploads=True, has_quality=True),
        "an answer that was revoked after the end of its run was waited for",
    ),
    KeptSeed(
        17,
        _scene(routers=2, is_hasty=True),
        "a page was taken for gone that had moved to a router whose connection was lost",
    ),
    KeptSeed(
        179036943269408,
        _scene(has_requester=True, on_disk=True, has_quality=True, is_hasty=True),
        "a run ended although a verdict had just changed which answers count for a label",
    ),
    KeptSeed(
        213842692036653,
        _scene(routers=2, has_uploads=True, is_hasty=True),
        "a run ended while its router had yet to hear that all was recorded, because a connection was lost",
    ),
    KeptSeed(
        16,
        _scene(has_requester=True, routers=2, is_hasty=True),
        "made on purpose: a verdict that the budget did not cover was given",
    ),
    KeptSeed(
        15,
        _scene(has_requester=True, is_hasty=True),
        "made on purpose: a run that was ended at once did not wait for the script's last answer",
    ),
    KeptSeed(227, _scene(), "made on purpose: what a router took before the end of a run was not waited for"),
)
