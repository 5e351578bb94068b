"""CoTracker3Net against the plain float64 form, at the official sizes on small pictures."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from cotracker3_plain import plain_offline, plain_online
from torch import Tensor

from massannot.models.cotracker3.net import CoTracker3Chunks, CoTracker3Net, CoTracker3Sizes

PIXELS = 1e-3
PROBABILITY = 1e-4

TINY = CoTracker3Sizes(
    encoder_widths=(8, 8, 8, 8),
    encoder_hidden=8,
    feature_dim=8,
    correlation_hidden=16,
    correlation_dim=8,
    width=16,
    n_heads=2,
    mlp_ratio=2,
    n_virtual=4,
)


def network(
    *, online: bool = False, sizes: CoTracker3Sizes | None = None, seed: int = 0
) -> CoTracker3Net:
    """Random weights, strong enough that points move by many pixels and react to the pictures."""
    torch.manual_seed(seed)
    net = CoTracker3Net(online=online, sizes=sizes).eval()
    with torch.no_grad():
        net.corr_mlp.fc1.weight.mul_(10)
        net.updateformer.flow_head.weight.mul_(3)
        net.updateformer.vis_conf_head.weight.mul_(3)
    return net


def clip(
    n_frames: int, *, height: int = 32, width: int = 40, points: int = 3, seed: int = 1
) -> tuple[Tensor, Tensor]:
    """A random video and queries in mixed frames, some of them outside the picture."""
    random = torch.Generator().manual_seed(seed)
    video = torch.rand(1, n_frames, 3, height, width, generator=random) * 255
    queries = torch.rand(1, points, 3, generator=random)
    queries[..., 0] = (queries[..., 0] * n_frames).floor()
    queries[..., 1] = queries[..., 1] * 1.5 * width - 0.25 * width
    queries[..., 2] = queries[..., 2] * 1.5 * height - 0.25 * height
    return video, queries


def assert_equals_plain(net: CoTracker3Net, video: Tensor, queries: Tensor, *, iters: int) -> None:
    state = {name: value.double() for name, value in net.state_dict().items()}
    plain = plain_online if net.online else plain_offline
    found = net(video, queries, iters=iters)
    for b in range(len(video)):
        expected = plain(
            state,
            video[b].double(),
            queries[b].double(),
            iters=iters,
            heads=net.sizes.n_heads,
        )
        for ours, theirs, tolerance in zip(
            found, expected, (PIXELS, PROBABILITY, PROBABILITY), strict=True
        ):
            assert ours.dtype == torch.float32
            torch.testing.assert_close(ours[b].double(), theirs, atol=tolerance, rtol=0)


@pytest.mark.parametrize(("n_frames", "online"), [(2, False), (17, True)])
def test_the_official_sizes_give_the_plain_forms_numbers(n_frames: int, online: bool) -> None:
    iters = 1 if online else 2
    assert_equals_plain(network(online=online), *clip(n_frames, points=2), iters=iters)


@pytest.mark.slow
@pytest.mark.parametrize("online", [False, True], ids=["offline", "online"])
@pytest.mark.parametrize("n_frames", [1, 2, 16, 17, 24, 37, 60, 75])
def test_the_default_four_iterations_give_the_plain_forms_numbers(
    online: bool, n_frames: int
) -> None:
    video, queries = clip(n_frames, height=36, width=44, points=4)
    assert_equals_plain(network(online=online), video, queries, iters=4)


@pytest.mark.parametrize("online", [False, True], ids=["offline", "online"])
@pytest.mark.parametrize("n_frames", [1, 2, 8, 9, 16, 17, 24, 37, 60, 75])
def test_every_length_of_clip_gives_the_plain_forms_numbers(online: bool, n_frames: int) -> None:
    net = network(online=online, sizes=TINY)
    assert_equals_plain(net, *clip(n_frames, points=2), iters=2)


@pytest.mark.parametrize(
    ("height", "width", "points"),
    [(32, 32, 5), (44, 68, 1), (36, 100, 7), (60, 52, 3)],
    ids=["smallest", "one point", "wide", "odd at every level"],
)
def test_every_size_of_picture_gives_the_plain_forms_numbers(
    height: int, width: int, points: int
) -> None:
    net = network(sizes=TINY)
    assert_equals_plain(net, *clip(5, height=height, width=width, points=points), iters=4)


@pytest.mark.parametrize("online", [False, True], ids=["offline", "online"])
def test_videos_of_a_batch_do_not_see_one_another(online: bool) -> None:
    clips = [clip(17, points=2, seed=seed) for seed in (1, 2)]
    video, queries = (torch.cat(parts) for parts in zip(*clips, strict=True))
    assert_equals_plain(network(online=online, sizes=TINY), video, queries, iters=2)


def test_a_point_far_outside_the_picture_gives_the_plain_forms_numbers() -> None:
    video, queries = clip(4)
    queries[0, :, 1:] = torch.tensor([[-3e3, 5.0], [7.0, 4e4], [1e6, -1e6]])
    assert torch.isfinite(torch.stack(network(sizes=TINY)(video, queries)[1:])).all()


@pytest.mark.slow
@pytest.mark.parametrize("online", [False, True], ids=["offline", "online"])
def test_a_full_size_clip_gives_the_plain_forms_numbers(online: bool) -> None:
    video, queries = clip(20, height=384, width=512, points=8)
    assert_equals_plain(network(online=online), video, queries, iters=4)


@pytest.mark.parametrize(
    ("name", "order"),
    [("target", (0, 2, 1, 3, 4)), ("template", (0, 1, 2, 4, 3)), ("roles", (0, 3, 4, 1, 2))],
)
def test_exchanged_samples_of_the_correlation_would_be_seen(
    name: str, order: tuple[int, ...]
) -> None:
    net = network(sizes=TINY)
    video, queries = clip(5)
    before, *_ = net(video, queries)
    weight = net.corr_mlp.fc1.weight
    with torch.no_grad():
        weight.copy_(weight.unflatten(1, (7, 7, 7, 7)).permute(order).flatten(1))
    after, *_ = net(video, queries)
    assert float((after - before).abs().max()) > 10 * PIXELS


def test_chunks_of_any_size_give_the_same_tracks() -> None:
    net = network(sizes=TINY)
    video, queries = clip(20, points=9)
    whole, *_ = net(video, queries)
    for rows in (1, 47, 100):
        net.chunks = CoTracker3Chunks(pixels=5000, correlation_rows=rows, token_rows=rows)
        torch.testing.assert_close(net(video, queries)[0], whole, atol=PIXELS, rtol=0)


@pytest.mark.parametrize("online", [False, True], ids=["offline", "online"])
def test_no_queries_give_no_tracks(online: bool) -> None:
    video, queries = clip(4)
    tracks, visibility, _ = network(online=online, sizes=TINY)(video, queries[:, :0])
    assert (tracks.shape, visibility.shape) == ((1, 4, 0, 2), (1, 4, 0))


def test_without_space_attention_points_do_not_see_one_another() -> None:
    net = network(sizes=replace(TINY, space_attention=False))
    video, queries = clip(6, points=4)
    together, *_ = net(video, queries)
    alone, *_ = net(video, queries[:, 2:3])
    torch.testing.assert_close(together[:, :, 2:3], alone, atol=PIXELS, rtol=0)


def test_training_predictions_end_at_the_inference_result_and_reach_every_parameter() -> None:
    net = network(sizes=TINY)
    video, queries = clip(9)
    (window,) = net.predictions(video, queries, iters=3)
    tracks, visibility, confidence = net(video, queries, iters=3)
    assert window.tracks.shape == (3, 1, 9, 3, 2)
    torch.testing.assert_close(window.tracks[-1], tracks, atol=PIXELS, rtol=0)
    torch.testing.assert_close(window.visibility[-1].sigmoid(), visibility, atol=1e-5, rtol=0)
    torch.testing.assert_close(window.confidence[-1].sigmoid(), confidence, atol=1e-5, rtol=0)
    (window.tracks.sum() + window.visibility.sum() + window.confidence.sum()).backward()
    lacking = [name for name, p in net.named_parameters() if p.grad is None]
    assert lacking == []
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_online_training_predictions_cover_the_clip_window_by_window() -> None:
    net = network(online=True, sizes=TINY)
    windows = net.predictions(*clip(30), iters=2)
    assert [window.start for window in windows] == [0, 8, 16]
    assert {window.tracks.shape for window in windows} == {(2, 1, 16, 3, 2)}


def test_the_iterations_never_ask_the_device_for_a_value() -> None:
    net = network(online=True, sizes=TINY).to("meta")
    tracks, *_ = net(
        torch.rand(1, 24, 3, 32, 32, device="meta"), torch.rand(1, 5, 3, device="meta")
    )
    assert tracks.shape == (1, 24, 5, 2)


@pytest.mark.parametrize(
    ("video", "queries", "message"),
    [
        ((1, 4, 3, 30, 32), (1, 2, 3), "multiples of 4"),
        ((1, 4, 3, 32, 16), (1, 2, 3), "at least 32"),
        ((4, 3, 32, 32), (1, 2, 3), r"expected \(B, T, 3, H, W\)"),
        ((1, 4, 3, 32, 32), (2, 2, 3), r"expected \(1, N, 3\)"),
        ((1, 4, 3, 32, 32), (1, 2, 2), r"expected \(1, N, 3\)"),
    ],
    ids=["height", "too small", "no batch", "other batch", "no time"],
)
def test_a_wrong_shape_is_refused_with_what_was_found(
    video: tuple[int, ...], queries: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        network(sizes=TINY)(torch.zeros(video), torch.zeros(queries))


def test_a_query_that_is_not_a_number_is_refused() -> None:
    video, queries = clip(2)
    queries[0, 0, 1] = float("nan")
    with pytest.raises(ValueError, match="NaN"):
        network(sizes=TINY)(video, queries)


@pytest.fixture(scope="module")
def official() -> CoTracker3Net:
    return network()


@pytest.mark.parametrize(
    ("dtype", "pixels"), [(torch.bfloat16, 1.0), (torch.float16, 0.1), (torch.float64, 1e-3)]
)
def test_other_precisions_stay_near_the_float32_tracks(
    official: CoTracker3Net, dtype: torch.dtype, pixels: float
) -> None:
    video, queries = clip(3)
    expected, *_ = official(video, queries, iters=2)
    found, *_ = deepcopy(official).to(dtype)(video, queries, iters=2)
    assert float((found - expected).abs().max()) < pixels
