"""CoTracker3 as a PointTracker: all points of a clip in one call, each frame encoded once.

The tables' origin is the corner of the first pixel, the network's its centre: half a pixel goes off
on the way in and on again on the way out. Features stay with the frames, on the device, until
`frames.forget()`: later calls on the same clip (other entities, background points, checks) reuse
them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from massannot.clip import Frames
from massannot.errors import BadModelOutput
from massannot.models.cotracker3.conventions import Conventions
from massannot.models.protocols import F32, F64, ModelCard, PointTracks
from massannot.models.runtime import Dtype
from massannot.models.weights import Weights, find

if TYPE_CHECKING:
    from torch import Tensor

    from massannot.models.cotracker3.predictor import CoTracker3Predictor, EncodedClip, Prediction

ThereAndBack = Literal["off", "far end", "both ends"]

HALF_PIXEL = 0.5


@dataclass
class CoTracker3Tracker:
    """Options; `setup` loads the weights."""

    weights: Weights
    online: bool | None = None
    """Windows of 16 frames, which take less memory in long clips; None: as the weights are."""
    conventions: Conventions = field(default_factory=Conventions)
    """The official offline ones, also for the online network: every query looks back, and the
    decision is by visibility alone."""
    there_and_back: ThereAndBack = "far end"
    """Error of tracking from the query to an end of the clip and back; one more pass per end, two
    with `backward`. "far end", the end farther from each query, is the default because `quality`
    counts this error; "off" takes about half the time."""
    dtype: Dtype = "auto"
    """auto is float32 everywhere: lower precision moves points (see BENCHMARKS.md)."""
    compile: bool = False
    """torch.compile of the blocks: pays after some hundreds of frames of one size."""
    _loaded: _LoadedTracker | None = field(default=None, init=False, repr=False, compare=False)

    def setup(self, *, device: str) -> None:
        """Load weights onto `device`. Raises MissingWeights."""

        from massannot.models.cotracker3.checkpoint import load_cotracker3
        from massannot.models.cotracker3.predictor import CoTracker3Predictor
        from massannot.models.networks import exact_float32, n_parameters, torch_dtype

        exact_float32()
        local = find(self.weights)
        net = load_cotracker3(local.files[0], online=self.online)
        count = n_parameters(net)
        net = net.to(device, torch_dtype(self.dtype, device=device, auto="float32"))
        if self.compile:
            net.compile_blocks()
        self._loaded = _LoadedTracker(
            predictor=CoTracker3Predictor(net, self.conventions),
            device=device,
            card=local.card(name="cotracker3", n_parameters=count),
        )

    def destroy(self) -> None:
        """Give memory back."""
        self._loaded = None

    def card(self) -> ModelCard:
        """The identity of the weights; complete after `setup`."""
        if self._loaded is None:
            return ModelCard("cotracker3", str(self.weights), self.weights.revision)
        return self._loaded.card

    def track(self, frames: Frames, *, queries_txy: F64) -> PointTracks:
        """The positions in every frame of the points (N, 3), given as (frame, x, y). Raises
        BadModelOutput for NaN or infinity, ValueError for queries that are none."""
        import torch

        if queries_txy.ndim != 2 or queries_txy.shape[1] != 3:
            raise ValueError(f"queries: found {queries_txy.shape}, expected (N, 3) as (t, x, y)")
        loaded = self._ready()
        if len(queries_txy) == 0:
            return _no_points(len(frames))
        clip = self._encoded(loaded, frames)
        centered = queries_txy - [0, HALF_PIXEL, HALF_PIXEL]
        queries = torch.from_numpy(centered)[None].to(
            loaded.device, loaded.predictor.net.state_dtype
        )
        prediction = loaded.predictor.predict(clip, queries)
        parts = (prediction.tracks, prediction.visibility, prediction.confidence)
        xy, visibility, confidence = map(_numpy, parts)
        if not all(np.isfinite(part).all() for part in (xy, visibility, confidence)):
            raise BadModelOutput(f"tracks of {frames.source_id}: found NaN or infinity")
        return PointTracks(
            xy=xy + np.float32(HALF_PIXEL),
            visible=prediction.visible[0].cpu().numpy(),
            visibility=visibility,
            confidence=confidence,
            fb_error_px=self._error_there_and_back(loaded.predictor, clip, queries, prediction),
        )

    def _encoded(self, loaded: _LoadedTracker, frames: Frames) -> EncodedClip:
        from massannot.models.networks import frames_on

        key = ("cotracker3", loaded.card.sha256, self.conventions.resize_to, self.dtype)
        return frames.once(
            (*key, loaded.device),
            lambda: loaded.predictor.encode(
                frames_on(frames, loaded.device).permute(0, 3, 1, 2)[None]
            ),
        )

    def _error_there_and_back(
        self,
        predictor: CoTracker3Predictor,
        clip: EncodedClip,
        queries: Tensor,
        prediction: Prediction,
    ) -> F32:
        """(T, N) pixels, NaN in the frames from which nothing was tracked back."""
        import torch

        n_frames = clip.features.n_frames
        error = np.full(tuple(prediction.visible.shape[1:]), np.nan, np.float32)
        if self.there_and_back == "off" or n_frames < 2:
            return error
        times = queries[0, :, 0].long().clamp(0, n_frames - 1)
        last = n_frames - 1
        far = torch.where(times * 2 <= last, last, 0)
        ends = [far] if self.there_and_back == "far end" else [far, last - far]
        points = torch.arange(len(times), device=times.device)
        for end in ends:
            reached = prediction.tracks[0, end, points]
            back = predictor.predict(clip, torch.cat([end[:, None].to(reached), reached], 1)[None])
            miss = back.tracks[0, times, points] - queries[0, :, 1:].to(reached)
            error[end.cpu().numpy(), points.cpu().numpy()] = miss.norm(dim=-1).float().cpu().numpy()
        return error

    def _ready(self) -> _LoadedTracker:
        if self._loaded is None:
            raise RuntimeError("CoTracker3Tracker: setup() comes before track()")
        return self._loaded


@dataclass(frozen=True)
class _LoadedTracker:
    predictor: CoTracker3Predictor
    device: str
    card: ModelCard


def _numpy(values: Tensor) -> F32:
    array: F32 = values[0].float().cpu().numpy()
    return array


def _no_points(n_frames: int) -> PointTracks:
    nothing = np.zeros((n_frames, 0), np.float32)
    return PointTracks(
        np.zeros((n_frames, 0, 2), np.float32), nothing.astype(bool), nothing, nothing, nothing
    )
