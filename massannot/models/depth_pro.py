"""Depth Pro as a DepthEstimator and a CameraEstimator: metres, and the lens that they hang on.

The network answers canonical inverse depth, as one lens would see it; times the picture's width
over its focal length it is inverse depth in metres. The focal length is the clip's camera's where
the pipeline knows one, else the network's own, from the horizontal field of view that it reads in
every frame. `estimate_cameras` states that lens for the whole clip: the median over frames. The
adapters of both jobs hold one network in a process.

Unusual: pictures are normalised before they are resized and without antialiasing, and maps are
brought to the size of the Frames as inverse depth, both as the authors' processor does it. The
network's input is one square, edge to edge.
Source: Bochkovskii et al. 2024, arXiv:2410.02073, through transformers' port.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from massannot.clip import DepthMaps, Frames
from massannot.errors import BadModelOutput, MissingWeights
from massannot.geometry.camera import pinhole_from_horizontal_fov, resized_intrinsics
from massannot.models.protocols import F64, Cameras, ModelCard
from massannot.models.runtime import Dtype, micro_batch
from massannot.models.shared_network import SharedNetwork
from massannot.models.weights import Weights, find

if TYPE_CHECKING:
    import torch

    from massannot.models.preprocess import Normalization

OFFICIAL_SIDE = 1536
HALF = (0.5, 0.5, 0.5)
"""Mean and deviation where the repository's processor says nothing."""
NEAREST_PER_M, FARTHEST_PER_M = 1e4, 1e-4
"""Inverse depth is clamped to these: a tenth of a millimetre and ten kilometres."""


@dataclass
class DepthPro:
    """Options; `setup` loads the weights."""

    weights: Weights
    focal_rel_sd: float = 0.25
    """Standard deviation of the logarithm of the focal length on any one clip, to which the spread
    over its frames is added: in the paper's comparison of lenses about two photographs in three
    lie within a quarter. Not measured here."""
    fov_frames: int = 8
    """Frames, evenly spaced, in which a clip's lens is read where only the camera is asked for."""
    batch: int = 1
    """Frames per forward pass: each is 35 crops of the patch encoder."""
    dtype: Dtype = "auto"
    """auto: float32 everywhere; bfloat16 would count inverse depth in steps of 0.4 percent."""
    _loaded: _LoadedDepthPro | None = field(default=None, init=False, repr=False, compare=False)

    def setup(self, *, device: str) -> None:
        """Load weights onto `device`. Raises MissingWeights, also for weights without the
        network of the field of view, whose depth would be in no unit."""
        self._loaded = _NETWORK.of(self.weights, device)

    def destroy(self) -> None:
        """Give memory back, unless another adapter of this process uses the same network."""
        self._loaded = None

    def card(self) -> ModelCard:
        """The identity of the weights; complete after `setup`."""
        if self._loaded is None:
            return ModelCard("depth_pro", str(self.weights), self.weights.revision)
        return self._loaded.card

    def estimate_depth(self, frames: Frames, *, focal_px: float | None = None) -> DepthMaps:
        """Metres in every frame, (T, H, W) at the size of the Frames. `focal_px`, in pixels of
        these frames: the lens to believe; None: the network's own in every frame. Raises
        BadModelOutput for NaN or infinity, and for a field of view that no lens has."""
        import torch
        import torch.nn.functional as F

        loaded = self._ready("estimate_depth")
        values = np.empty((len(frames), frames.height, frames.width), np.float32)
        for chosen in self._chunks(range(len(frames))):
            canonical, fov_deg = self._predict(loaded, frames, chosen)
            given = None if focal_px is None else np.full(len(chosen), float(focal_px))
            focals = _focal_px(fov_deg, frames) if given is None else given
            factor = torch.from_numpy(frames.width / focals).to(canonical)[:, None, None, None]
            inverse = F.interpolate(
                canonical[:, None] * factor, (frames.height, frames.width), mode="bilinear"
            )[:, 0]
            metres = 1 / inverse.clamp(FARTHEST_PER_M, NEAREST_PER_M)
            values[chosen[0] : chosen[-1] + 1] = metres.cpu().numpy()
        if not np.isfinite(values).all():
            raise BadModelOutput(f"depth of {frames.source_id}: found NaN or infinity")
        return DepthMaps(values, "metric", max_depth=1 / FARTHEST_PER_M)

    def estimate_cameras(self, frames: Frames) -> Cameras:
        """One lens for the clip, the median over `fov_frames` frames, with its uncertainty; the
        principal point is the picture's middle and the camera is assumed to stand still. Raises
        BadModelOutput for a field of view that no lens has."""
        loaded = self._ready("estimate_cameras")
        n_frames = len(frames)
        at = np.unique(np.linspace(0, n_frames - 1, min(self.fov_frames, n_frames)).round())
        fov_deg = np.concatenate([self._predict(loaded, frames, [int(n)])[1] for n in at])
        spread = float(np.std(np.log(_focal_px(fov_deg, frames))))
        source = pinhole_from_horizontal_fov(
            float(np.median(fov_deg)),
            width=frames.source_width,
            height=frames.source_height,
            sample_aspect=float(frames.sample_aspect),
        )
        pinhole = resized_intrinsics(
            np.asarray(source, np.float64),
            from_size=(frames.source_width, frames.source_height),
            to_size=(frames.width, frames.height),
        )
        return Cameras(
            intrinsics=np.tile(pinhole, (n_frames, 1)),
            cam_from_world=np.tile(np.eye(4), (n_frames, 1, 1)),
            intrinsics_origin="estimated",
            pose_origin="assumed",
            focal_rel_sd=float(np.hypot(self.focal_rel_sd, spread)),
        )

    def _chunks(self, at: range) -> list[list[int]]:
        step = micro_batch(self.batch)
        return [list(at[first : first + step]) for first in range(0, len(at), step)]

    def _predict(
        self, loaded: _LoadedDepthPro, frames: Frames, at: list[int]
    ) -> tuple[torch.Tensor, F64]:
        """Canonical inverse depth (B, h, w) and the horizontal field of view (B,) in degrees."""
        import torch.nn.functional as F

        from massannot.models.networks import frames_on, inference

        pixels = frames_on(frames, loaded.device)[at]
        levels = pixels.permute(0, 3, 1, 2).float()
        with inference(self.dtype, device=loaded.device, auto="float32"):
            values = F.interpolate(loaded.normalize(levels), loaded.size, mode="bilinear")
            out = loaded.net(values)
        return out.predicted_depth.float(), out.field_of_view.double().cpu().numpy()

    def _ready(self, asked: str) -> _LoadedDepthPro:
        if self._loaded is None:
            raise RuntimeError(f"DepthPro: setup() comes before {asked}()")
        return self._loaded


