"""Tiny CoTracker3: configuration, loss, clips to train on and validation.

Clips are rendered apart from the other models' pictures (`python tools/embedded/tracking.py DIR`):
a tracker wants consecutive frames and exact tracks. The picture encoder is trained before
(`tracking_features.py`) and stays as it is here, so its maps are computed once per clip. At first a
single iteration is trained from places near the truth: what it should answer there is known at
every scale, and nothing is unrolled. Coordinates are the network's own, whole numbers at pixel
centres, except in the files, which hold the tables' corner.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from massannot.evaluate import tapvid_scores
from massannot.models.cotracker3.encoder import Features, encode_video
from massannot.models.cotracker3.net import STRIDE, CoTracker3Net, CoTracker3Sizes, by_video
from massannot.scenes.render import render
from massannot.scenes.true_tracks import exact_tracks
from massannot.scenes.world import VALIDATION_SEEDS, SceneOptions, make_scene
from tools.embedded.render_data import seeds_of_worker

H, W = 128, 160
N_FRAMES = 48
QUERY_FRAMES = (0, 16, 32, 47)
POINTS_KEPT = 96
LEVELS = 4
BODY_SHARE = 0.6
SURE_PX = 3.0
"""Within this distance of the truth a position counts as confident."""
HUBER_PX = 0.5
SHARPNESS = 20.0
"""Of the units that begin aligned: the right step is better than the average by about 0.1."""
LENGTHS = ((16, 48), (24, 32), (48, 16))
"""Frames and points of a clip: as much work each."""
ITERATIONS = ((0, 1, 0.8), (450, 2, 0.5), (750, 3, 0.3))
"""From a step on: how many, and the share of points that begin near the truth, not standing."""


def network() -> CoTracker3Net:
    sizes = CoTracker3Sizes(
        encoder_widths=(24, 32, 48, 64),
        encoder_hidden=96,
        feature_dim=64,
        correlation_levels=LEVELS,
        correlation_radius=2,
        correlation_hidden=64,
        correlation_dim=32,
        width=96,
        n_heads=4,
        mlp_ratio=2,
        n_layers=2,
        n_virtual=8,
        motion_resolution=(H, W),
    )
    return CoTracker3Net(window=N_FRAMES, sizes=sizes)


@dataclass(eq=False)
class TrackedClip:
    """One scene's frames and where points of it are."""

    rgb: np.ndarray
    """(T, H, W, 3) uint8."""
    xy: np.ndarray
    """(T, N, 2) float32, corner convention."""
    visible: np.ndarray
    """(T, N) bool."""
    features: tuple[Tensor, ...] = ()
    """The encoder's features of the pictures, computed once (TrackPool.features)."""


