"""CoTracker3's image encoder, and the feature maps of a clip: a unit vector per 4x4 pixels, once.

Unusual: the last 3x3 convolution reads four maps enlarged to one size. Mixing channels and
enlarging are both linear, so the two coarse maps are mixed while they are small and the enlarging
(a matrix per axis, with the kernel's three shifts built in) comes after: the same numbers for a
sixth less arithmetic. Names of the parameters follow the official checkpoints.

`Features` stores maps (frame, x, y, channel), so that a column of a neighbourhood is one contiguous
read. A clip played backwards, a window, or frames repeated at the end are only another `order` over
the same maps: nothing is encoded or copied twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Features:
    """Feature maps of B videos.

    `levels`: per level (B, F, W_l, H_l, D), level 0 at stride 4, each next one half as large.
    `order`: (T,) int64, the stored frame shown at each time.
    """

    levels: tuple[Tensor, ...]
    order: Tensor

    @property
    def n_videos(self) -> int:
        return int(self.levels[0].shape[0])

    @property
    def n_frames(self) -> int:
        return int(self.order.shape[0])

    def reversed(self) -> Features:
        """The same clip played backwards."""
        return replace(self, order=self.order.flip(0))

    def window(self, start: int, length: int) -> Features:
        """Frames start .. start + length - 1; beyond the end the last frame stands still."""
        stop = min(start + length, self.n_frames)
        shown = self.order[start:stop]
        still = self.order[-1:].expand(length - (stop - start))
        return replace(self, order=torch.cat([shown, still]))

    def last(self, n_frames: int) -> Features:
        """Only the last frames, with the memory of the others given back."""
        levels = tuple(level.index_select(1, self.order[-n_frames:]) for level in self.levels)
        return Features(levels, torch.arange(levels[0].shape[1], device=self.order.device))

    def followed_by(self, later: Features) -> Features:
        """One clip after the other."""
        pairs = zip(self.levels, later.levels, strict=True)
        first = self.levels[0].shape[1]
        return Features(
            tuple(torch.cat(pair, dim=1) for pair in pairs),
            torch.cat([self.order, later.order + first]),
        )


def encode_video(
    encoder: ImageEncoder,
    video: Tensor,
    *,
    n_levels: int,
    frames: int,
    prepare: Callable[[Tensor], Tensor] = lambda images: images,
) -> Features:
    """Features of `video` (B, T, 3, H, W), values 0..255, `frames` pictures at a time, each of
    which `prepare` may convert or resize first."""
    weight = encoder.conv1.weight
    images = video.flatten(0, 1)
    parts = (
        _levels(encoder, prepare(part).to(weight), n_levels=n_levels)
        for part in images.split(frames)
    )
    n_videos, n_frames = video.shape[:2]
    levels = _joined(parts, n_images=len(images))
    return Features(
        tuple(level.unflatten(0, (n_videos, n_frames)) for level in levels),
        torch.arange(n_frames, device=weight.device),
    )


def _levels(encoder: ImageEncoder, images: Tensor, *, n_levels: int) -> list[Tensor]:
    # Decoded pictures are channels-last views, and in that order convolutions are slower.
    images = images.contiguous(memory_format=torch.contiguous_format)
    levels = [encoder(images / 255 * 2 - 1)]
    while len(levels) < n_levels:
        levels.append(F.avg_pool2d(levels[-1], 2, stride=2))
    return [level.permute(0, 3, 2, 1).contiguous() for level in levels]


def _joined(parts: Iterator[list[Tensor]], *, n_images: int) -> list[Tensor]:
    """Levels of all images; without gradients no two copies of them exist at any time."""
    if torch.is_grad_enabled():
        return [torch.cat(level) for level in zip(*parts, strict=True)]
    joined: list[Tensor] = []
    done = 0
    for part in parts:
        if not joined:
            joined = [level.new_empty(n_images, *level.shape[1:]) for level in part]
        for whole, level in zip(joined, part, strict=True):
            whole[done : done + len(level)] = level
        done += len(part[0])
    return joined


class ImageEncoder(nn.Module):
    """Convolutions at strides 2, 4, 8 and 16, fused at stride 4.

    `widths` are the channels of the four strides, `hidden` those of the fused map, `out` the
    length of a feature vector.
    """

    def __init__(self, *, widths: tuple[int, int, int, int], hidden: int, out: int):
        super().__init__()
        first, second, third, fourth = widths
        self.conv1 = nn.Conv2d(3, first, 7, stride=2, padding=3)
        self.layer1 = _layer(first, first, 1)
        self.layer2 = _layer(first, second, 2)
        self.layer3 = _layer(second, third, 2)
        self.layer4 = _layer(third, fourth, 2)
        self.conv2 = nn.Conv2d(sum(widths), hidden, 3, padding=1)
        self.conv3 = nn.Conv2d(hidden, out, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Unit feature vectors (F, out, H/4, W/4) of images (F, 3, H, W) in -1..1.

        H and W must be multiples of 4.
        """
        half = self.layer1(_norm_relu(self.conv1(images)))
        quarter = self.layer2(half)
        eighth = self.layer3(quarter)
        sixteenth = self.layer4(eighth)
        size = (images.shape[-2] // 4, images.shape[-1] // 4)
        fine = torch.cat([_resize(half, size), _resize(quarter, size)], dim=1)
        fused = _convolve_enlarged(self.conv2, fine, [eighth, sixteenth])
        features = self.conv3(_norm_relu(fused))
        wide = features.to(torch.promote_types(features.dtype, torch.float32))
        norm = wide.square().sum(1, keepdim=True).clamp_min(1e-12).rsqrt()
        return (wide * norm).to(features.dtype)


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut; a ReLU also before the sum."""

    def __init__(self, n_in: int, n_out: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1)
        self.downsample = (
            nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride=stride)) if stride != 1 else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(F, n_in, H, W) to (F, n_out, H/stride, W/stride), odd sizes rounded up."""
        y = _norm_relu(self.conv2(_norm_relu(self.conv1(x))))
        if self.downsample is not None:
            x = _norm(self.downsample(x))
        return torch.relu(x + y)


def _layer(n_in: int, n_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(ResidualBlock(n_in, n_out, stride), ResidualBlock(n_out, n_out, 1))


def _norm(x: Tensor) -> Tensor:
    # One group per channel is the instance norm, by a kernel that reads the map once. Unlike
    # F.instance_norm it accepts a map of a single pixel (its result is zero).
    return F.group_norm(x, x.shape[1], eps=1e-5)


def _norm_relu(x: Tensor) -> Tensor:
    normed = _norm(x)
    return torch.relu(normed) if torch.is_grad_enabled() else normed.relu_()


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    if x.shape[-2:] == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


def _convolve_enlarged(conv: nn.Conv2d, fine: Tensor, coarse: list[Tensor]) -> Tensor:
    """`conv` (3x3) of the map `fine` and the maps `coarse`, enlarged to its size bilinearly.

    For one coarse map: out[o, i, j] = sum over kernel rows a and columns b of
    rows[a, i, h] cols[b, j, w] (weight[o, :, a, b] . coarse[:, h, w]), where rows and cols hold
    the interpolation weights of output row i + a - 1 and column j + b - 1 (zero beyond the border).
    """
    n, _, height, width = fine.shape
    n_out = conv.out_channels
    weights = conv.weight.split([fine.shape[1], *(m.shape[1] for m in coarse)], dim=1)
    out = F.conv2d(fine, weights[0], conv.bias, padding=1)
    rows, columns = [], []
    for small, weight in zip(coarse, weights[1:], strict=True):
        h, w = small.shape[-2:]
        # (b, out, a) first, so that the sums over columns, then rows, are plain matrix products.
        mix = weight.permute(3, 0, 2, 1).reshape(9 * n_out, -1, 1, 1)
        mixed = F.conv2d(small, mix).reshape(n, 3, n_out * 3 * h, w)
        across = _shifted_enlarging(w, width, like=fine)
        columns.append(
            torch.stack([_sum_of_products(mixed[i], across) for i in range(n)]).view(
                n * n_out, 3 * h, width
            )
        )
        rows.append(_shifted_enlarging(h, height, like=fine).permute(2, 0, 1).flatten(1))
    down = torch.cat(rows, 1).expand(n * n_out, -1, -1)
    flat = out.reshape(n * n_out, height, width)
    return torch.baddbmm(flat, down, torch.cat(columns, 1)).view(out.shape)


def _sum_of_products(left: Tensor, right: Tensor) -> Tensor:
    """Sum over i of left[i] @ right[i], for (3, M, K) and (3, K, N)."""
    total = left[0] @ right[0]
    for i in (1, 2):
        total = torch.addmm(total, left[i], right[i])
    return total


def _shifted_enlarging(n_in: int, n_out: int, *, like: Tensor) -> Tensor:
    """(3, n_in, n_out): weights with which input i enters output j - 1, j and j + 1."""
    ones = torch.eye(n_in, dtype=like.dtype, device=like.device)[None]
    weights = F.interpolate(ones, size=n_out, mode="linear", align_corners=True)[0]
    padded = F.pad(weights, (1, 1))
    return torch.stack([padded[:, shift : shift + n_out] for shift in range(3)])
