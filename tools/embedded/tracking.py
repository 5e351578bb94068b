"""Tiny CoTracker3: configuration, loss, clips to train on and validation.

Clips are rendered apart from the other models' pictures (`python tools/embedded/tracking.py DIR`):
a tracker wants consecutive frames and exact tracks. Coordinates are the network's own, whole
numbers at pixel centres, except in the files, which hold the tables' corner.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from massannot.evaluate import tapvid
from massannot.models.cotracker3 import CoTracker3Net, CoTracker3Sizes
from massannot.scenes.render import render
from massannot.scenes.seeds import VALIDATION_SEEDS
from massannot.scenes.tracks import exact_tracks
from massannot.scenes.world import SceneOptions, make_scene
from tools.embedded.render_data import seeds_of_worker

H, W = 128, 160
N_FRAMES = 24
POINTS_KEPT = 256
POINTS = 64
ITERATIONS = 4
BODY_SHARE = 0.6
SURE_PX = 3.0
"""Within this distance of the truth a position counts as confident."""


def network() -> CoTracker3Net:
    sizes = CoTracker3Sizes(
        encoder_widths=(24, 32, 48, 64),
        encoder_hidden=96,
        feature_dim=64,
        correlation_levels=3,
        correlation_hidden=96,
        correlation_dim=64,
        width=128,
        n_heads=4,
        n_virtual=16,
        motion_resolution=(H, W),
    )
    return CoTracker3Net(window=N_FRAMES, sizes=sizes)


@dataclass(frozen=True, eq=False)
class TrackedClip:
    """One scene's first frames and where points of it are."""

    rgb: np.ndarray
    """(T, H, W, 3) uint8."""
    xy: np.ndarray
    """(T, N, 2) float32, corner convention."""
    visible: np.ndarray
    """(T, N) bool; every point is seen in frame 0."""


class TrackPool:
    """Tracked clips in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: set[str] = set()
        self.clips: list[TrackedClip] = []

    def look(self) -> TrackPool:
        """Read what has been written since the last look."""
        for path in sorted(self._folder.glob("tracks-*.npz")):
            if path.name not in self._seen:
                self._seen.add(path.name)
                self.add_file(path)
        return self

    def add_file(self, path: Path) -> None:
        with np.load(path) as arrays:
            self.clips.append(TrackedClip(arrays["rgb"], arrays["xy"], arrays["visible"]))

    def __str__(self) -> str:
        return f"{len(self.clips)} tracked clips"


def pool_of(folder: Path) -> TrackPool:
    return TrackPool(folder)


def tracked_clip(seed: int) -> TrackedClip:
    """Points are drawn in frame 0, BODY_SHARE of them on bodies where there are any."""
    scene = make_scene(seed, SceneOptions(n_frames=N_FRAMES))
    pictures = [render(scene, frame) for frame in range(N_FRAMES)]
    rng = np.random.default_rng([seed, 31])
    on_body = pictures[0].ids.ravel() > 0
    share = np.where(on_body, BODY_SHARE / max(1, on_body.sum()), (1 - BODY_SHARE) / H / W)
    pixel = rng.choice(H * W, POINTS_KEPT, p=share / share.sum())
    xy = np.stack([pixel % W, pixel // W], 1) + rng.random((POINTS_KEPT, 2))
    tracks = exact_tracks(scene, np.column_stack([np.zeros(POINTS_KEPT), xy]))
    return TrackedClip(
        np.stack([p.rgb for p in pictures]), tracks.xy.astype(np.float32), tracks.visible
    )


def batch(
    pool: TrackPool, rng: np.random.Generator, size: int, _step: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Video (B, T, 3, H, W) 0..255, queries (B, N, 3), tracks (B, T, N, 2), visibility."""
    videos, tracks, visibilities = [], [], []
    for _ in range(size):
        clip = pool.clips[rng.integers(len(pool.clips))]
        rgb, xy, visible = clip.rgb, clip.xy - 0.5, clip.visible
        if rng.random() < 0.5:
            rgb, xy = rgb[:, :, ::-1], xy * [-1, 1] + [W - 1, 0]
        if rng.random() < 0.5:
            rgb, xy, visible = rgb[::-1], xy[::-1], visible[::-1]
        seen = np.flatnonzero(visible.any(0) & np.isfinite(xy).all((0, 2)))
        chosen = rng.choice(seen, POINTS, replace=len(seen) < POINTS)
        videos.append(torch.from_numpy(np.ascontiguousarray(rgb)))
        tracks.append(torch.from_numpy(np.ascontiguousarray(xy[:, chosen], np.float32)))
        visibilities.append(torch.from_numpy(np.ascontiguousarray(visible[:, chosen])))
    video = torch.stack(videos).permute(0, 1, 4, 2, 3).float()
    gain = torch.from_numpy(rng.normal(1, 0.1, (size, 1, 3, 1, 1)).astype(np.float32))
    true, visible = torch.stack(tracks), torch.stack(visibilities)
    return (video * gain).clamp(0, 255), _queries(true, visible, rng), true, visible


