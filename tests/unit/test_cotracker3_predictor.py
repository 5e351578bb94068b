"""The conventions around CoTracker3: each written out against the bare network."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from test_cotracker3 import PIXELS, TINY, clip, network
from torch import Tensor

from massannot.models.cotracker3.conventions import Conventions
from massannot.models.cotracker3.point_tokens import grid_queries
from massannot.models.cotracker3.predictor import CoTracker3Predictor

SIZE = (64, 96)
BARE = Conventions(resize_to=SIZE, iters=2, support_grid=0, backward=False, queries_are_truth=False)


def with_options(**options: object) -> Conventions:
    return Conventions(**{**BARE.__dict__, **options})


def by_hand(video: Tensor, queries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Resize with aligned corners, track, scale back."""
    height, width = video.shape[-2:]
    small = F.interpolate(video[0], SIZE, mode="bilinear", align_corners=True)[None]
    scale = torch.tensor([(SIZE[1] - 1) / (width - 1), (SIZE[0] - 1) / (height - 1)])
    scaled = torch.cat([queries[..., :1], queries[..., 1:] * scale], dim=-1)
    tracks, visibility, confidence = network(sizes=TINY)(small, scaled, iters=2)
    return tracks / scale, visibility, confidence


def predicted(conventions: Conventions, video: Tensor, queries: Tensor):  # type: ignore[no-untyped-def]
    predictor = CoTracker3Predictor(network(sizes=TINY), conventions)
    return predictor.predict(predictor.encode(video), queries)


def test_pictures_are_resized_with_corner_centres_on_one_another() -> None:
    video, queries = clip(4, height=50, width=70)
    found = predicted(BARE, video, queries)
    tracks, visibility, _ = by_hand(video, queries)
    torch.testing.assert_close(found.tracks, tracks, atol=PIXELS, rtol=0)
    assert torch.equal(found.visible, visibility > 0.9)


def test_whole_levels_track_like_floats() -> None:
    video, queries = clip(3, height=50, width=70)
    video = video.round()
    floats = predicted(BARE, video, queries).tracks
    assert torch.equal(predicted(BARE, video.to(torch.uint8), queries).tracks, floats)


def test_the_support_grid_helps_and_is_not_returned() -> None:
    video, queries = clip(4, height=64, width=96)
    found = predicted(with_options(support_grid=3), video, queries)
    extra = torch.cat([queries, grid_queries(3, frame=0, size=SIZE)], dim=1)
    tracks, *_ = by_hand(video, extra)
    torch.testing.assert_close(found.tracks, tracks[:, :, :3], atol=PIXELS, rtol=0)


def test_frames_before_the_query_come_from_the_reversed_clip() -> None:
    video, queries = clip(6, height=64, width=96)
    queries[..., 0] = torch.tensor([0.0, 2.0, 5.0])
    found = predicted(with_options(backward=True), video, queries)
    forward, *_ = by_hand(video, queries)
    turned = queries.clone()
    turned[..., 0] = 5 - queries[..., 0]
    backward, *_ = by_hand(video.flip(1), turned)
    expected = forward.clone()
    for n, t in enumerate((0, 2, 5)):
        expected[:, :t, n] = backward.flip(1)[:, :t, n]
    torch.testing.assert_close(found.tracks, expected, atol=PIXELS, rtol=0)
    assert not torch.allclose(expected, forward, atol=0.01)


def test_a_query_is_where_it_was_asked_for_and_visible() -> None:
    video, queries = clip(5)
    found = predicted(with_options(queries_are_truth=True, visible_above=1.0), video, queries)
    times = queries[0, :, 0].long()
    points = torch.arange(len(times))
    assert torch.equal(found.tracks[0, times, points], queries[0, :, 1:])
    expected = torch.zeros_like(found.visible)
    expected[0, times, points] = True
    assert torch.equal(found.visible, expected)


def test_the_online_rule_multiplies_visibility_and_confidence() -> None:
    video, queries = clip(4)
    rule = with_options(visibility_rule="visibility times confidence", visible_above=0.3)
    found = predicted(rule, video, queries)
    assert torch.equal(found.visible, found.visibility * found.confidence > 0.3)


def test_a_grid_runs_row_by_row_inside_a_margin() -> None:
    found = grid_queries(3, frame=2, size=(384, 512))[0]
    assert found[:, 0].tolist() == [2.0] * 9
    assert found[:4, 1:].tolist() == [[8, 8], [256, 8], [504, 8], [8, 192]]
    assert grid_queries(1, frame=0, size=(384, 512)).tolist() == [[[0, 256, 192]]]


@pytest.mark.parametrize("n_frames", [5, 16, 37])
def test_a_stream_gives_the_tracks_of_the_whole_video(n_frames: int) -> None:
    video, queries = clip(n_frames, height=50, width=70)
    predictor = CoTracker3Predictor(network(online=True, sizes=TINY), with_options(support_grid=2))
    whole = predictor.predict(predictor.encode(video), queries)
    stream = predictor.stream(queries, height=50, width=70)
    tracks = torch.full_like(whole.tracks, torch.nan)
    visible = torch.zeros_like(whole.visible)
    parts = [found for part in video.split(7, dim=1) for found in stream.push(part)]
    for found in [*parts, stream.finish()]:
        if found is not None:
            shown = slice(found.first_frame, found.first_frame + found.tracks.shape[1])
            tracks[:, shown], visible[:, shown] = found.tracks, found.visible
    torch.testing.assert_close(tracks, whole.tracks, atol=2 * PIXELS, rtol=0)
    assert torch.equal(visible, whole.visible)