class TrackPool:
    """Tracked clips in memory; once an `encoder` is set, with what it makes of their pictures."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.encoder: CoTracker3Net | None = None
        self._seen: set[str] = set()
        self.clips: list[TrackedClip] = []

    def look(self) -> TrackPool:
        """Read what has been written since the last look."""
        for path in sorted(self.folder.glob("tracks-*.npz")):
            if path.name not in self._seen:
                self._seen.add(path.name)
                self.add_file(path)
        return self

    def add_file(self, path: Path) -> None:
        with np.load(path) as arrays:
            clip = TrackedClip(arrays["rgb"], arrays["xy"], arrays["visible"])
        self.clips.append(clip)

    def features(self, clip: TrackedClip) -> tuple[Tensor, ...]:
        """Per level (T, W/4, H/4, D) float16, computed when first asked for."""
        if not clip.features:
            assert self.encoder is not None, "start() comes first"
            clip.features = encode(self.encoder, clip.rgb)
        return clip.features

    def __str__(self) -> str:
        return f"{len(self.clips)} tracked clips"


def pool_of(folder: Path) -> TrackPool:
    return TrackPool(folder)


def start(net: CoTracker3Net, run: Path, *pools: TrackPool) -> None:
    """The encoder of a run of `tracking_features`, which stays as it is, and its features."""
    held = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    state = held.get("average", held["net"])
    net.fnet.load_state_dict({n[5:]: w for n, w in state.items() if n.startswith("fnet.")})
    net.fnet.requires_grad_(False)
    align(net)
    for pool in pools:
        pool.encoder = net


@torch.no_grad()
def align(net: CoTracker3Net) -> None:
    """Begin with hidden units that each say how much better than the average the template fits when
    it is shifted by one of the (2r+1)^2 steps: by the mean of all products at that distance."""
    radius = net.sizes.correlation_radius
    side = 2 * radius + 1
    offset = torch.stack(torch.meshgrid(*2 * [torch.arange(side)], indexing="ij"), -1).view(-1, 2)
    distance = offset[:, None] - offset[None]  # target sample slow, template sample fast
    first = net.corr_mlp.fc1
    first.weight *= 3  # products of unit vectors are small
    for unit, step in enumerate(offset - radius):
        fits = (distance == step).all(-1).float().flatten()
        first.weight[unit] = SHARPNESS * (fits / fits.sum() - 1 / len(fits))
        first.bias[unit] = 0
    former = net.updateformer
    former.flow_head.weight *= 0.1
    former.vis_conf_head.weight *= 0.1
    for name, weight in former.named_parameters():
        if name.endswith(("to_out.weight", "fc2.weight")):
            weight *= 0.5


@torch.no_grad()
def encode(net: CoTracker3Net, rgb: np.ndarray) -> tuple[Tensor, ...]:
    """Per level (T, W/4, H/4, D) float16."""
    video = torch.from_numpy(rgb).permute(0, 3, 1, 2)[None].float()
    with torch.autocast("cpu", torch.bfloat16):
        features = encode_video(net.fnet, video, n_levels=LEVELS, frames=8)
    return tuple(level[0].half() for level in features.levels)


def tracked_clip(seed: int) -> TrackedClip:
    """POINTS_KEPT points of each query frame, BODY_SHARE of them on bodies where there are any."""
    scene = make_scene(seed, SceneOptions(n_frames=N_FRAMES))
    pictures = [render(scene, frame) for frame in range(N_FRAMES)]
    rng = np.random.default_rng([seed, 31])
    queries = []
    for frame in QUERY_FRAMES:
        on_body = pictures[frame].ids.ravel() > 0
        share = np.where(on_body, BODY_SHARE / max(1, on_body.sum()), (1 - BODY_SHARE) / H / W)
        pixel = rng.choice(H * W, POINTS_KEPT, p=share / share.sum())
        xy = np.stack([pixel % W, pixel // W], 1) + rng.random((POINTS_KEPT, 2))
        queries.append(np.column_stack([np.full(POINTS_KEPT, frame), xy]))
    tracks = exact_tracks(scene, np.concatenate(queries))
    return TrackedClip(
        np.stack([p.rgb for p in pictures]), tracks.xy.astype(np.float32), tracks.visible
    )


def batch(
    pool: TrackPool, rng: np.random.Generator, size: int, step: int
) -> tuple[Features, Tensor, Tensor, Tensor, Tensor, int]:
    """Features of B videos of T frames, queries (B, N, 3), true tracks (B, T, N, 2), whether they
    are seen (B, T, N), where each point is thought to be at first (B, T, N, 2), and how many
    iterations to make."""
    T, N = LENGTHS[int(rng.integers(len(LENGTHS)))]
    _, iterations, near = [row for row in ITERATIONS if row[0] <= step][-1]
    parts: list[tuple[np.ndarray, ...]] = []
    maps = []
    for _ in range(size):
        clip = pool.clips[rng.integers(len(pool.clips))]
        stride = 1 if T == N_FRAMES or rng.random() < 0.7 else 2
        first = int(rng.integers(0, N_FRAMES - (T - 1) * stride))
        at = first + stride * np.arange(T)
        if rng.random() < 0.5:
            at = at[::-1]
        shown = torch.from_numpy(at.copy())
        levels = [level[shown].float() for level in pool.features(clip)]
        xy, visible = clip.xy[at] - 0.5, clip.visible[at]
        # Features only meet one another, so a mirrored map is that of a mirrored world.
        for axis, last in ((0, W - STRIDE), (1, H - STRIDE)):
            if rng.random() < 0.5:
                levels = [level.flip(1 + axis) for level in levels]
                xy[..., axis] = last - xy[..., axis]
        good = np.flatnonzero(
            visible.any(0) & (np.abs(np.nan_to_num(xy, nan=1e9)) < 500).all((0, 2))
        )
        chosen = rng.choice(good, N, replace=len(good) < N)
        maps.append(levels)
        parts.append(_queries_of(xy[:, chosen], visible[:, chosen], rng, near))
    queries, xy, visible, thought = (
        torch.from_numpy(np.stack(column)) for column in zip(*parts, strict=True)
    )
    stacked = tuple(torch.stack(level) for level in zip(*maps, strict=True))
    return Features(stacked, torch.arange(T)), queries, xy, visible, thought, iterations


def _queries_of(
    xy: np.ndarray, visible: np.ndarray, rng: np.random.Generator, near_share: float
) -> tuple[np.ndarray, ...]:
    """Each point asked for in a frame where it is seen, mostly the first; at first it is thought to
    stand still or, for a share of the points, to be near the truth by some scale."""
    T, N = visible.shape
    first, anywhere = visible.argmax(0), (rng.random((T, N)) * visible).argmax(0)
    frame = np.where(rng.random(N) < 0.7, first, anywhere)
    start = xy[frame, np.arange(N)]
    scale = np.exp(rng.uniform(np.log(0.5), np.log(20), N))[None, :, None]
    knots = rng.normal(size=(4, N, 2))
    position = np.linspace(0, 3, T)
    low = np.minimum(position.astype(int), 2)
    part = (position - low)[:, None, None]
    wandering = knots[low] * (1 - part) + knots[low + 1] * part
    off = scale * (wandering + 0.3 * rng.normal(size=(T, N, 2)))
    near = (rng.random(N) < near_share)[None, :, None]
    thought = np.where(near, xy + off, np.broadcast_to(start, xy.shape))
    queries = np.column_stack([frame, start])
    return queries.astype(np.float32), xy.astype(np.float32), visible, thought.astype(np.float32)


def loss(
    net: Any,
    features: Features,
    queries: Tensor,
    tracks: Tensor,
    visible: Tensor,
    thought: Tensor,
    iterations: int,
) -> tuple[Tensor, dict[str, float]]:
    """Huber on positions, hidden ones for a tenth, later iterations more; visibility, and
    confidence that the position is right (Karaev et al. 2024, section 3)."""
    points = net.points(queries, features)
    state = points.standing(features.n_frames)
    state = replace(state, xy=thought.transpose(0, 1).flatten(1, 2) / STRIDE)
    with torch.no_grad():
        templates = net.templates(features, points)
    states = net.track_window(features, points, templates, state, iters=iterations)
    seen = visible.float()
    total = tracks.new_zeros(())
    for i, predicted in enumerate(states):
        xy, visibility, confidence = by_video(predicted, features.n_videos)
        off = (xy - tracks).norm(dim=-1)
        huber = F.huber_loss(xy, tracks, reduction="none", delta=HUBER_PX).mean(-1) / HUBER_PX
        position_loss = (huber.clamp(max=40) * (0.1 + 0.9 * seen)).mean()
        sure = (off.detach() < SURE_PX).float()
        logit_loss = F.binary_cross_entropy_with_logits(visibility, seen)
        logit_loss = logit_loss + F.binary_cross_entropy_with_logits(confidence, sure)
        total = total + 0.8 ** (iterations - 1 - i) * (0.3 * position_loss + 0.5 * logit_loss)
    shown = off[visible]
    return total, {
        "place": position_loss.item(),
        "told": logit_loss.item(),
        "off_px": shown.median().item(),
        "within2": (shown < 2).float().mean().item(),
    }


def validate(net: Any, pool: TrackPool, *, clips: int = 8) -> dict[str, float]:
    """TAP-Vid scores of points seen in frame 0, and of points that stand still, all visible."""
    rows = []
    for clip in pool.clips[:clips]:
        good = np.isfinite(clip.xy).all((0, 2)) & clip.visible[0]
        xy, visible = clip.xy[:, good], clip.visible[:, good]
        queries = np.column_stack([xy[0], np.zeros(len(xy[0]))])
        at = torch.from_numpy(np.column_stack([queries[:, 2], queries[:, :2] - 0.5]))[None].float()
        levels = tuple(level[None].float() for level in pool.features(clip))
        features = Features(levels, torch.arange(len(clip.rgb)))
        predicted, seen, sure = net.track(features, at, iters=4)
        claimed = ((seen * sure)[0] > 0.5).numpy()
        mine = tapvid_scores.score(
            xy, visible, predicted[0].numpy() + 0.5, claimed, queries, size=(W, H)
        )
        still = np.broadcast_to(xy[:1], xy.shape)
        trivial = tapvid_scores.score(
            xy, visible, still, np.ones_like(visible), queries, size=(W, H)
        )
        shown = np.linalg.norm(predicted[0].numpy() + 0.5 - xy, axis=-1)[1:][visible[1:]]
        rows.append(
            {name: mine[name] for name in ("AJ", "delta_avg", "OA", "pts_within_1", "pts_within_4")}
            | {"off_px": float(np.median(shown))}
            | {f"{name}_static": trivial[name] for name in ("AJ", "delta_avg", "OA")}
        )
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
            clip = tracked_clip(seed)
            np.savez(file, rgb=clip.rgb, xy=clip.xy, visible=clip.visible)
        part.rename(args.out / f"tracks-{seed}.npz")
        if time.monotonic() - began > 60 * args.minutes:
            break


if __name__ == "__main__":
    main()
