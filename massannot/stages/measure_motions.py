"""The motion of each entity in each segment: the table `motions`.

For an entity and a segment [first_frame, end_frame), in the camera's frame and in the world's:

    first   position in the segment's first frame that has one, at t0
    last    position at end_frame, the next segment's first frame; where there is none, in the
            segment's last frame that has one; at t1
    motion  last - first, length |motion|
    path    length of the way between, over measured positions whose distance from the camera is
            smoothed (geometry/range_smoothing.py): noise of depth is no travel; given cuboids as
            they are
    speed   path / (t1 - t0)
    above_noise   path > the 90th percentile of the background points' paths over the same frames

An entity without a position in a segment has no row there. No rows of the world where the camera's
poses are not known. Nothing was lifted: no rows at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from massannot import tables
from massannot.clip import Clip
from massannot.geometry.camera import apply, inverse
from massannot.geometry.motion import first_and_last
from massannot.geometry.range_smoothing import smoothed_log_distances
from massannot.stages._stage import Stage
from massannot.stages._track_arrays import (
    BackgroundPaths,
    background_paths,
    camera_arrays,
    numbers,
    words,
    world_known,
)

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

_NOISE_QUANTILE = 0.9
_LEAST_FRAMES = 4
"""Measured frames that smoothing needs: a line goes through two."""


@dataclass(frozen=True)
class MeasureMotions(Stage):
    """One row per entity, segment and frame of reference."""

    min_background_points: int = 8
    """Background points that must be measured in a segment to say what noise looks like there."""

    reads: ClassVar[tuple[str, ...]] = (
        "frames",
        "clips",
        "segments",
        "positions",
        "tracks_xyz",
        "cameras",
    )
    writes: ClassVar[tuple[str, ...]] = ("motions",)

    def process(self, clip: Clip) -> Clip:
        """`clip` with `motions`; `quality` is filled by score_quality."""
        spec, positions = tables.spec("motions"), clip.table("positions")
        rows: list[dict[str, Any]] = []
        if positions.num_rows:
            static = clip.table("clips")["camera_static"][0].as_py()
            background = background_paths(clip, camera_static=static)
            floor = cache(partial(self._floor, background))
            noise = None if background is None else background.distance_noise(clip)
            smoothed = _with_smooth_distance(positions, clip.frames.t_s, noise)
            references = ("camera", "world") if world_known(clip) else ("camera",)
            world_from_cam = inverse(camera_arrays(clip)[1])
            for reference in references:
                # A camera that moves carries the background along: its noise is not seen there.
                known = floor if reference == "world" or static else _unknown
                pose = world_from_cam if reference == "world" else None
                for course in _courses(positions, smoothed, pose, t_s=clip.frames.t_s):
                    rows += self._rows(clip, course, reference, known)
        common = {"clip_id": clip.clip_id, "scale_type": _scale_type(positions)}
        table = spec.from_rows([{**common, **row} for row in rows]) if rows else spec.empty()
        return clip.with_table("motions", table)

    def _rows(
        self,
        clip: Clip,
        course: _Course,
        reference: str,
        floor_between: Callable[[int, int], float | None],
    ) -> list[dict[str, Any]]:
        """One entity's rows in one frame of reference."""
        rows = []
        for segment in clip.table("segments").to_pylist():
            ends = first_and_last(
                course.present, first=segment["first_frame"], end=segment["end_frame"]
            )
            if ends is None:
                continue
            path = course.path(*ends)
            floor = floor_between(*ends)
            rows.append(
                {
                    "entity": course.entity,
                    "segment": segment["segment"],
                    "reference": reference,
                    **course.ends(*ends),
                    "path": path,
                    "speed": course.speed(path, *ends),
                    "above_noise": None if floor is None else path > floor,
                }
            )
        return rows

    def _floor(self, background: BackgroundPaths | None, first: int, last: int) -> float | None:
        """Path that noise alone makes between two frames."""
        if background is None or first == last:
            return None
        length, _ = background.over(first, last + 1)
        if len(length) < self.min_background_points:
            return None
        return float(np.quantile(length, _NOISE_QUANTILE))


def _unknown(first: int, last: int) -> None:
    """The noise floor where it is unknown."""


@dataclass(frozen=True, eq=False)
class _Course:
    """One entity's positions through the clip in one frame of reference."""

    entity: int
    xyz: F64
    """(T, 3); NaN: absent."""
    smooth: F64
    """(T, 3) measured positions with smoothed distances; NaN: not measured."""
    t_s: F64

    @property
    def present(self) -> Bool:
        return np.isfinite(self.xyz[:, 0])

    def path(self, first: int, last: int) -> float:
        """Sum of the steps between measured positions; at least the distance of the smoothed
        ends."""
        part = self.smooth[first : last + 1]
        part = part[np.isfinite(part[:, 0])]
        return float(np.linalg.norm(np.diff(part, axis=0), axis=1).sum())

    def speed(self, path: float, first: int, last: int) -> float | None:
        seconds = float(self.t_s[last] - self.t_s[first])
        return path / seconds if seconds > 0 else None

    def ends(self, first: int, last: int) -> dict[str, float]:
        """The columns about the two ends."""
        motion = self.xyz[last] - self.xyz[first]
        parts = {"first": self.xyz[first], "last": self.xyz[last], "motion": motion}
        return {
            **{f"{name}_{axis}": p[i] for name, p in parts.items() for i, axis in enumerate("xyz")},
            "t0_s": float(self.t_s[first]),
            "t1_s": float(self.t_s[last]),
            "length": float(np.linalg.norm(motion)),
        }


def _courses(
    positions: pa.Table, smoothed: F64, world_from_cam: F64 | None, *, t_s: F64
) -> list[_Course]:
    """Every entity's positions; `positions` has one row for each frame of each entity, `smoothed`
    (E, T, 3) is in each frame's camera."""
    suffix = "cam" if world_from_cam is None else "world"
    xyz = np.stack([numbers(positions, f"{axis}_{suffix}") for axis in "xyz"], axis=-1)
    xyz = xyz.reshape(-1, len(t_s), 3)
    smooth = smoothed if world_from_cam is None else apply(world_from_cam[None], smoothed)
    entities = numbers(positions, "entity").reshape(-1, len(t_s))[:, 0]
    return [_Course(int(e), xyz[i], smooth[i], t_s) for i, e in enumerate(entities)]


def _with_smooth_distance(positions: pa.Table, t_s: F64, noise: float | None) -> F64:
    """(E, T, 3) measured positions, camera frame, moved along their rays; NaN: not measured."""
    xyz = np.stack([numbers(positions, f"{axis}_cam") for axis in "xyz"], axis=-1)
    measured = words(positions, "state", "measured")
    xyz = np.where(measured[:, None], xyz, np.nan).reshape(-1, len(t_s), 3)
    distance = np.linalg.norm(xyz, axis=-1)
    rows = [np.flatnonzero(np.isfinite(row)) for row in distance]
    exact = np.any(words(positions, "basis", "cuboid").reshape(-1, len(t_s)), axis=1)
    several = [e for e, at in enumerate(rows) if len(at) >= _LEAST_FRAMES and not exact[e]]
    tracks = [(t_s[rows[e]], np.log(distance[e, rows[e]])) for e in several]
    smooth = smoothed_log_distances(tracks, background_noise=noise)
    for e, log_distance in zip(several, smooth, strict=True):
        xyz[e, rows[e]] *= (np.exp(log_distance) / distance[e, rows[e]])[:, None]
    return xyz


def _scale_type(positions: pa.Table) -> str | None:
    return positions["scale_type"][0].as_py() if positions.num_rows else None
