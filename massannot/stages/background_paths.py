"""Paths that points of the background seem to walk, though they ought to stand still."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from massannot.clip import Clip
from massannot.geometry.path_length import jitter, path_length
from massannot.geometry.transforms import apply, inverse
from massannot.stages.track_arrays import BACKGROUND, camera_arrays, space_tracks, words

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class BackgroundPaths:
    """N lifted background points in the world."""

    xyz_world: F64
    """(T, N, 3); NaN: absent."""
    measured: Bool
    jitter: F64
    """(N, 3), see geometry/path_length.py."""
    t_s: F64

    def over(self, first: int, end: int) -> tuple[F64, F64]:
        """Debiased path lengths (M,) in the frames first..end (exclusive) and the seconds (M,) that
        each covers, of those points that are measured at two times at least."""
        part, t_s = slice(first, end), self.t_s[first:end]
        measured = self.measured[part]
        long = measured.sum(axis=0) >= 2
        measured = measured[:, long]
        length = path_length(
            self.xyz_world[part][:, long], measured, jitter=self.jitter[long], t_s=t_s
        )
        last = len(measured) - 1 - measured[::-1].argmax(axis=0)
        return length, t_s[last] - t_s[measured.argmax(axis=0)]


def background_paths(clip: Clip, *, camera_static: bool | None) -> BackgroundPaths | None:
    """The background of a clip in the world; None where its stillness cannot be expected: nothing
    lifted, or a camera that moves, or may move, in a way that nobody told."""
    assumed = words(clip.table("cameras"), "pose_origin", "assumed").any()
    if clip.table("tracks_xyz").num_rows == 0 or (assumed and camera_static is not True):
        return None
    background = space_tracks(clip).of(BACKGROUND)
    world_from_cam = inverse(camera_arrays(clip)[1])
    xyz = apply(world_from_cam[:, None], background.xyz)
    noise = jitter(xyz, background.measured, t_s=clip.frames.t_s)
    return BackgroundPaths(xyz, background.measured, noise, clip.frames.t_s)
