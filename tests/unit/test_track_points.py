"""Points of entities and background: where they are chosen, how many, in which pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from massannot.clip import Clip, Frames
from massannot.errors import BadModelOutput
from massannot.models.lucas_kanade import LucasKanade
from massannot.models.protocols import ModelCard, PointTracks
from massannot.stages.track_points import TrackPoints
from tests.drawn_world import BLUE, GREEN, RED, Thing, World, annotated, line, only

T = 96
STILL = np.tile([60.0, 60.0], (T, 1))


@dataclass
class StandingStill:
    """Every point stays where it was asked for."""

    asked: NDArray[np.float64] | None = None
    wrong: str = ""
    given: bool = False
    off_px: float = 0.0

    def setup(self, *, device: str) -> None: ...

    def destroy(self) -> None: ...

    def card(self) -> ModelCard:
        return ModelCard("standing_still")

    def track(self, frames: Frames, *, queries_txy: NDArray[np.float64]) -> PointTracks:
        self.asked = queries_txy
        shape = (len(frames), len(queries_txy))
        xy = np.repeat(queries_txy[None, :, 1:], shape[0], axis=0).astype(np.float32)
        sure = np.ones(shape, np.float32)
        if self.wrong == "NaN":
            xy[0, 0] = np.nan
        if self.wrong == "too short":
            xy = xy[1:]
        if self.wrong == "probability":
            sure = sure * 1.5
        error = np.full(shape, np.nan, np.float32)
        return PointTracks(
            xy + np.float32(self.off_px), sure > 0, sure, sure, error, given=self.given
        )


def tracked(world: World, **options: int) -> Clip:
    return TrackPoints(StandingStill(), **options).process(annotated(world))


def queries(clip: Clip, entity: int) -> NDArray[np.float64]:
    """(N, 3) frame, x, y."""
    rows = [r for r in clip.table("tracks_xy").to_pylist() if r["entity"] == entity]
    return np.array([[r["query_frame"], r["x"][0], r["y"][0]] for r in rows]).reshape(-1, 3)


def test_points_lie_inside_the_mask_of_their_frame() -> None:
    world = World(
        [
            Thing("a ball", RED, 30, line(T, (30, 40), (150, 40))),
            Thing("a box", BLUE, 3, line(T, (160, 90), (40, 90)), square=True),
        ]
    )
    clip = tracked(world)
    assert len(queries(clip, 0)) == 64
    for thing in range(2):
        for frame, x, y in queries(clip, thing):
            assert world.mask(int(frame), thing)[int(y), int(x)]


def test_a_thing_that_returns_has_points_from_each_of_its_stays() -> None:
    path = STILL.copy()
    path[20:60] = np.nan
    clip = tracked(World([Thing("a ball", RED, 30, path)]))
    frames = queries(clip, 0)[:, 0]
    assert (frames < 20).sum() >= 16
    assert (frames >= 60).sum() >= 16


def test_a_thing_that_comes_late_is_asked_for_when_it_is_there() -> None:
    clip = tracked(World([Thing("a ball", RED, 30, only(STILL, 70, T))]))
    assert queries(clip, 0)[:, 0].min() >= 70


def test_the_frame_with_the_largest_mask_is_chosen() -> None:
    world = World(
        [
            Thing("a ball", RED, 20, line(30, (-8, 60), (60, 60))),
            Thing("a box", GREEN, 20, line(30, (150, 60), (150, 60))),
        ]
    )
    frame = int(queries(tracked(world), 0)[0, 0])
    areas = [world.mask(t, 0).sum() for t in range(30)]
    assert areas[frame] == max(areas)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 64),
        ({"max_per_entity": 20}, 20),
        ({"max_per_clip": 60}, 30),
        ({"max_per_entity": 0}, 0),
    ],
)
def test_limits_hold(options: dict[str, int], expected: int) -> None:
    things = [Thing("a ball", c, 30, STILL + d) for c, d in ((RED, 0), (BLUE, [60, 0]))]
    clip = tracked(World(things), **options)
    assert [len(queries(clip, n)) for n in range(2)] == [expected] * 2


def test_background_points_are_spread_where_no_thing_ever_is() -> None:
    world = World([Thing("a ball", RED, 30, line(T, (30, 40), (150, 40)))])
    points = queries(tracked(world), -1)
    assert len(points) == 64
    assert set(points[:, 0]) == {0, 47, 95}
    ever = np.any([world.mask(t, 0) for t in range(T)], axis=0)
    assert not ever[points[:, 2].astype(int), points[:, 1].astype(int)].any()
    quarters = np.unique(points[:, 1:] // [100, 60], axis=0)
    assert len(quarters) == 4


def test_a_thing_that_sweeps_the_whole_picture_leaves_background_points() -> None:
    world = World([Thing("a box", RED, 110, line(T, (30, 60), (170, 60)), square=True)])
    points = queries(tracked(world), -1)
    assert len(points) == 64
    for frame, x, y in points:
        assert not world.mask(int(frame), 0)[int(y), int(x)]


def test_queries_are_in_working_pixels_and_tables_in_source_pixels() -> None:
    world = World([Thing("a ball", RED, 30, STILL)], scale=3)
    tracker = StandingStill()
    clip = TrackPoints(tracker).process(annotated(world))
    assert tracker.asked is not None
    everything = np.concatenate([queries(clip, -1), queries(clip, 0)])
    assert np.allclose(everything[:, 1:], tracker.asked[:, 1:] * 3, atol=1e-4)
    assert clip.table("tracks_xy")["fb_error_px"][0].as_py() == [None] * T


def test_no_entity_still_has_background_points() -> None:
    world = World([Thing("a ball", RED, 30, STILL)])
    clip = TrackPoints(StandingStill()).process(annotated(world, phrases=[]))
    assert set(clip.table("tracks_xy")["entity"].to_pylist()) == {-1}


def test_a_video_of_one_frame_has_points() -> None:
    clip = tracked(World([Thing("a ball", RED, 30, STILL[:1])]))
    assert len(queries(clip, 0)) == len(queries(clip, -1)) == 64


@pytest.mark.parametrize("wrong", ["NaN", "too short", "probability"])
def test_a_tracker_that_breaks_its_promise_is_named(wrong: str) -> None:
    world = World([Thing("a ball", RED, 30, STILL)])
    with pytest.raises(BadModelOutput, match="standing_still"):
        TrackPoints(StandingStill(wrong=wrong)).process(annotated(world))


def test_lucas_kanade_keeps_points_on_a_moving_thing() -> None:
    path = line(48, (40, 60), (160, 60))
    world = World([Thing("a ball", RED, 40, path)])
    stage = TrackPoints(LucasKanade())
    stage.setup(device="cpu")
    clip = stage.process(annotated(world))
    errors = []
    for row in clip.table("tracks_xy").to_pylist():
        if row["entity"] == 0:
            xy = np.stack([row["x"], row["y"]], axis=1)
            steps = np.floor(path) - np.floor(path[row["query_frame"]])  # what is drawn
            error = np.linalg.norm(xy - xy[row["query_frame"]] - steps, axis=1)
            errors.append(error[np.array(row["visible"])])
    assert np.median(np.concatenate(errors)) < 0.5
    assert np.concatenate(errors).size > 0.6 * 64 * 48


@dataclass
class Noisy(StandingStill):
    """Points jump from frame to frame, the tracker comes back to where it was but for a shift."""

    noise_px: float = 0.0
    fb_error_px: float = float("nan")

    def track(self, frames: Frames, *, queries_txy: NDArray[np.float64]) -> PointTracks:
        exact = super().track(frames, queries_txy=queries_txy)
        rng = np.random.default_rng(0)
        xy = exact.xy + self.noise_px * rng.standard_normal(exact.xy.shape).astype(np.float32)
        back = np.full(exact.visible.shape, self.fb_error_px, np.float32)
        return PointTracks(xy, exact.visible, exact.visibility, exact.confidence, back)


@pytest.mark.parametrize(
    ("noise_px", "fb_error_px", "expected"),
    [(0.3, float("nan"), 0.3), (0.3, 0.4, 0.5), (0.0, 0.4, 0.4), (0.0, 0.0, 0.0)],
)
def test_a_points_noise_is_that_from_frame_to_frame_and_there_and_back(
    noise_px: float, fb_error_px: float, expected: float
) -> None:
    world = World([Thing("a red box", RED, 30, STILL)])
    tracker = Noisy(noise_px=noise_px, fb_error_px=fb_error_px)
    clip = TrackPoints(tracker).process(annotated(world))
    found = clip.table("tracks_xy")["xy_sd_px"].to_numpy()
    assert np.median(found) == pytest.approx(expected, abs=0.03)


def test_in_few_frames_a_points_noise_is_unknown() -> None:
    world = World([Thing("a red box", RED, 30, STILL[:4])])
    clip = TrackPoints(Noisy(noise_px=0.3)).process(annotated(world))
    table = clip.table("tracks_xy")
    assert table["xy_sd_px"].null_count == table.num_rows > 0


@pytest.mark.parametrize("given", [False, True])
def test_what_was_found_is_written_in_whole_steps_and_what_was_given_exactly(given: bool) -> None:
    tracker = StandingStill(given=given, off_px=0.3)
    clip = TrackPoints(tracker).process(annotated(World([Thing("a ball", RED, 30, STILL)])))
    table = clip.table("tracks_xy")
    assert tracker.asked is not None
    x = table["x"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, T)[:, 0]
    answered = np.sort(tracker.asked[:, 1].astype(np.float32) + np.float32(0.3))
    assert table.schema.field("x").metadata[b"step"] == b"1/256"
    assert np.abs(np.sort(x) - answered).max() <= (0 if given else 1 / 512)
    assert (x * 256 == np.round(x * 256)).all() is np.bool_(not given)
