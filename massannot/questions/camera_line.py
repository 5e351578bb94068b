"""What the camera does, in words, for the motion profile: from the poses in the table `cameras`.

    stands still
    pans right 31 degrees, moves 0.40 m (0.37 to 0.43, 68 %) right, seen from its first frame
    moves, how is not known        the background shows it, but the poses are assumed
    unknown

Directions are in the axes of the first of the frames that are spoken of; about angles see
geometry/ego_motion.py. A turn that goes back is told as two. Only where depth is metric are ways in
metres; a way whose errors nobody stated has no interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from massannot.counts import counted
from massannot.geometry.ego_motion import EgoMotion, ego_motion, level_down
from massannot.tables._matrices import symmetric_matrices
from massannot.tables.cameras import cam_from_world

if TYPE_CHECKING:
    import pyarrow as pa

_SIDES = (("pans right", "pans left"), ("tilts up", "tilts down"),
          ("rolls clockwise", "rolls counterclockwise"))  # fmt: skip
_WAYS = (("right", "left"), ("down", "up"), ("forward", "backward"))
_LEAST_TURN_DEG = 1.0
_LEAST_SHIFT = 0.005
"""What rounds to nothing is not told."""
_SURE = 1.645
"""Standard errors that a turn or a way has to have, as 90 % of those of a camera at rest have
less."""
_OUT_AND_BACK = 1.25
"""Ratio of the farthest point to the end from which on it is told."""
_ALSO = 0.5
"""Share of the longest way from which on another direction is named, too."""


class CameraWords:
    """The camera of one clip."""

    def __init__(self, cameras: pa.Table, clip: Mapping[str, object]) -> None:
        """`cameras`: the clip's rows, perhaps none; `clip`: its row of `clips`."""
        self._static = clip["camera_static"]
        self._unit = " m" if clip["scale_type"] == "metric" else " units"
        origins = cameras["pose_origin"].to_pylist()
        self._known = bool(origins) and "assumed" not in origins
        self._cam_from_world = cam_from_world(cameras)
        self._down = level_down(self._cam_from_world) if self._known else np.array([0.0, 1.0, 0.0])
        self._cov = symmetric_matrices(cameras["pose_cov"], size=6)

    def of_clip(self) -> str:
        """The line about the whole clip, without its name."""
        if self._known:
            text = self._between(0, len(self._cam_from_world) - 1)
            return f"{text}, seen from its first frame" if text else self._at_rest
        return {True: "stands still", False: "moves, how is not known"}.get(
            self._static,  # type: ignore[call-overload]
            "unknown",
        )

    def of_segment(self, first: int, end: int) -> str | None:
        """The line about the frames [first, end), up to the next segment's first one, as motions
        go; None: the whole clip's line says it all."""
        last = min(end, len(self._cam_from_world) - 1)
        if not self._known or (first, last) == (0, len(self._cam_from_world) - 1):
            return None
        if not self._between(0, len(self._cam_from_world) - 1):
            return None
        text = self._between(first, last)
        return f"{text}, seen from the segment's first frame" if text else "stands still"

    @property
    def _at_rest(self) -> str:
        return "moves less than its poses tell" if self._static is False else "stands still"

    def _between(self, first: int, last: int) -> str:
        """Turns and ways between two frames; empty: none."""
        part = slice(first, last + 1)
        motion = ego_motion(self._cam_from_world[part], self._cov[part], down=self._down)
        parts = [_turn(motion, axis) for axis in range(3)]
        return ", ".join(filter(None, [*parts, _way(motion, self._unit)]))


def _turn(motion: EgoMotion, axis: int) -> str:
    turn, sd = float(motion.turn_deg[axis]), float(motion.turn_sd_deg[axis])
    farthest = float(motion.farthest_turn_deg[axis])
    if not _is_told(abs(farthest), sd, least=_LEAST_TURN_DEG):
        return ""
    sides, back = _SIDES[axis], abs(farthest - turn)
    if not _is_told(abs(turn), sd, least=_LEAST_TURN_DEG):
        return f"{sides[farthest < 0]} {_degrees(farthest)} and back"
    if back > (_OUT_AND_BACK - 1) * abs(turn) + _LEAST_TURN_DEG:
        other = sides[farthest > 0].split()[1]
        return f"{sides[farthest < 0]} {_degrees(farthest)}, then {other} {back:.0f}"
    text = f"{sides[turn < 0]} {_degrees(turn)}"
    if sd >= _LEAST_TURN_DEG / 2:
        text += f" ({max(abs(turn) - sd, 0):.0f} to {abs(turn) + sd:.0f}, 68 %)"
    return text


def _way(motion: EgoMotion, unit: str) -> str:
    length, sd = motion.length, motion.length_sd
    if not _is_told(motion.farthest, sd, least=_LEAST_SHIFT):
        return ""
    if not _is_told(length, sd, least=_LEAST_SHIFT):
        return f"moves {motion.farthest:.2f}{unit} away and back"
    text = f"moves {length:.2f}{unit}"
    if np.isfinite(sd):
        text += f" ({max(length - sd, 0):.2f} to {length + sd:.2f}, 68 %)"
    ways = np.abs(motion.shift)
    names = [
        _WAYS[axis][int(motion.shift[axis] < 0)]
        for axis in np.argsort(-ways, kind="stable")
        if ways[axis] >= _ALSO * ways.max()
    ]
    text += " " + " and ".join(names)
    if motion.farthest > _OUT_AND_BACK * length + _LEAST_SHIFT:
        text += f", at most {motion.farthest:.2f}{unit} away"
    return text


def _is_told(size: float, sd: float, *, least: float) -> bool:
    """Whether it is more than nothing; an error that nobody stated counts as none."""
    return size >= max(least, _SURE * (sd if np.isfinite(sd) else 0.0))


def _degrees(angle: float) -> str:
    return counted(round(abs(angle)), "degree")