@dataclass(frozen=True)
class _LoadedDepthPro:
    net: Any
    size: tuple[int, int]
    normalize: Normalization
    device: str
    card: ModelCard


def _load(weights: Weights, device: str) -> _LoadedDepthPro:
    from massannot.models.networks import load_network, n_parameters
    from massannot.models.preprocess import normalization_from, processor_config
    from massannot.models.transformers_import import transformers_class

    local = find(weights)
    kind = transformers_class("DepthProForDepthEstimation")
    net = load_network(kind, local, device=device)
    if net.fov_model is None:
        raise MissingWeights(
            f"Depth Pro from {local.folder}: found use_fov_model false in config.json, expected "
            "true: without the field of view nothing is in metres"
        )
    config = processor_config(local.folder)
    size = config.get("size", {})
    side = OFFICIAL_SIDE
    return _LoadedDepthPro(
        net=net,
        size=(int(size.get("height", side)), int(size.get("width", side))),
        normalize=normalization_from({"image_mean": HALF, "image_std": HALF} | config),
        device=device,
        card=local.card(name="depth_pro", n_parameters=n_parameters(net)),
    )


_NETWORK = SharedNetwork(_load)


def _focal_px(fov_deg: F64, frames: Frames) -> F64:
    """Focal lengths (B,) in pixels of the Frames, along x. The network's angle has no bounds."""
    possible = (fov_deg > 0) & (fov_deg < 180)
    if not possible.all():
        raise BadModelOutput(
            f"depth of {frames.source_id}: found a field of view of {fov_deg[~possible][0]:.4g} "
            "degrees, expected more than 0, below 180"
        )
    focal_px: F64 = 0.5 * frames.width / np.tan(np.radians(fov_deg) / 2)
    return focal_px
