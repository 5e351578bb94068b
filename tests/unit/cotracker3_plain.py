"""CoTracker3 in its plain form: each formula of the description written out, in float64.

The ruler for massannot.models.cotracker3, and for the bench the form without any saving: nothing is
reused, chunked, fused or reordered here. Reads a state dict and shares no code with the network.
Every function works in the dtype of its inputs.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]


def plain_offline(
    state: State, video: Tensor, queries: Tensor, *, iters: int, heads: int = 8
) -> tuple[Tensor, Tensor, Tensor]:
    """Tracks (T, N, 2) in pixels, visibility and confidence (T, N), of one video.

    `video` (T, 3, H, W) with values 0..255, `queries` (N, 3) as (t, x, y).
    """
    pyramid = plain_features(state, video)
    templates = [plain_template(maps, level, queries) for level, maps in enumerate(pyramid)]
    xy, visibility, confidence = standing(queries, len(video))
    xy, visibility, confidence = plain_iterations(
        state, pyramid, templates, (xy, visibility, confidence), iters=iters, heads=heads
    )
    return xy * 4, visibility.sigmoid(), confidence.sigmoid()


def plain_online(
    state: State, video: Tensor, queries: Tensor, *, iters: int, heads: int = 8, window: int = 16
) -> tuple[Tensor, Tensor, Tensor]:
    """As `plain_offline`, in windows of 16 frames with steps of 8, padded by the last frame."""
    n_frames, step = len(video), window // 2
    n_windows = max(1, (n_frames - window + step - 1) // step + 1)
    needed = step * (n_windows - 1) + window
    video = torch.cat([video, video[-1:].repeat(max(0, needed - n_frames), 1, 1, 1)])
    pyramid = plain_features(state, video)
    frame = queries[:, 0].long().clamp(0, n_frames - 1)
    templates = [plain_template(maps, level, queries) for level, maps in enumerate(pyramid)]
    results = [torch.zeros_like(part) for part in standing(queries, len(video))]
    for start in range(0, n_windows * step, step):
        begin = list(standing(queries, window))
        for n in range(len(queries)):
            if start > 0 and frame[n] < start + step:
                for part, known in zip(begin, results, strict=True):
                    part[:step, n] = known[start : start + step, n]
                    part[step:, n] = known[start + step - 1, n]
        seen = [
            template * (frame < start + window).to(template.dtype)[:, None, None]
            for template in templates
        ]
        shown = [maps[start : start + window] for maps in pyramid]
        found = plain_iterations(state, shown, seen, tuple(begin), iters=iters, heads=heads)
        for result, part in zip(results, found, strict=True):
            result[start : start + window] = part
    xy, visibility, confidence = (result[:n_frames] for result in results)
    return xy * 4, visibility.sigmoid(), confidence.sigmoid()


def standing(queries: Tensor, n_frames: int) -> tuple[Tensor, Tensor, Tensor]:
    xy = (queries[:, 1:] / 4).repeat(n_frames, 1, 1)
    return xy, torch.zeros_like(xy[..., 0]), torch.zeros_like(xy[..., 0])


def plain_features(state: State, video: Tensor) -> list[Tensor]:
    """Pyramid levels (T, D, H_l, W_l)."""

    def conv(name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = state[f"fnet.{name}.weight"]
        padding = weight.shape[-1] // 2
        return F.conv2d(x, weight, state[f"fnet.{name}.bias"], stride=stride, padding=padding)

    def norm(x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        variance = ((x - mean) ** 2).mean((2, 3), keepdim=True)
        return (x - mean) / torch.sqrt(variance + 1e-5)

    def block(name: str, x: Tensor, stride: int) -> Tensor:
        y = norm(conv(f"{name}.conv1", x, stride)).relu()
        y = norm(conv(f"{name}.conv2", y)).relu()
        if stride != 1:
            x = norm(conv(f"{name}.downsample.0", x, stride))
        return (x + y).relu()

    height, width = video.shape[-2:]
    x = norm(conv("conv1", video / 255 * 2 - 1, 2)).relu()
    resized = []
    for layer, stride in ((1, 1), (2, 2), (3, 2), (4, 2)):
        x = block(f"layer{layer}.0", x, stride)
        x = block(f"layer{layer}.1", x, 1)
        resized.append(
            F.interpolate(x, (height // 4, width // 4), mode="bilinear", align_corners=True)
        )
    x = conv("conv3", norm(conv("conv2", torch.cat(resized, 1))).relu())
    x = x / torch.sqrt((x**2).sum(1, keepdim=True).clamp(min=1e-12))
    levels = [x]
    for _ in range(3):
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels


def plain_neighbourhood(maps: Tensor, frame: Tensor, xy: Tensor) -> Tensor:
    """(M, 49, D) samples of `maps` (T, D, H, W) around `xy` (M, 2) in `frame` (M,), x slow."""
    samples = []
    for dx in range(-3, 4):
        for dy in range(-3, 4):
            samples.append(plain_sample(maps, frame, xy[:, 0] + dx, xy[:, 1] + dy))
    return torch.stack(samples, 1)


def plain_sample(maps: Tensor, frame: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Bilinear samples (M, D), positions clamped into the map."""
    _, _, height, width = maps.shape
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    x0, y0 = x.floor(), y.floor()
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    x0, y0 = x0.long(), y0.long()
    x1, y1 = (x0 + 1).clamp(max=width - 1), (y0 + 1).clamp(max=height - 1)
    top = maps[frame, :, y0, x0] * (1 - fx) + maps[frame, :, y0, x1] * fx
    bottom = maps[frame, :, y1, x0] * (1 - fx) + maps[frame, :, y1, x1] * fx
    return top * (1 - fy) + bottom * fy


