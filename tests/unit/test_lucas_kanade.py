"""Lucas-Kanade: half pixels, both directions of time, lost points, one answer for equal input."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from massannot.clip import Frames
from massannot.models.lucas_kanade import LucasKanade
from massannot.models.protocols import PointTracks
from tests.drawn_world import GREY, RED, Thing, World, line


def moving_noise(T: int, step: tuple[int, int], *, height: int = 96, width: int = 128) -> Frames:
    """A textured picture that moves by whole pixels: the truth is exact."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (height // 4 + 40, width // 4 + 40))
    wall = np.kron(coarse, np.ones((4, 4)))
    kernel = np.ones(5) / 5
    for axis in (0, 1):
        wall = np.apply_along_axis(np.convolve, axis, wall, kernel, "same")
    pixels = np.empty((T, height, width, 3), np.uint8)
    for t in range(T):
        y, x = 70 - t * step[1], 70 - t * step[0]
        pixels[t] = wall[y : y + height, x : x + width, None]
    return frames_of(pixels)


def frames_of(pixels: NDArray[np.uint8]) -> Frames:
    T, height, width, _ = pixels.shape
    return Frames(
        pixels_THWC=pixels,
        video_id="0" * 32,
        source_id="noise",
        pts=np.arange(T, dtype=np.int64),
        t_s=np.arange(T) / 10,
        time_base=Fraction(1, 10),
        source_width=width,
        source_height=height,
    )


def tracked(frames: Frames, queries: list[tuple[float, float, float]]) -> PointTracks:
    model = LucasKanade()
    model.setup(device="cpu")
    return model.track(frames, queries_txy=np.array(queries, float).reshape(-1, 3))


@pytest.mark.parametrize("query_frame", [0, 5, 11], ids=["forward", "both ways", "backward"])
def test_points_follow_a_known_motion_from_any_query_frame(query_frame: int) -> None:
    frames = moving_noise(12, (2, 1))
    tracks = tracked(frames, [(query_frame, 60.25, 40.75)])
    steps = np.arange(12)[:, None] - query_frame
    truth = np.array([60.25, 40.75]) + steps * np.array([2, 1])
    assert tracks.visible.all()
    assert np.abs(tracks.xy[:, 0] - truth).max() < 0.05
    assert np.array_equal(tracks.xy[query_frame, 0], np.float32([60.25, 40.75]))


def test_coordinates_have_their_origin_at_the_corner() -> None:
    """A picture that grows by 8 % about its corner multiplies corner-origin coordinates. A model
    that took them for pixel centres would be off by half a pixel times the growth: 0.04."""
    rng = np.random.default_rng(0)
    waves, phases = rng.uniform(-0.4, 0.4, (40, 2)), rng.uniform(0, 6.28, 40)
    y, x = np.mgrid[:160, :160] + 0.5

    def picture(growth: float) -> NDArray[np.uint8]:
        light = np.cos(np.stack([x, y], axis=-1) / growth @ waves.T + phases).sum(axis=-1)
        return np.clip(128 + 12 * light, 0, 255).round().astype(np.uint8)[..., None].repeat(3, -1)

    points = [(0.0, x, y) for x in range(15, 130, 4) for y in range(15, 130, 4)]
    tracks = tracked(frames_of(np.stack([picture(1), picture(1.08)])), points)
    off = tracks.xy[1] - 1.08 * tracks.xy[0]
    assert tracks.visible.all()
    assert np.abs(np.median(off, axis=0)).max() < 0.012


def test_a_point_that_leaves_the_picture_is_invisible_and_stays_where_it_was() -> None:
    tracks = tracked(moving_noise(12, (5, 0)), [(0, 100.5, 48.5)])
    gone = int(np.argmin(tracks.visible[:, 0]))
    assert 3 <= gone <= 6
    assert not tracks.visible[gone:].any()
    assert np.array_equal(
        tracks.xy[gone:, 0], np.repeat(tracks.xy[None, gone - 1, 0], 12 - gone, 0)
    )


def test_a_covered_point_is_lost() -> None:
    T = 40
    world = World(
        [
            Thing("a ball", RED, 30, np.tile([100.0, 60.0], (T, 1))),
            Thing("a box", GREY, 60, line(T, (-40, 60), (100, 60)), square=True),
        ]
    )
    tracks = tracked(world.frames, [(0, 100.5, 60.5), (0, 180.0, 20.0)])
    assert tracks.visible[0].all()
    assert tracks.visible[-1].tolist() == [False, True]


def test_misses_add_up_and_lower_confidence() -> None:
    tracks = tracked(moving_noise(12, (2, 1)), [(4, 60.5, 40.5)])
    assert tracks.fb_error_px[4, 0] == 0
    assert (np.diff(tracks.fb_error_px[4:, 0]) >= 0).all()
    assert (np.diff(tracks.fb_error_px[:5, 0]) <= 0).all()
    assert tracks.confidence[4, 0] == tracks.confidence.max() == 1


@pytest.mark.parametrize("n_frames", [1, 2])
def test_short_clips_and_no_points_are_answered(n_frames: int) -> None:
    frames = moving_noise(n_frames, (1, 1))
    assert tracked(frames, []).xy.shape == (n_frames, 0, 2)
    assert tracked(frames, [(0, 10.5, 10.5)]).visible.all()


def test_points_do_not_influence_each_other() -> None:
    frames = moving_noise(8, (2, 1))
    queries = [(0, 60.5, 40.5), (3, 50.5, 30.5), (7, 80.5, 60.5)]
    together = tracked(frames, queries)
    alone = tracked(frames, queries[1:2])
    assert np.array_equal(together.xy[:, 1], alone.xy[:, 0])
