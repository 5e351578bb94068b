"""Tiny metric Depth Anything: configuration, loss, batches and validation.

Unusual: the network learns depth as ONE camera would see it, with a focal length of CANONICAL_PX on
a picture 160 wide; the clip's own focal length over that one makes metres. Bodies cover few pixels
and matter most, so each of them, small or large, weighs as much as another.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from torch import Tensor

from massannot.models.preprocess import Normalization, resized
from tools.embedded.initial import drawn_afresh
from tools.embedded.pool import SMALLEST_AREA_PX, Pool
from tools.embedded.render_data import MOST_BODIES

H, W = 128, 160
INPUT = (126, 154)
CANONICAL_PX = 150.0
BODIES = 1.5
"""Weight of the mean over bodies beside the mean over pixels."""
NORMALIZE = Normalization()


def network() -> transformers.DepthAnythingForDepthEstimation:
    # Position embeddings must be square, whatever the pictures are.
    backbone = transformers.Dinov2Config(
        image_size=INPUT[0], patch_size=14, hidden_size=96, num_hidden_layers=4,
        num_attention_heads=3, mlp_ratio=4, out_indices=[1, 2, 3, 4], reshape_hidden_states=False,
        apply_layernorm=True,
    )  # fmt: skip
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, patch_size=14, reassemble_hidden_size=96,
        neck_hidden_sizes=[24, 48, 96, 96], fusion_hidden_size=32, head_hidden_size=16,
        depth_estimation_type="metric", max_depth=14,
    )  # fmt: skip
    net = transformers.DepthAnythingForDepthEstimation(config)
    drawn_afresh(net.backbone)
    return net.to(memory_format=torch.channels_last)


def batch(
    pool: Pool, rng: np.random.Generator, size: int, _step: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Values (B, 3, h, w), canonical depth (B, H, W), whose body is there (B, H, W; 0: none), and
    the factor to metres (B,)."""
    chosen = [pool.frames[rng.integers(len(pool.frames))] for _ in range(size)]
    rgb, depth, body, factor = _pictures(pool, chosen)
    turned = torch.from_numpy(rng.random(size) < 0.5)
    rgb[turned] = rgb[turned].flip(2)
    depth[turned], body[turned] = depth[turned].flip(2), body[turned].flip(2)
    values = _values(rgb)
    gain = torch.from_numpy(rng.normal(1, 0.15, (size, 1, 1, 1)).astype(np.float32))
    shift = torch.from_numpy(rng.normal(0, 0.15, (size, 3, 1, 1)).astype(np.float32))
    return values * gain + shift, depth, body, factor


def _pictures(pool: Pool, chosen: list[tuple[int, int]]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rgb, depth, body, factor = [], [], [], []
    for scene, frame in chosen:
        shots, row = pool.scenes[scene]
        scale = shots.focal_px[row] / CANONICAL_PX
        rgb.append(shots.rgb[row, frame])
        depth.append(shots.depth_m[row, frame].astype(np.float32) / scale)
        body.append(shots.ids[row, frame].astype(np.int64))
        factor.append(scale)
    arrays = (np.stack(rgb), np.stack(depth), np.stack(body), np.array(factor, np.float32))
    return tuple(torch.from_numpy(a) for a in arrays)  # type: ignore[return-value]


def _values(rgb_BHWC: Tensor) -> Tensor:
    levels = resized(rgb_BHWC, height=INPUT[0], width=INPUT[1], interpolation="bicubic")
    return NORMALIZE(levels.float())


def predict(net: Any, values: Tensor) -> Tensor:
    """Canonical depth (B, H, W)."""
    with torch.autocast(values.device.type, torch.bfloat16):
        out = net(pixel_values=values.contiguous(memory_format=torch.channels_last))
    depth = out.predicted_depth.float()
    return F.interpolate(depth[:, None], (H, W), mode="bilinear")[:, 0]


def loss(
    net: Any, values: Tensor, depth: Tensor, body: Tensor, factor: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """L1 of log depth, over pixels and over bodies, and of its steps between pixels at three
    scales."""
    error = predict(net, values).clamp(min=0.05).log() - depth.clamp(min=0.2).log()
    bodies = _mean_over_bodies(error.abs(), body)
    near = error.abs().mean() + BODIES * bodies
    steps = sum(
        (e[:, :, s:] - e[:, :, :-s]).abs().mean() + (e[:, s:] - e[:, :-s]).abs().mean()
        for s, e in ((1, error), (2, error), (4, error))
    )
    parts = {"log": error.abs().mean().item(), "bodies": bodies.item(), "steps": float(steps)}
    return near + 0.5 * steps, parts


def _mean_over_bodies(error_BHW: Tensor, body_BHW: Tensor) -> Tensor:
    """Mean over all bodies in the batch of each one's mean; those that hardly show are left out."""
    picture = torch.arange(len(body_BHW), device=body_BHW.device)[:, None, None]
    whose = (picture * (MOST_BODIES + 1) + body_BHW).flatten()
    n = len(body_BHW) * (MOST_BODIES + 1)
    area = torch.bincount(whose, minlength=n)
    sums = torch.zeros(n, device=error_BHW.device).index_add(0, whose, error_BHW.flatten())
    shown = (area >= SMALLEST_AREA_PX) & (
        torch.arange(n, device=area.device) % (MOST_BODIES + 1) > 0
    )
    return (sums / area.clamp(min=1))[shown].sum() / shown.sum().clamp(min=1)


def validate(net: Any, pool: Pool, *, pictures: int = 256) -> dict[str, float]:
    """Means over pictures of the relative error, of all pixels and of bodies; and the same for one
    constant canonical depth, about the median."""
    rng = np.random.default_rng(5)
    chosen = [pool.frames[i] for i in rng.permutation(len(pool.frames))[:pictures]]
    device = next(net.parameters()).device
    rows: list[dict[str, float]] = []
    for first in range(0, len(chosen), 16):
        rgb, depth, body, _ = _pictures(pool, chosen[first : first + 16])
        predicted = predict(net, _values(rgb).to(device)).cpu()
        for i in range(len(rgb)):
            rows.append(_scores(predicted[i], depth[i], body[i] > 0))
    names = rows[0].keys()
    return {k: round(float(np.nanmean([row[k] for row in rows])), 4) for k in names}


def _scores(predicted: Tensor, depth: Tensor, body: Tensor) -> dict[str, float]:
    off = (predicted - depth).abs() / depth
    ratio = torch.maximum(predicted / depth, depth / predicted)
    constant = (3.2 - depth).abs() / depth
    some = bool(body.any())
    return {
        "AbsRel": off.mean().item(),
        "AbsRel_bodies": off[body].mean().item() if some else float("nan"),
        "delta1": (ratio < 1.25).float().mean().item(),
        "delta1_bodies": (ratio[body] < 1.25).float().mean().item() if some else float("nan"),
        "AbsRel_constant": constant.mean().item(),
        "AbsRel_bodies_constant": constant[body].mean().item() if some else float("nan"),
        "metres_off_bodies": (predicted - depth).abs()[body].median().item()
        if some
        else float("nan"),
    }
