"""The visible surface under a mask, in worlds of closed form: a tilted plane, a ball, a wall."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from massannot import tables
from massannot.clip import Clip, DepthMaps, Frames, Video
from massannot.geometry import rle
from massannot.geometry.visible_surface import (
    MOST_PIXELS,
    Outline,
    Surfaces,
    bodies,
    outline_margin,
    visible_surfaces,
)
from massannot.stages.locate_entities import LocateEntities

SIZE = (160, 120)
INTRINSICS = np.array([[150.0, 150.0, 80.0, 60.0]])
X, Y = np.meshgrid(np.arange(160) + 0.5, np.arange(120) + 0.5)
RAYS = np.stack([(X - 80) / 150, (Y - 60) / 150, np.ones(X.shape)], axis=-1)
CENTRE, RADIUS = np.array([0.3, -0.2, 3.0]), 0.4
WALL_Z = 8.0


def outline(mask: np.ndarray, frame: int = 0) -> Outline:
    counts = rle.encode(mask)
    box = rle.box_xyxy(counts, height=mask.shape[0], width=mask.shape[1])
    assert box is not None
    return Outline(frame, counts, *map(int, box))


def surface(mask: np.ndarray, depth: np.ndarray) -> Surfaces:
    maps = depth.astype(np.float32)[None]
    return visible_surfaces([outline(mask)], maps, intrinsics=INTRINSICS, picture_size=SIZE)


def plane(normal: tuple[float, float, float], offset: float) -> np.ndarray:
    """z of points p with normal . p = offset."""
    return offset / (RAYS @ np.array(normal))


def ball(centre: np.ndarray = CENTRE, radius: float = RADIUS) -> tuple[np.ndarray, np.ndarray]:
    """Where it is seen, and z of the picture with the wall behind it."""
    a = (RAYS**2).sum(axis=-1)
    b = RAYS @ centre
    root = b**2 - a * (centre @ centre - radius**2)
    seen = root > 0
    near = (b - np.sqrt(np.where(seen, root, 0))) / a
    return seen, np.where(seen, near, WALL_Z)


def median_of(mask: np.ndarray, depth: np.ndarray) -> np.ndarray:
    return np.median((RAYS * depth[..., None])[mask], axis=0)


def rectangle(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    return (x0 < X) & (x1 > X) & (y0 < Y) & (y1 > Y)


def test_the_centre_of_a_tilted_plane_is_the_median_of_its_points() -> None:
    depth, mask = plane((0.3, -0.2, 1.0), 3.0), rectangle(40, 30, 70, 60)
    found = surface(mask, depth)
    np.testing.assert_allclose(found.xyz[0], median_of(mask, depth), atol=0.005)
    np.testing.assert_allclose(found.centroid[0], [55, 45], atol=0.1)
    assert found.valid_share[0] == 1


def test_the_centre_of_a_ball_is_that_of_what_is_seen_of_it() -> None:
    mask, depth = ball()
    found = surface(mask, depth)
    np.testing.assert_allclose(found.xyz[0], median_of(mask, depth), atol=0.015)
    assert found.xyz[0, 2] < CENTRE[2] - RADIUS / 2


def test_the_body_of_a_ball_lies_at_its_centre() -> None:
    mask, depth = ball()
    found = surface(mask, depth)
    areas = np.array([float(mask.sum())])
    body = bodies([outline(mask)], found, areas=areas, intrinsics=INTRINSICS)
    radius = np.sqrt(mask.sum() / np.pi) / 150 * found.xyz[0, 2]
    assert body.xyz[0, 2] == pytest.approx(found.xyz[0, 2] + radius / np.sqrt(2))
    np.testing.assert_allclose(body.xyz[0, :2] / body.xyz[0, 2], CENTRE[:2] / CENTRE[2], atol=0.004)
    np.testing.assert_allclose(body.xyz[0], CENTRE, atol=0.15 * RADIUS)
    np.testing.assert_allclose(body.size[0], 2 * RADIUS, rtol=0.1)


@pytest.mark.parametrize("shape", ["ball", "tilted plate"])
def test_an_outline_that_shows_what_lies_behind_does_no_harm(shape: str) -> None:
    mask, depth = ball()
    if shape == "tilted plate":
        mask = rectangle(60, 40, 76, 52)
        depth = np.where(mask, plane((1.0, -0.4, 1.0), 3.0), WALL_Z)
    padded = np.pad(mask, 1)
    inner = mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    assert 0.05 < (mask & ~inner).sum() / mask.sum() < 0.3
    clean, found = surface(mask, depth), surface(mask, np.where(inner, depth, WALL_Z))
    np.testing.assert_allclose(found.xyz[0], clean.xyz[0], atol=0.02)


def test_a_median_of_all_pixels_would_not_stand_that() -> None:
    mask = rectangle(60, 40, 76, 52)
    depth = plane((1.0, -0.4, 1.0), 3.0)
    leaking = np.where(rectangle(61, 41, 75, 51), depth, WALL_Z)
    assert abs(median_of(mask, leaking) - median_of(mask, depth))[2] > 0.02


def test_samples_of_a_large_mask_give_what_all_its_pixels_give() -> None:
    depth, mask = plane((0.6, 0.4, 1.0), 3.0), rectangle(15, 10, 145, 110)
    assert mask.sum() > MOST_PIXELS
    found = surface(mask, depth)
    scatter = (RAYS * depth[..., None])[mask].std(axis=0)
    missed = np.abs(found.xyz[0] - median_of(mask, depth)) / scatter
    rng = np.random.default_rng(0)
    points = (RAYS * depth[..., None])[mask]
    drawn = [
        np.abs(
            np.median(points[rng.integers(0, len(points), 600)], axis=0) - median_of(mask, depth)
        )
        for _ in range(200)
    ]
    # No draw of the same size has less than the lattice's error in one case of ten.
    assert (missed < np.quantile(np.array(drawn) / scatter, 0.9, axis=0)).all()
    assert missed.max() < 0.05


@pytest.mark.parametrize("where", ["no depth", "too few samples"])
def test_too_little_depth_gives_no_centre(where: str) -> None:
    depth, mask = np.full(X.shape, 3.0), rectangle(40, 30, 60, 50)
    if where == "no depth":
        depth = np.full(X.shape, np.nan)
    else:
        mask = rectangle(40, 30, 42, 33)
    found = surface(mask, depth)
    assert np.isnan(found.xyz[0]).all()
    assert found.valid_share[0] == (0 if where == "no depth" else 1)


def test_no_outline_has_no_surface() -> None:
    maps = np.ones((1, 120, 160), np.float32)
    found = visible_surfaces([], maps, intrinsics=INTRINSICS, picture_size=SIZE)
    assert found.xyz.shape == (0, 3)
    assert found.centroid.shape == (0, 2)


@pytest.mark.parametrize(("size", "margin"), [((64, 48), 1), ((512, 300), 2), ((1920, 1080), 8)])
def test_an_outline_is_uncertain_by_a_pixel_of_the_grid(size: tuple[int, int], margin: int) -> None:
    assert outline_margin(size) == margin


# Through the stage: a ball that stands still in six frames.

N = 6
CUT, HIDDEN, GONE = 3, 4, 5
"""Frames in which the ball reaches out of the picture, lies half behind something, has no mask."""


VIDEO = Video(
    uri="ball.mp4",
    video_id="5" * 32,
    source_id=None,
    size_bytes=1,
    container="mp4",
    codec="h264",
    pixel_format=None,
    width=160,
    height=120,
    rotation=0,
    sample_aspect=Fraction(1),
    color_space="bt709",
    color_range="limited",
    time_base=Fraction(1, 10),
    first_pts=0,
    duration_s=None,
    n_frames=N,
    variable_rate=False,
    damaged=False,
)
COMMON = {"clip_id": "c" * 32, "entity": 0}


def mask_row(frame: int, mask: np.ndarray) -> dict[str, Any]:
    counts = rle.encode(mask)
    box = rle.box_xyxy(counts, height=120, width=160)
    return {
        **COMMON,
        "frame": frame,
        "height": 120,
        "width": 160,
        "counts": counts,
        "area": rle.area(counts),
        "score": 0.9,
        "state": "visible" if box else "absent",
        **dict(zip(("x0", "y0", "x1", "y1"), box or (None,) * 4, strict=True)),
    }


def camera_row(frame: int) -> dict[str, Any]:
    return {
        "clip_id": "c" * 32,
        "frame": frame,
        **dict(zip(("fx", "fy", "cx", "cy"), INTRINSICS[0], strict=True)),
        "cam_from_world": np.eye(4).ravel(),
        "intrinsics_origin": "given",
        "pose_origin": "given",
    }


def located() -> list[dict[str, Any]]:
    """Rows of `positions`."""
    centres = np.tile(CENTRE, (N, 1))
    centres[CUT] = [-1.5, -0.2, 3.0]  # 80 / 150 * 3 = 1.6: the left edge goes through it
    masks, maps = [], []
    for frame in range(N):
        mask, depth = ball(centres[frame])
        if frame == HIDDEN:
            front = 150 * CENTRE[0] / CENTRE[2] + 80 > X
            mask, depth = mask & ~front, np.where(front, 1.5, depth)
        masks.append(mask & (frame != GONE))
        maps.append(depth)
    frames = Frames(
        np.zeros((N, 120, 160, 3), np.uint8),
        VIDEO.video_id,
        "ball",
        np.arange(N),
        np.arange(N) / 10,
        Fraction(1, 10),
        *SIZE,
    )
    clip = Clip("c" * 32, 0, VIDEO, 0, N, "all", (), frames)
    clip = replace(clip, depth=DepthMaps(np.array(maps, np.float32), "metric"))
    for name, rows in {
        "entities": [{**COMMON, "phrase": 0, "first_frame": 0, "last_frame": N - 2, "score": 0.9}],
        "masks": [mask_row(frame, mask) for frame, mask in enumerate(masks)],
        "cameras": [camera_row(frame) for frame in range(N)],
        "frames": [
            {
                "clip_id": clip.clip_id,
                "frame": frame,
                "pts": frame,
                "t_s": frame / 10,
                "keyframe": False,
                "damaged": False,
            }
            for frame in range(N)
        ],
    }.items():
        spec = tables.spec(name)
        clip = clip.with_table(name, spec.from_rows(rows))
    for name in ("clips", "tracks_xy", "tracks_xyz"):
        clip = clip.with_table(name, tables.spec(name).empty())
    return LocateEntities().process(clip).table("positions").to_pylist()


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return located()


def has_body(row: dict[str, Any]) -> bool:
    names = [f"{part}_{axis}" for part in ("body", "size") for axis in "xyz"]
    known = {row[name] is not None for name in names}
    assert len(known) == 1
    return known.pop()


def test_every_frame_in_which_it_is_seen_is_measured(rows: list[dict[str, Any]]) -> None:
    assert [row["state"] for row in rows[:GONE]] == ["measured"] * GONE
    assert {row["basis"] for row in rows[:GONE]} == {"mask_depth"}
    assert rows[GONE]["state"] != "measured"
    assert rows[GONE]["basis"] is None


def test_only_a_whole_outline_says_where_the_body_is(rows: list[dict[str, Any]]) -> None:
    assert [has_body(row) for row in rows] == [True] * 3 + [False] * 3
    body = np.array([rows[0][f"body_{axis}"] for axis in "xyz"])
    np.testing.assert_allclose(body, CENTRE, atol=0.35 * RADIUS)


def test_the_share_of_the_outline_that_the_border_cuts(rows: list[dict[str, Any]]) -> None:
    assert [row["cut_share"] > 0 for row in rows[:GONE]] == [False, False, False, True, False]
    assert rows[CUT]["cut_share"] < 0.5
