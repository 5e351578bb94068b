"""First stage of the tiny CoTracker3: its picture encoder alone, on pairs of frames.

A point seen in two frames should look, at every level of the feature pyramid, more like its place
in the other frame than like any other place there: cross-entropy over all places. The network that
iterates is trained afterwards on what this learned (`tracking.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from massannot.models.cotracker3.encoder import Features, encode_video
from massannot.models.cotracker3.net import STRIDE
from tools.embedded.tracking import LEVELS, TrackPool, network, pool_of

__all__ = ["batch", "loss", "network", "pool_of", "validate"]

FRAMES = 3
POINTS = 128
TEMPERATURE = 0.06


def batch(
    pool: TrackPool, rng: np.random.Generator, size: int, _step: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Video (B, K, 3, H, W), points (B, K, N, 2) at pixel centres, and whether they are seen."""
    videos, points, seen = [], [], []
    for _ in range(size):
        clip = pool.clips[rng.integers(len(pool.clips))]
        n = len(clip.rgb)
        span = int(rng.integers(FRAMES, n + 1))
        at = rng.integers(0, n - span + 1) + rng.choice(span, FRAMES, replace=False)
        rgb, xy, visible = clip.rgb[at], clip.xy[at] - 0.5, clip.visible[at]
        if rng.random() < 0.5:
            rgb, xy = rgb[:, :, ::-1], xy * [-1, 1] + [rgb.shape[2] - 1, 0]
        useful = np.flatnonzero(visible.sum(0) >= 2)
        if not len(useful):
            useful = np.arange(xy.shape[1])
        chosen = rng.choice(useful, POINTS, replace=len(useful) < POINTS)
        mixed = rgb @ _colours(rng)
        videos.append(torch.from_numpy(np.clip(mixed, 0, 255).astype(np.float32)))
        points.append(torch.from_numpy(np.nan_to_num(xy[:, chosen]).astype(np.float32)))
        seen.append(torch.from_numpy(np.ascontiguousarray(visible[:, chosen])))
    video = torch.stack(videos).permute(0, 1, 4, 2, 3).contiguous()
    return video, torch.stack(points), torch.stack(seen)


def _colours(rng: np.random.Generator) -> np.ndarray:
    """Channels exchanged, a little mixed and scaled: colour is no more than one cue."""
    order = np.eye(3)[rng.permutation(3)] if rng.random() < 0.5 else np.eye(3)
    return np.asarray((order + rng.normal(0, 0.1, (3, 3))) * rng.uniform(0.8, 1.2))


def loss(net: Any, video: Tensor, points: Tensor, seen: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Mean cross-entropy over levels, of every ordered pair of frames."""
    with torch.autocast("cpu", torch.bfloat16):
        encoded = encode_video(net.fnet, video, n_levels=LEVELS, frames=10_000)
    features = replace(encoded, levels=tuple(level.float() for level in encoded.levels))
    total, parts, hits = points.new_zeros(()), {}, []
    for level in range(LEVELS):
        rows, good = [], []
        for i in range(FRAMES):
            for j in range(FRAMES):
                if i != j:
                    entropy, hit = _compared(features, level, points[:, i], points[:, j], i, j)
                    rows.append(entropy)
                    good.append((seen[:, i] & seen[:, j]).float())
                    if level == 0:
                        hits.append(hit)
        weight = torch.stack(good)
        mean = (torch.stack(rows) * weight).sum() / weight.sum().clamp_min(1)
        total = total + mean / LEVELS
        parts[f"level{level}"] = mean.item()
    parts["hit"] = ((torch.stack(hits) * weight).sum() / weight.sum().clamp_min(1)).item()
    return total, parts


def _compared(
    features: Features, level: int, start: Tensor, visible: Tensor, i: int, j: int
) -> tuple[Tensor, Tensor]:
    """Cross-entropy (B, N) and whether the best place is within 1.5 cells of the true one."""
    scale = STRIDE * 2**level
    maps = features.levels[level]
    template = _sampled(maps[:, i], start / scale)
    picture = maps[:, j]
    B, width, height, D = picture.shape
    logits = template @ picture.reshape(B, width * height, D).transpose(1, 2) / TEMPERATURE
    at = torch.minimum(
        (visible / scale).clamp_min(0), visible.new_tensor([width - 1.001, height - 1.001])
    )
    corner, fraction = at.floor().long(), at - at.floor()
    log_p = logits.log_softmax(-1)
    entropy = logits.new_zeros(logits.shape[:2])
    for dx in (0, 1):
        for dy in (0, 1):
            x, y = corner[..., 0] + dx, corner[..., 1] + dy
            wx = fraction[..., 0] if dx else 1 - fraction[..., 0]
            wy = fraction[..., 1] if dy else 1 - fraction[..., 1]
            cell = (x.clamp(max=width - 1) * height + y.clamp(max=height - 1))[..., None]
            entropy = entropy - wx * wy * log_p.gather(-1, cell)[..., 0]
    best = logits.argmax(-1)
    best_xy = torch.stack([best // height, best % height], -1).float()
    return entropy, ((best_xy - at).norm(dim=-1) < 1.5).float()


def _sampled(maps: Tensor, at: Tensor) -> Tensor:
    """Bilinear samples (B, N, D) of maps (B, W, H, D) at cells (B, N, 2) as (x, y)."""
    size = at.new_tensor([maps.shape[2], maps.shape[1]]) - 1  # grid_sample's x is our y
    grid = at.flip(-1) / size * 2 - 1
    planes = maps.permute(0, 3, 1, 2)
    sampled = F.grid_sample(planes, grid[:, None], align_corners=True, padding_mode="border")
    return sampled[:, :, 0].transpose(1, 2)


def validate(net: Any, pool: TrackPool, *, clips: int = 8) -> dict[str, float]:
    """Share of points whose best place in a frame 8 and 24 later is right, and the losses."""
    sums: dict[str, list[float]] = {}
    for number, clip in enumerate(pool.clips[:clips]):
        rng = np.random.default_rng(number)
        one = TrackPool(pool.folder)
        one.clips = [clip]
        for name, value in loss(net, *batch(one, rng, 2, 0))[1].items():
            sums.setdefault(name, []).append(value)
    return {name: round(float(np.mean(values)), 4) for name, values in sums.items()}
