"""CoTracker3 on CUDA: the CPU's tracks in float32, and iterations that the host never waits in."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from massannot.models.cotracker3.net import CoTracker3Net  # noqa: E402

pytestmark = pytest.mark.gpu

N_FRAMES, HEIGHT, WIDTH, N_POINTS = 20, 96, 128, 30


@pytest.fixture(autouse=True)
def exact_float32() -> Any:
    """No TF32: float32 is to mean float32 where it is compared."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def network(*, online: bool) -> CoTracker3Net:
    torch.manual_seed(0)
    return CoTracker3Net(online=online).eval()


def clip() -> tuple[Any, Any]:
    random = torch.Generator().manual_seed(1)
    video = torch.rand(1, N_FRAMES, 3, HEIGHT, WIDTH, generator=random) * 255
    scale = torch.tensor([N_FRAMES, WIDTH, HEIGHT])
    return video, torch.rand(1, N_POINTS, 3, generator=random) * scale


@pytest.mark.seen("point tracks", "GPU")
@pytest.mark.parametrize("online", [False, True], ids=["offline", "online"])
def test_float32_on_cuda_gives_the_cpus_tracks(online: bool) -> None:
    video, queries = clip()
    expected = network(online=online)(video, queries)
    found = network(online=online).cuda()(video.cuda(), queries.cuda())
    for ours, theirs, tolerance in zip(found, expected, (1e-3, 1e-4, 1e-4), strict=True):
        torch.testing.assert_close(ours.cpu(), theirs, atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    ("dtype", "pixels"), [(torch.float16, 0.1), (torch.bfloat16, 1.0)], ids=["float16", "bfloat16"]
)
def test_lower_precision_on_cuda_stays_near(dtype: torch.dtype, pixels: float) -> None:
    video, queries = clip()
    expected, *_ = network(online=False)(video, queries)
    found, *_ = network(online=False).to("cuda", dtype)(video.cuda(), queries.cuda())
    assert float((found.cpu() - expected).abs().max()) < pixels


def test_the_host_never_waits_for_the_device_in_the_iterations() -> None:
    net = network(online=False).cuda()
    video, queries = clip()
    features = net.encode(video.cuda())
    points = net.points(queries.cuda(), features)
    with torch.no_grad():
        templates = net.templates(features, points)
        state = points.standing(N_FRAMES)
        net.track_window(features, points, templates, state, iters=1)
        torch.cuda.set_sync_debug_mode("error")
        try:
            net.track_window(features, points, templates, state, iters=4)
        finally:
            torch.cuda.set_sync_debug_mode("default")
