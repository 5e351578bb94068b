"""Depth Anything V2 as a DepthEstimator: every frame on its own, at the network's own output size.

Metric checkpoints answer metres (`metric`), the others inverse depth with an unknown factor and
offset per frame (`affine`); the checkpoint's configuration says which it is. The picture is resized
edge to edge, so map pixel (i, j) has its centre at ((j + 0.5) / w, (i + 0.5) / h) of the picture.
Source: Yang et al. 2024, arXiv:2406.09414, through transformers' port.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from massannot.clip import DepthMaps, Frames
from massannot.errors import BadModelOutput, UsageError
from massannot.models.protocols import ModelCard
from massannot.models.runtime import Dtype, micro_batch
from massannot.models.weights import Weights, find

if TYPE_CHECKING:
    import torch

    from massannot.models.preprocess import Normalization

OFFICIAL_SIDE = 518
"""Shorter side of the network's input: 37 patches of 14, as it was trained."""


@dataclass(frozen=True)
class CanonicalFocal:
    """A network that was taught depth as one camera would see it: focal length `focal_px` on a
    picture `width_px` wide. Its answer times (the clip's focal length / this one) is metres."""

    focal_px: float = 150.0
    width_px: float = 160.0

    def factor(self, focal_px: float, width_px: int) -> float:
        """Metres per canonical unit for a camera of `focal_px` on a picture `width_px` wide."""
        return (focal_px / width_px) / (self.focal_px / self.width_px)


@dataclass
class DepthAnything:
    """Options; `setup` loads the weights."""

    weights: Weights
    batch: int = 0
    """Frames per forward pass; 0: one on the CPU, eight on CUDA."""
    dtype: Dtype = "auto"
    """auto on CUDA: bfloat16 up to the head, the head in float32."""
    compile: bool = False
    """torch.compile: pays after some hundreds of frames of one size."""
    canonical: CanonicalFocal | None = None
    """None: as "canonical" in the weights' card.json says, if it does."""
    focal_px: float = 0.0
    """Focal length of the clips in pixels of the Frames; only for a canonical network."""
    _loaded: _LoadedDepth | None = field(default=None, init=False, repr=False, compare=False)

    def setup(self, *, device: str) -> None:
        """Load weights onto `device`. Raises MissingWeights."""
        import torch

        from massannot.models.networks import InFloat32, load_network, n_parameters
        from massannot.models.preprocess import normalization_from, processor_config
        from massannot.models.transformers_import import transformers_class

        local = find(self.weights)
        kind = transformers_class("DepthAnythingForDepthEstimation")
        net = load_network(kind, local, device=device)
        count = n_parameters(net)
        net.head = InFloat32(net.head)
        config = processor_config(local.folder)
        self._loaded = _LoadedDepth(
            net=torch.compile(net) if self.compile else net,
            metric=net.config.depth_estimation_type == "metric",
            max_depth=float(net.config.max_depth or 1),
            target=_target(config),
            multiple=int(config.get("ensure_multiple_of", net.config.patch_size)),
            keep_aspect=bool(config.get("keep_aspect_ratio", True)),
            normalize=normalization_from(config),
            canonical=self.canonical or _canonical_of_card(local.folder),
            device=device,
            card=local.card(name="depth_anything", n_parameters=count),
        )

    def destroy(self) -> None:
        """Give memory back."""
        self._loaded = None

    def card(self) -> ModelCard:
        """The identity of the weights; complete after `setup`."""
        if self._loaded is None:
            return ModelCard("depth_anything", str(self.weights), self.weights.revision)
        return self._loaded.card

    def estimate_depth(self, frames: Frames, *, focal_px: float | None = None) -> DepthMaps:
        """Depth of every frame, (T, h, w). `focal_px`, in pixels of these frames, replaces the
        option; only a canonical network needs one. Raises BadModelOutput for NaN or infinity."""
        import torch

        from massannot.models.networks import frames_on
        from massannot.models.preprocess import size_of_multiples

        loaded = self._ready()
        factor = self._metres_per_unit(loaded.canonical, frames, focal_px)
        height, width = size_of_multiples(
            frames.height, frames.width, target_height=loaded.target[0],
            target_width=loaded.target[1], multiple=loaded.multiple, keep_aspect=loaded.keep_aspect,
        )  # fmt: skip
        pixels = frames_on(frames, loaded.device)
        step = micro_batch(self.batch or (8 if loaded.device.startswith("cuda") else 1))
        values = np.empty((len(frames), height, width), np.float32)
        for first in range(0, len(frames), step):
            answer = self._predict(loaded, pixels[first : first + step], height, width) * factor
            torch.from_numpy(values[first : first + step]).copy_(answer)
        if not np.isfinite(values).all():
            raise BadModelOutput(f"depth of {frames.source_id}: found NaN or infinity")
        if loaded.metric:
            return DepthMaps(values, "metric", max_depth=loaded.max_depth * factor)
        return DepthMaps(values, "affine")

    def _predict(
        self, loaded: _LoadedDepth, pixels_BHWC: torch.Tensor, height: int, width: int
    ) -> torch.Tensor:
        from massannot.models.networks import inference
        from massannot.models.preprocess import resized

        with inference(self.dtype, device=loaded.device, auto="bfloat16"):
            levels = resized(pixels_BHWC, height=height, width=width, interpolation="bicubic")
            answer: torch.Tensor = loaded.net(loaded.normalize(levels)).predicted_depth
        return answer.float()

    def _metres_per_unit(
        self, canonical: CanonicalFocal | None, frames: Frames, focal_px: float | None
    ) -> float:
        if canonical is None:
            return 1.0
        focal = self.focal_px if focal_px is None else focal_px
        if focal <= 0:
            raise UsageError(
                f"depth of {frames.source_id}: {self.weights} was taught at one focal length and "
                f"needs the clip's, found {focal} pixels; give focal_px"
            )
        return canonical.factor(focal, frames.width)

    def _ready(self) -> _LoadedDepth:
        if self._loaded is None:
            raise RuntimeError("DepthAnything: setup() comes before estimate_depth()")
        return self._loaded


@dataclass(frozen=True)
class _LoadedDepth:
    net: Any
    metric: bool
    max_depth: float
    """A metric head answers a share of it: the farthest that it was trained for."""
    target: tuple[int, int]
    multiple: int
    keep_aspect: bool
    normalize: Normalization
    canonical: CanonicalFocal | None
    device: str
    card: ModelCard


def _target(config: dict[str, Any]) -> tuple[int, int]:
    size = config.get("size", {})
    return int(size.get("height", OFFICIAL_SIDE)), int(size.get("width", OFFICIAL_SIDE))


def _canonical_of_card(folder: Path) -> CanonicalFocal | None:
    card = folder / "card.json"
    canonical = json.loads(card.read_text()).get("canonical") if card.is_file() else None
    return None if canonical is None else CanonicalFocal(**canonical)
