"""The frame of reference of the motions in a profile: each frame's camera, or the world.

The world is the camera of a clip's first frame. In it a thing at rest is at rest; in a camera that
moves, it seems to move the other way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from massannot.tables.cameras import SPEC as CAMERAS
from massannot.tables.cameras import poses_are_known

if TYPE_CHECKING:
    import pyarrow as pa

Reference = Literal["camera", "world"]
ReferenceChoice = Literal["auto", "camera", "world"]

Tables = Mapping[str, "pa.Table"]


def chosen_reference(clips: Sequence[Tables], choice: ReferenceChoice) -> Reference:
    """The frame of reference of all these clips' motions, which stand in one profile.

    auto: the world where every clip knows it, else the camera. `clips`: for each its rows of
    `clips`, `motions` and, where there are any, `cameras`.
    """
    if choice != "auto":
        return choice
    return "world" if all(map(_has_world, clips)) else "camera"


def _has_world(tables: Tables) -> bool:
    """Also tables that lack rows of a world which equals the camera say that they have none."""
    references = tables["motions"]["reference"].to_pylist()
    return poses_known(tables) and (not references or "world" in references)


def poses_known(tables: Tables) -> bool:
    """Whether the places of one clip's things in the world are known."""
    static = tables["clips"]["camera_static"][0].as_py()
    return poses_are_known(tables.get("cameras", CAMERAS.empty()), camera_static=static)


def reference_text(reference: Reference, *, camera_static: bool | None) -> str:
    """The frame of reference in words, and what its motion does to those of things."""
    if reference == "world":
        return "the world, which is the camera of the first frame"
    text = "the camera of each position's own frame"
    if camera_static is True:
        return text
    moves = "moves" if camera_static is False else "may move"
    return f"{text}, which {moves}, so that things at rest seem to move"
