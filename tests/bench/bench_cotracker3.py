"""CoTracker3 on one CPU thread: distance to the arithmetic bound, gain by reuse, peak memory.

    python -m tests.bench.bench_cotracker3 [bound] [encoder] [reuse] [plain] [memory] [precision]

Prints the rows of BENCHMARKS.md. Times are medians of CPU time (process_time), so that another
process on the machine does not count; the rate of a matrix product is measured between the runs.
Weights are random and sizes the official ones: neither changes the cost.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor

from massannot.models.cotracker3.encoder import Features
from massannot.models.cotracker3.net import CoTracker3Net
from massannot.models.cotracker3.point_tokens import Points
from tests.unit.cotracker3_plain import plain_offline

MACS_PER_POINT_FRAME = 16.8e6
MACS_PER_FRAME = 0.98e9
ENCODER_MACS_PER_FRAME = 25.9e9
HEIGHT, WIDTH = 384, 512
GEMM = (480, 2401, 384)
"""The first layer of the correlation's perceptron, on one chunk."""


def main(sections: list[str]) -> None:
    torch.set_num_threads(1)
    known = {
        "bound": bound,
        "encoder": encoder,
        "reuse": reuse,
        "plain": plain,
        "memory": memory,
        "precision": precision,
    }
    for name in sections or known:
        print(f"\n## {name}", flush=True)
        known[name]()


def bound() -> None:
    """One iteration over its arithmetic at the rate of a matrix product."""
    print("| points x frames | one iteration, s | product, GFLOP/s | bound, s | ratio |")
    print("|---|---|---|---|---|")
    net = network()
    for n_points, n_frames, runs in ((100, 24, 7), (400, 48, 3)):
        iterate = iteration(net, n_points, n_frames)
        iterate()
        seconds, rates = [], [gemm_rate()]
        for _ in range(runs):
            seconds.append(cpu_seconds(iterate))
            rates.append(gemm_rate())
        rate = median(rates)
        least = n_frames * (MACS_PER_FRAME + MACS_PER_POINT_FRAME * n_points) / rate
        took = median(seconds)
        print(
            f"| {n_points} x {n_frames} | {took:.2f} | {2 * rate / 1e9:.0f} | {least:.2f} | "
            f"{took / least:.2f} |",
            flush=True,
        )


def encoder() -> None:
    """One picture of 384 x 512."""
    net, video = network(), pictures(1)
    net.encode(video)
    took = median(cpu_seconds(lambda: net.encode(video)) for _ in range(7))
    least = ENCODER_MACS_PER_FRAME / gemm_rate()
    print(f"one picture: {took:.3f} s; bound of the plain arithmetic {least:.3f} s")


def reuse() -> None:
    """Whole runs of 6 iterations with every frame encoded once, and encoded for each pass."""
    print("| what | points | separate, s | shared, s | ratio |")
    print("|---|---|---|---|---|")
    for n_points in (16, 100):
        row(
            "forward and backward, 8 frames",
            n_points,
            *forward_and_backward(network(), pictures(8), queries(n_points, 8)),
        )
        row(
            "forward, backward, there and back, 8 frames",
            n_points,
            *there_and_back(network(), pictures(8), queries(n_points, 8)),
        )
        row(
            "streaming, a step of 8 frames",
            n_points,
            *streaming_step(network(online=True), pictures(16), queries(n_points, 16)),
        )


def plain() -> None:
    """The plain form of the tests in float32: nothing reused, fused or reordered."""
    print("| what | points | plain, s | ours, s | ratio |")
    print("|---|---|---|---|---|")
    net = network()
    state = net.state_dict()
    video, asked = pictures(8), queries(100, 8)

    def forms() -> None:
        for turned in (video, video.flip(1)):
            plain_offline(state, turned[0], asked[0], iters=6)

    _, ours = forward_and_backward(net, video, asked)
    with torch.no_grad():
        row("forward and backward, 8 frames", 100, forms, ours, runs=1)


def memory() -> None:
    """Highest resident memory of a process that encodes 48 frames and runs one iteration."""
    print("| points x frames | peak, MB | torch alone, MB |")
    print("|---|---|---|")
    alone = peak_of("import torch; torch.rand(9) @ torch.rand(9)")
    for n_points in (100, 400, 1600):
        program = f"from tests.bench.bench_cotracker3 import whole_run; whole_run({n_points}, 48)"
        print(f"| {n_points} x 48 | {peak_of(program):.0f} | {alone:.0f} |", flush=True)


