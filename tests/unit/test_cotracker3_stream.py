"""CoTracker3 on frames that arrive in pieces: the numbers of tracking the whole video."""

from __future__ import annotations

import pytest
import torch
from test_cotracker3 import PIXELS, PROBABILITY, TINY, clip, network
from torch import Tensor

from massannot.models.cotracker3.predictor import CoTracker3Stream, StreamUpdate


def streamed(updates: list[StreamUpdate], n_frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """Everything said so far, later windows over earlier ones."""
    first = updates[0]
    tracks = torch.full((1, n_frames, *first.tracks.shape[2:]), torch.nan)
    visibility, confidence = torch.full((2, 1, n_frames, first.tracks.shape[2]), torch.nan)
    for update in updates:
        shown = slice(update.first_frame, update.first_frame + update.tracks.shape[1])
        tracks[:, shown] = update.tracks
        visibility[:, shown], confidence[:, shown] = update.visibility, update.confidence
    return tracks, visibility, confidence


@pytest.mark.parametrize("n_frames", [1, 8, 9, 16, 17, 24, 37])
@pytest.mark.parametrize("piece", [1, 5, 8, 50])
def test_frames_in_pieces_give_the_tracks_of_the_whole_video(n_frames: int, piece: int) -> None:
    net = network(online=True, sizes=TINY)
    video, queries = clip(n_frames)
    stream = CoTracker3Stream(net, queries, iters=2)
    updates = [update for part in video.split(piece, dim=1) for update in stream.push(part)]
    last = stream.finish()
    found = streamed([*updates, *([last] if last else [])], n_frames)
    expected = net(video, queries, iters=2)
    for ours, theirs, tolerance in zip(
        found, expected, (PIXELS, PROBABILITY, PROBABILITY), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=0)


def test_settled_frames_are_never_said_again() -> None:
    video, queries = clip(45)
    stream = CoTracker3Stream(network(online=True, sizes=TINY), queries, iters=1)
    settled = 0
    for part in video.split(3, dim=1):
        for update in stream.push(part):
            assert update.first_frame == settled
            settled = update.settled
    last = stream.finish()
    assert last is not None
    assert (last.first_frame, last.settled) == (settled, 45)


def test_memory_does_not_grow_with_the_stream() -> None:
    video, queries = clip(16)
    stream = CoTracker3Stream(network(online=True, sizes=TINY), queries, iters=1)
    held = []
    for _ in range(4):
        stream.push(video)
        tensors = [*stream._features.levels, *stream._templates, stream._known.xy]
        held.append(sum(tensor.untyped_storage().nbytes() for tensor in tensors))
    assert held[1:] == [held[1]] * 3


def test_an_offline_network_cannot_stream() -> None:
    with pytest.raises(ValueError, match="online=True"):
        CoTracker3Stream(network(sizes=TINY), clip(2)[1])