def _queries(tracks: Tensor, visible: Tensor, rng: np.random.Generator) -> Tensor:
    """Each point asked for in one of the frames where it is seen, half of them in the first."""
    B, T, N, _ = tracks.shape
    first = visible.float().argmax(1)
    noise = torch.from_numpy(rng.random((B, T, N)).astype(np.float32))
    anywhere = (noise * visible).argmax(1)
    frame = torch.where(torch.from_numpy(rng.random((B, N)) < 0.5), first, anywhere)
    place = tracks.gather(1, frame[:, None, :, None].expand(-1, 1, -1, 2))[:, 0]
    return torch.cat([frame[..., None].float(), place], -1)


def loss(
    net: Any, video: Tensor, queries: Tensor, tracks: Tensor, visible: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Huber on positions, hidden ones for a fifth, later iterations more; visibility, and
    confidence that the position is right (Karaev et al. 2024, section 3)."""
    (window,) = net.predictions(video, queries, iters=ITERATIONS)
    seen = visible.float()
    total = tracks.new_zeros(())
    for i in range(ITERATIONS):
        off = (window.tracks[i] - tracks).norm(dim=-1)
        huber = F.huber_loss(window.tracks[i], tracks, reduction="none", delta=6.0).mean(-1)
        place = (huber * (0.2 + 0.8 * seen)).clamp(max=200).mean()
        sure = (off.detach() < SURE_PX).float()
        told = F.binary_cross_entropy_with_logits(window.visibility[i], seen)
        told = told + F.binary_cross_entropy_with_logits(window.confidence[i], sure)
        total = total + 0.8 ** (ITERATIONS - 1 - i) * (0.05 * place + told)
    return total, {"place": place.item(), "told": told.item(), "off_px": off.median().item()}


def validate(net: Any, pool: TrackPool, *, clips: int = 16) -> dict[str, float]:
    """TAP-Vid scores of points seen in frame 0, and of points that stand still, all visible."""
    rows = []
    device = next(net.parameters()).device
    for clip in pool.clips[:clips]:
        good = np.isfinite(clip.xy).all((0, 2))
        xy, visible = clip.xy[:, good], clip.visible[:, good]
        asked = np.column_stack([xy[0], np.zeros(len(xy[0]))])
        video = torch.from_numpy(clip.rgb)[None].permute(0, 1, 4, 2, 3).float()
        at = torch.from_numpy(np.column_stack([asked[:, 2], asked[:, :2] - 0.5]))[None].float()
        found, seen, sure = net(video.to(device), at.to(device), iters=ITERATIONS)
        to_256 = np.array([256 / W, 256 / H])
        queries = asked * np.array([256 / W, 256 / H, 1])
        said = ((seen * sure)[0] > 0.5).cpu().numpy()
        mine = tapvid.score(
            xy * to_256, visible, (found[0].cpu().numpy() + 0.5) * to_256, said, queries
        )
        still = np.broadcast_to(xy[:1], xy.shape)
        trivial = tapvid.score(xy * to_256, visible, still * to_256, np.ones_like(visible), queries)
        rows.append({**mine, **{f"{name}_static": value for name, value in trivial.items()}})
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description="Render tracked clips")
    parser.add_argument("out", type=Path)
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--validation", type=int, default=0, help="only that: so many scenes")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    began, source = time.monotonic(), seeds_of_worker(args.worker, 5_000_000)
    seeds = VALIDATION_SEEDS[: args.validation] if args.validation else source
    for seed in seeds:
        part = args.out / f"{seed}.part"
        with part.open("wb") as file:
            np.savez(file, **tracked_clip(seed).__dict__)
        part.rename(args.out / f"tracks-{seed}.npz")
        if time.monotonic() - began > 60 * args.minutes:
            break


if __name__ == "__main__":
    main()