def precision() -> None:
    """How far lower precision moves points of a random network, in pixels, at a quarter of the
    size (half precision is emulated on most CPUs, and slow)."""
    video = pictures(8)[..., ::4, ::4]
    asked = queries(64, 8) / torch.tensor([1, 4, 4])
    exact = network()(video, asked, iters=6)
    for dtype in (torch.bfloat16, torch.float16):
        found = network().to(dtype)(video, asked, iters=6)
        miss = (found[0] - exact[0]).norm(dim=-1)
        print(
            f"{dtype}: median {miss.median():.4f} px, largest {miss.max():.4f} px, probability "
            f"{(found[1] - exact[1]).abs().max():.4f}",
            flush=True,
        )


def forward_and_backward(
    net: CoTracker3Net, video: Tensor, asked: Tensor
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Two separate runs, and two that share the features."""

    def separate() -> None:
        for turned in (video, video.flip(1)):
            net(turned, asked, iters=6)

    def shared() -> None:
        features = net.encode(video)
        net.track(features, asked, iters=6)
        net.track(features.reversed(), asked, iters=6)

    return separate, shared


def there_and_back(
    net: CoTracker3Net, video: Tensor, asked: Tensor
) -> tuple[Callable[[], None], Callable[[], None]]:
    """What the tracker does with a clip: both directions, and both again from the far ends."""
    separate, _ = forward_and_backward(net, video, asked)

    def apart() -> None:
        separate()
        separate()

    def shared() -> None:
        features = net.encode(video)
        for played in (features, features.reversed()) * 2:
            net.track(played, asked, iters=6)

    return apart, shared


def streaming_step(
    net: CoTracker3Net, window: Tensor, asked: Tensor
) -> tuple[Callable[[], None], Callable[[], None]]:
    """One window with all 16 frames encoded, and with the 8 new ones."""
    kept = net.encode(window[:, :8])

    def separate() -> None:
        net(window, asked, iters=6)

    def shared() -> None:
        net.track(kept.followed_by(net.encode(window[:, 8:])), asked, iters=6)

    return separate, shared


def network(*, online: bool = False) -> CoTracker3Net:
    torch.manual_seed(0)
    return CoTracker3Net(online=online).eval()


def pictures(n_frames: int) -> Tensor:
    random = torch.Generator().manual_seed(n_frames)
    return torch.rand(1, n_frames, 3, HEIGHT, WIDTH, generator=random) * 255


def queries(n_points: int, n_frames: int) -> Tensor:
    random = torch.Generator().manual_seed(n_points)
    scale = torch.tensor([n_frames, WIDTH, HEIGHT])
    return torch.rand(1, n_points, 3, generator=random) * scale


def iteration(net: CoTracker3Net, n_points: int, n_frames: int) -> Callable[[], object]:
    """One iteration from features that are there."""
    features = random_features(n_frames)
    points = net.points(queries(n_points, n_frames), features)
    return lambda: one_iteration(net, features, points)


@torch.no_grad()
def one_iteration(net: CoTracker3Net, features: Features, points: Points) -> None:
    state = points.standing(features.n_frames)
    jitter = torch.rand(state.xy.shape, generator=torch.Generator().manual_seed(0))
    state = replace(state, xy=state.xy + jitter)
    net.track_window(features, points, net.templates(features, points), state, iters=1)


def random_features(n_frames: int) -> Features:
    shapes = [(WIDTH // 4 >> level, HEIGHT // 4 >> level) for level in range(4)]
    levels = tuple(
        torch.nn.functional.normalize(torch.randn(1, n_frames, *shape, 128), dim=-1)
        for shape in shapes
    )
    return Features(levels, torch.arange(n_frames))


def whole_run(n_points: int, n_frames: int) -> None:
    """Pictures decoded to uint8, encoded, tracked for one iteration."""
    torch.set_num_threads(1)
    network()(pictures(n_frames).to(torch.uint8), queries(n_points, n_frames), iters=1)


def gemm_rate() -> float:
    """Multiply-adds per second of a matrix product."""
    rows, inner, out = GEMM
    x, weight = torch.randn(rows, inner), torch.randn(out, inner)
    torch.nn.functional.linear(x, weight)
    took = median(cpu_seconds(lambda: torch.nn.functional.linear(x, weight)) for _ in range(15))
    return rows * inner * out / took


def row(
    what: str,
    n_points: int,
    slow: Callable[[], None],
    fast: Callable[[], None],
    *,
    runs: int = 3,
) -> None:
    pairs = [(cpu_seconds(slow), cpu_seconds(fast)) for _ in range(runs)]
    before, after = median(a for a, _ in pairs), median(b for _, b in pairs)
    print(
        f"| {what} | {n_points} | {before:.1f} | {after:.1f} | {before / after:.2f} |", flush=True
    )


def cpu_seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def peak_of(program: str) -> float:
    """Megabytes, of a fresh process."""
    program += "\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    return int(done.stdout.split()[-1]) / 1000


if __name__ == "__main__":
    main(sys.argv[1:])
