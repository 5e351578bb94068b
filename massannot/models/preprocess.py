"""uint8 pictures to the tensors that a network was trained on: resized, then normalised.

Agrees with transformers' own PIL image processors to one grey level (tests compare on the fly).
What makes the difference: antialiasing, and rounding and clamping to whole levels after each of the
two passes. Half-pixel throughout: edges meet edges, so corner-origin coordinates scale.
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F

from massannot.errors import MissingWeights

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Interpolation = Literal["bilinear", "bicubic"]
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Normalization:
    """(level * rescale - mean) / std, channels in the order R G B."""

    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    rescale: float = 1 / 255

    def __call__(self, levels_BCHW: torch.Tensor) -> torch.Tensor:
        """float32 (B, 3, h, w) from levels 0..255."""
        device = levels_BCHW.device
        return (levels_BCHW * self.rescale - _column(self.mean, device)) / _column(self.std, device)


def resized(
    pixels_BHWC: torch.Tensor, *, height: int, width: int, interpolation: Interpolation
) -> torch.Tensor:
    """Whole levels (B, 3, height, width), float32, from uint8 (B, H, W, 3).

    As PIL does it: antialiased, across, rounded and clamped to a level, then down. Both passes at
    once would be up to 20 levels off at sharp edges, where bicubic overshoots. (From version 13 on,
    PIL goes down first in some tall pictures; torchvision never does.)
    """
    levels = pixels_BHWC.permute(0, 3, 1, 2).float()
    levels = _resized_once(levels, (levels.shape[-2], width), interpolation)
    return _resized_once(levels, (height, width), interpolation)


def _resized_once(
    levels: torch.Tensor, size: tuple[int, int], interpolation: Interpolation
) -> torch.Tensor:
    if tuple(levels.shape[-2:]) == size:
        return levels
    exact = F.interpolate(levels, size, mode=interpolation, antialias=True)
    return exact.add_(0.5).floor_().clamp_(0, 255)  # half goes up, as in PIL


def size_with_shortest_edge(
    height: int, width: int, *, shortest: int, longest: int
) -> tuple[int, int]:
    """(height, width) with the shorter side `shortest`, or less if the longer would pass
    `longest`. The rounding is the detection processors' own (DETR's), down to a pixel."""
    small, large = min(height, width), max(height, width)
    edge = float(shortest)
    if large / small * shortest > longest:
        edge = longest * small / large
    short_side = round(edge)
    if small == short_side:
        return height, width
    long_side = int(edge * large / small)
    return (short_side, long_side) if height < width else (long_side, short_side)


def size_of_multiples(
    height: int, width: int, *, target_height: int, target_width: int, multiple: int,
    keep_aspect: bool,
) -> tuple[int, int]:  # fmt: skip
    """(height, width) in multiples, close to the target; with `keep_aspect` both sides take the
    factor that changes the picture least. Python's rounding (half to even), as in DPT's."""
    scale_y, scale_x = target_height / height, target_width / width
    if keep_aspect:
        scale_y = scale_x = scale_x if abs(1 - scale_x) < abs(1 - scale_y) else scale_y
    sizes = []
    for side, scale in ((height, scale_y), (width, scale_x)):
        near = round(scale * side / multiple) * multiple
        sizes.append(near if near > 0 else math.ceil(scale * side / multiple) * multiple)
    return sizes[0], sizes[1]


def processor_config(folder: Path) -> dict[str, Any]:
    """The configuration of the repository's picture processor: preprocessor_config.json, or the
    image processor inside processor_config.json; empty without either. Raises MissingWeights."""
    for name, inner in (("preprocessor_config.json", None), ("processor_config.json", "image")):
        path = folder / name
        if not path.is_file():
            continue
        try:
            config = json.loads(path.read_text())
        except ValueError as error:
            raise MissingWeights(f"{path}: not JSON: {error}") from error
        return dict(config if inner is None else config.get("image_processor", {}))
    return {}


def normalization_from(config: dict[str, Any]) -> Normalization:
    """With ImageNet's mean and std where the configuration is silent."""
    return Normalization(
        _triple(config.get("image_mean", IMAGENET_MEAN)),
        _triple(config.get("image_std", IMAGENET_STD)),
        float(config.get("rescale_factor", 1 / 255)),
    )


@functools.cache
def _column(values: Triple, device: torch.device) -> torch.Tensor:
    """(3, 1, 1), sent to a device once: on CUDA each upload would wait for the stream."""
    with torch.inference_mode(False):  # kept beyond this call, so fit for training too
        return torch.tensor(values, device=device)[:, None, None]


def _triple(values: Any) -> Triple:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
