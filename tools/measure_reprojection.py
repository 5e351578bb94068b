"""How well estimated cameras explain real films: the second table of docs/accuracy.md, Cameras.

    python tools/measure_reprojection.py FILM... [--first 0] [--seconds 4] [--fps 10]

Nobody knows the true poses of a film. Corners of the background are followed; each is placed in
space by its sightings in the even frames and the estimated poses, and seen again in the odd frames,
which took part in estimating poses but not in placing it. The distance to where it was seen there
is compared with that of two simpler cameras: one that stands still, and one that only turns.

Depth is that of the embedded models, which never saw a real room: it decides nothing but the unit.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from massannot.clip import Clip
from massannot.geometry.camera import project, resized_intrinsics
from massannot.geometry.camera_adjustment import (
    ASSUMED_FOCAL_REL_SD,
    PoseEstimate,
    PoseRule,
    estimated_poses,
)
from massannot.geometry.depth_sampling import sample_depth
from massannot.inputs.span import Span, VideoSource
from massannot.models.background_corners import BackgroundCorners, CornerTracks
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.stages._track_arrays import camera_arrays
from massannot.video.reader import read_clips
from massannot.video.sampling import Sampling
from massannot.video.shot_rule import ShotRule

F64 = NDArray[np.float64]
MIN_SIGHTINGS = 6
"""Of a corner: three to place it, three to see it again."""
NEVER = 1e9
"""Evidence that no translation has."""


def main(films: list[Path], *, first_s: float, seconds: float, fps: float) -> None:
    print("| film | frames | corners | camera | lens | estimated, px | turning only | still |")
    print("|---|---|---|---|---|---|---|---|")
    for film in films:
        for clip in annotated(film, first_s, seconds, fps):
            print(row_of(f"{film.stem}, {clip.frames.t_s[0]:.1f} s", clip))


def annotated(film: Path, first_s: float, seconds: float, fps: float) -> Iterator[Clip]:
    """The clips of a span, one a shot, with depth and an assumed camera."""
    flags = ModelFlags(profile="embedded", poses="assume")
    pipeline = run_spec(flags=flags, recipe="depth_and_cameras").pipeline()
    pipeline.setup(device="cpu")
    span = Span(start_s=first_s, end_s=first_s + seconds)
    source = VideoSource(str(film), spans=(span,))
    for clip in read_clips(source, sampling=Sampling(fps=fps, shots=ShotRule())):
        if not isinstance(clip, Clip):  # the end of the film
            continue
        for stage in pipeline.stages:
            clip = stage.process(clip)
        yield clip


def row_of(name: str, clip: Clip) -> str:
    frames, depth = clip.frames, clip.depth
    assert depth is not None
    size = (frames.width, frames.height)
    corners = BackgroundCorners()
    corners.setup(device="cpu")
    everywhere = np.ones((len(clip), frames.height, frames.width), np.bool_)
    tracks = corners.follow(frames, free=everywhere)
    samples = sample_depth(depth.values, tracks.xy, picture_size=size)
    z = np.where(samples.reliable, samples.z, np.nan)
    guess = resized_intrinsics(
        camera_arrays(clip)[0],
        from_size=(frames.source_width, frames.source_height),
        to_size=size,
    )
    free, turning = (
        estimated_poses(
            tracks.xy,
            tracks.visible,
            z,
            intrinsics=guess,
            picture_size=size,
            lens_rel_sd=ASSUMED_FOCAL_REL_SD,
            rule=PoseRule(max_sigma_px=np.inf, evidence=evidence),
        )
        for evidence in (PoseRule().evidence, NEVER)
    )
    return row(name, tracks, guess, free, turning)


def row(
    name: str,
    tracks: CornerTracks,
    guess: F64,
    free: PoseEstimate | None,
    turning: PoseEstimate | None,
) -> str:
    n_frames = len(tracks.xy)
    still = np.tile(np.eye(4), (n_frames, 1, 1))
    cells = [f"{np.median(reprojection_px(tracks, still, guess)):.2f}"]
    for estimate in (turning, free):
        if estimate is None:
            cells.insert(0, "none")
            continue
        lens = guess * [estimate.focal_factor, estimate.focal_factor, 1, 1]
        cells.insert(0, f"{np.median(reprojection_px(tracks, estimate.cam_from_world, lens)):.2f}")
    told = "?" if free is None else free.model
    lens_said = "?"
    if free is not None and free.focal_rel_sd is not None:
        lens_said = f"{free.focal_factor:.2f} x assumed, {100 * free.focal_rel_sd:.0f} %"
    return (
        f"| {name} | {n_frames} | {tracks.xy.shape[1]} | {told} | {lens_said} | "
        + " | ".join(cells)
        + " |"
    )


def reprojection_px(tracks: CornerTracks, cam_from_world: F64, intrinsics: F64) -> F64:
    """(M,) distances, working pixels, in the odd frames, of the corners placed by the even ones."""
    even = np.arange(len(tracks.xy)) % 2 == 0
    errors: list[F64] = []
    for point in np.flatnonzero(tracks.visible.sum(axis=0) >= MIN_SIGHTINGS):
        seen = tracks.visible[:, point]
        placed_by, seen_again = np.flatnonzero(seen & even), np.flatnonzero(seen & ~even)
        if min(len(placed_by), len(seen_again)) < MIN_SIGHTINGS // 2:
            continue
        place = triangulated(
            tracks.xy[placed_by, point], cam_from_world[placed_by], intrinsics[placed_by]
        )
        in_cam = cam_from_world[seen_again] @ place
        xy = project(in_cam[:, None, :3], intrinsics[seen_again[0]])[:, 0]
        apart = np.linalg.norm(xy - tracks.xy[seen_again, point], axis=1)
        errors.append(np.nan_to_num(apart, nan=np.inf))  # placed behind the camera
    return np.concatenate(errors) if errors else np.full(1, np.nan)


def triangulated(xy: F64, cam_from_world: F64, intrinsics: F64) -> F64:
    """(4,) homogeneous place, by its direct linear transform (Hartley and Zisserman, 12.2), which
    also places what lies infinitely far away, before the camera."""
    if not cam_from_world[:, :3, 3].any():  # the camera's own centre fits too: see far away only
        turned = np.einsum("tji,tj->ti", cam_from_world[:, :3, :3], _rays(xy, intrinsics))
        return np.append(np.median(turned / np.linalg.norm(turned, axis=1)[:, None], axis=0), 0.0)
    rays = _rays(xy, intrinsics)
    rows = cam_from_world[:, :3]
    equations = np.concatenate([rays[:, i, None] * rows[:, 2] - rows[:, i] for i in (0, 1)], axis=0)
    place = np.linalg.svd(equations)[2][-1]
    ahead = float((cam_from_world @ place)[:, 2].mean())
    return np.asarray(place if ahead > 0 else -place)


def _rays(xy: F64, intrinsics: F64) -> F64:
    """(T, 3) with z = 1."""
    return np.column_stack([(xy - intrinsics[:, 2:]) / intrinsics[:, :2], np.ones(len(xy))])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("films", type=Path, nargs="+")
    parser.add_argument("--first", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--fps", type=float, default=10.0)
    given = parser.parse_args()
    main(given.films, first_s=given.first, seconds=given.seconds, fps=given.fps)
