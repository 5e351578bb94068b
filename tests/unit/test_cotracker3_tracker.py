"""CoTracker3 behind the PointTracker protocol: corner-origin pixels, one encoding per clip."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from test_cotracker3 import TINY, network

from massannot.clip import Frames
from massannot.errors import BadModelOutput, MissingWeights
from massannot.models.cotracker3.checkpoint import save_cotracker3
from massannot.models.cotracker3.conventions import Conventions
from massannot.models.cotracker3.tracker import CoTracker3Tracker
from massannot.models.protocols import PointTracker
from massannot.models.weights import Weights

HEIGHT, WIDTH, N_FRAMES = 48, 64, 6
CONVENTIONS = Conventions(resize_to=(HEIGHT, WIDTH), iters=2, support_grid=2)
QUERIES = np.array([[0, 10.5, 20.25], [3, 40.0, 8.0], [5, 0.0, 48.0]])


@pytest.fixture
def frames() -> Frames:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (N_FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8)
    times = np.arange(N_FRAMES)
    return Frames(pixels, "id", "clip", times, times / 10, Fraction(1, 10), WIDTH, HEIGHT)


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    save_cotracker3(network(sizes=TINY), tmp_path / "weights")
    return Weights(str(tmp_path / "weights"))


def tracker(weights: Weights, **options: object) -> CoTracker3Tracker:
    made = CoTracker3Tracker(weights, **{"conventions": CONVENTIONS, **options})  # type: ignore[arg-type]
    made.setup(device="cpu")
    return made


def test_it_is_a_point_tracker_that_names_its_weights(weights: Weights) -> None:
    made = tracker(weights)
    assert isinstance(made, PointTracker)
    card = made.card()
    assert (card.name, len(card.sha256)) == ("cotracker3", 64)
    assert card.n_parameters == sum(p.numel() for p in network(sizes=TINY).parameters())


def test_lower_precision_moves_points_by_less_than_a_pixel(
    frames: Frames, weights: Weights
) -> None:
    exact, narrow = (
        tracker(weights, dtype=dtype).track(frames, queries_txy=QUERIES).xy
        for dtype in ("fp32", "bf16")
    )
    assert 0 < np.abs(narrow - exact).max() < 1


def test_half_a_pixel_lies_between_the_tables_and_the_network(
    frames: Frames, weights: Weights
) -> None:
    bare = Conventions(
        resize_to=(HEIGHT, WIDTH), iters=2, support_grid=0, backward=False, queries_are_truth=False
    )
    found = tracker(weights, conventions=bare).track(frames, queries_txy=QUERIES)
    video = torch.from_numpy(frames.pixels_THWC).permute(0, 3, 1, 2)[None].float()
    centres = torch.from_numpy(QUERIES - [0, 0.5, 0.5])[None].float()
    tracks, visibility, confidence = network(sizes=TINY)(video, centres, iters=2)
    np.testing.assert_allclose(found.xy, tracks[0] + 0.5, atol=1e-4)
    np.testing.assert_allclose(found.visibility, visibility[0], atol=1e-5)
    np.testing.assert_allclose(found.confidence, confidence[0], atol=1e-5)


def test_a_query_keeps_its_place_in_its_own_frame(frames: Frames, weights: Weights) -> None:
    found = tracker(weights).track(frames, queries_txy=QUERIES)
    times = QUERIES[:, 0].astype(int)
    np.testing.assert_allclose(found.xy[times, np.arange(3)], QUERIES[:, 1:], atol=1e-5)
    assert found.visible[times, np.arange(3)].all()


def test_every_frame_is_encoded_once_per_clip(frames: Frames, weights: Weights) -> None:
    made = tracker(weights, there_and_back="both ends")
    assert made._loaded is not None
    encoded = []
    made._loaded.predictor.net.fnet.register_forward_hook(
        lambda _net, images, _features: encoded.append(len(images[0]))
    )
    made.track(frames, queries_txy=QUERIES)
    made.track(frames, queries_txy=QUERIES[1:])
    assert sum(encoded) == N_FRAMES


def test_the_error_there_and_back_is_the_miss_at_the_query(
    frames: Frames, weights: Weights
) -> None:
    made = tracker(weights, there_and_back="far end")
    found = made.track(frames, queries_txy=QUERIES)
    ends = np.array([5, 0, 0])
    points = np.arange(3)
    turned = np.column_stack([ends, found.xy[ends, points]]).astype(np.float64)
    back = made.track(frames, queries_txy=turned).xy[QUERIES[:, 0].astype(int), points]
    miss = np.linalg.norm(back - QUERIES[:, 1:], axis=1)
    expected = np.full((N_FRAMES, 3), np.nan)
    expected[ends, points] = miss
    np.testing.assert_allclose(found.fb_error_px, expected, atol=1e-3)


def test_both_ends_are_checked_on_request(frames: Frames, weights: Weights) -> None:
    found = tracker(weights, there_and_back="both ends").track(frames, queries_txy=QUERIES)
    assert np.isfinite(found.fb_error_px[[0, 5]]).all()
    assert np.isnan(found.fb_error_px[1:5]).all()


def test_no_queries_give_no_tracks(frames: Frames, weights: Weights) -> None:
    found = tracker(weights).track(frames, queries_txy=np.zeros((0, 3)))
    assert (found.xy.shape, found.visible.shape) == ((N_FRAMES, 0, 2), (N_FRAMES, 0))


def test_a_network_that_answers_nan_is_a_failure_of_the_clip(
    frames: Frames, weights: Weights
) -> None:
    made = tracker(weights)
    assert made._loaded is not None
    made._loaded.predictor.net.updateformer.flow_head.bias.fill_(torch.nan)
    with pytest.raises(BadModelOutput, match="clip: found NaN"):
        made.track(frames, queries_txy=QUERIES)


def test_missing_weights_are_named_before_any_video() -> None:
    with pytest.raises(MissingWeights, match="no such folder"):
        CoTracker3Tracker(Weights("./nowhere")).setup(device="cpu")


@pytest.mark.slow
def test_compiled_blocks_give_the_same_tracks(frames: Frames, weights: Weights) -> None:
    expected = tracker(weights).track(frames, queries_txy=QUERIES)
    frames.forget()
    found = tracker(weights, compile=True).track(frames, queries_txy=QUERIES)
    np.testing.assert_allclose(found.xy, expected.xy, atol=1e-3)