def plain_template(maps: Tensor, level: int, queries: Tensor) -> Tensor:
    """(N, 49, D): the neighbourhood of each query in its own frame."""
    frames = queries[:, 0].long().clamp(0, len(maps) - 1)
    return plain_neighbourhood(maps, frames, queries[:, 1:] / 4 / 2**level)


def plain_iterations(
    state: State,
    pyramid: list[Tensor],
    templates: list[Tensor],
    begin: tuple[Tensor, Tensor, Tensor],
    *,
    iters: int,
    heads: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Positions (T, N, 2) in units of 4 pixels and logits (T, N) after the iterations."""
    xy, visibility, confidence = begin
    times = plain_times(state["time_emb"], len(xy))
    for _ in range(iters):
        found = [
            plain_correlation(state, maps, template, xy / 2**level)
            for level, (maps, template) in enumerate(zip(pyramid, templates, strict=True))
        ]
        tokens = torch.cat(
            [visibility[..., None], confidence[..., None], *found, plain_motion(xy)], dim=-1
        )
        change = plain_transformer(state, tokens + times[:, None], heads)
        xy = xy + change[..., :2]
        visibility = visibility + change[..., 2]
        confidence = confidence + change[..., 3]
    return xy, visibility, confidence


def plain_correlation(state: State, maps: Tensor, template: Tensor, xy: Tensor) -> Tensor:
    """(T, N, 256) from maps (T, D, H, W), templates (N, 49, D) and positions (T, N, 2)."""
    n_frames, n_points = xy.shape[:2]
    frame = torch.arange(n_frames).repeat_interleave(n_points)
    around = plain_neighbourhood(maps, frame, xy.flatten(0, 1))
    products = torch.einsum("tnad,nbd->tnab", around.unflatten(0, (n_frames, n_points)), template)
    hidden = F.gelu(linear(state, "corr_mlp.fc1", products.flatten(2)))
    return linear(state, "corr_mlp.fc2", hidden)


def plain_motion(xy: Tensor) -> Tensor:
    """(T, N, 84)."""
    forward, backward = torch.zeros_like(xy), torch.zeros_like(xy)
    forward[:-1] = xy[:-1] - xy[1:]
    backward[1:] = xy[1:] - xy[:-1]
    scale = torch.tensor([128, 96], dtype=xy.dtype)
    z = torch.cat([forward / scale, backward / scale], dim=-1)
    waves = [z]
    for shift in (0, math.pi / 2):
        waves += [torch.sin(z * 2**k + shift) for k in range(10)]
    return torch.cat(waves, dim=-1)


def plain_times(table: Tensor, n_frames: int) -> Tensor:
    """(T, 1110): the stored embedding, linearly interpolated when T is not its length."""
    stored = table[0]
    length = len(stored)
    if n_frames == length:
        return stored
    rows = []
    for t in range(n_frames):
        at = min(max((t + 0.5) * length / n_frames - 0.5, 0), length - 1)
        low = min(int(at), length - 1)
        high = min(low + 1, length - 1)
        rows.append(stored[low] * (1 - (at - low)) + stored[high] * (at - low))
    return torch.stack(rows)


def plain_transformer(state: State, tokens: Tensor, heads: int) -> Tensor:
    """Increments (T, N, 4) from tokens (T, N, 1110)."""
    n_frames, n_points = tokens.shape[:2]
    prefix = "updateformer"
    points = linear(state, f"{prefix}.input_transform", tokens)
    virtual = state[f"{prefix}.virual_tracks"][0, :, 0].expand(n_frames, -1, -1)
    x = torch.cat([points, virtual], dim=1)
    for i in range(3):
        x = self_block(state, f"{prefix}.time_blocks.{i}", x.transpose(0, 1), heads).transpose(0, 1)
        points, virtual = x[:, :n_points], x[:, n_points:]
        virtual = cross_block(
            state, f"{prefix}.space_virtual2point_blocks.{i}", virtual, points, heads
        )
        virtual = self_block(state, f"{prefix}.space_virtual_blocks.{i}", virtual, heads)
        points = cross_block(
            state, f"{prefix}.space_point2virtual_blocks.{i}", points, virtual, heads
        )
        x = torch.cat([points, virtual], dim=1)
    flow = linear(state, f"{prefix}.flow_head", x[:, :n_points])
    return torch.cat([flow, linear(state, f"{prefix}.vis_conf_head", x[:, :n_points])], dim=-1)


def self_block(state: State, name: str, x: Tensor, heads: int) -> Tensor:
    normed = F.layer_norm(x, x.shape[-1:], eps=1e-6)
    x = x + attention(state, f"{name}.attn", normed, normed, heads)
    return x + perceptron(state, f"{name}.mlp", x)


def cross_block(state: State, name: str, x: Tensor, context: Tensor, heads: int) -> Tensor:
    weight, bias = state[f"{name}.norm_context.weight"], state[f"{name}.norm_context.bias"]
    context = F.layer_norm(context, context.shape[-1:], weight, bias, eps=1e-5)
    normed = F.layer_norm(x, x.shape[-1:], eps=1e-6)
    x = x + attention(state, f"{name}.cross_attn", normed, context, heads)
    return x + perceptron(state, f"{name}.mlp", x)


def attention(state: State, name: str, x: Tensor, context: Tensor, heads: int) -> Tensor:
    """Rows (.., M, C) attend to (.., S, C)."""
    width = x.shape[-1]
    q = linear(state, f"{name}.to_q", x)
    kv = linear(state, f"{name}.to_kv", context)
    k, v = kv[..., :width], kv[..., width:]
    size = width // heads
    results = []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        scores = q[..., part] @ k[..., part].transpose(-1, -2) * size**-0.5
        results.append(scores.softmax(-1) @ v[..., part])
    return linear(state, f"{name}.to_out", torch.cat(results, dim=-1))


def perceptron(state: State, name: str, x: Tensor) -> Tensor:
    x = F.layer_norm(x, x.shape[-1:], eps=1e-6)
    x = linear(state, f"{name}.fc1", x)
    x = 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return linear(state, f"{name}.fc2", x)


def linear(state: State, name: str, x: Tensor) -> Tensor:
    return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])
