"""CoTracker3: where points of a video are in every frame, offline or in sliding windows.

Written from a description of the network (Karaev et al. 2024, arXiv:2410.11831), never from the
official code; it loads the official checkpoints unchanged. Unusual: pictures are encoded once
(`encode`) and may then be tracked any number of times, backwards too (`track`); nothing in the
iterations grows with points x frames beyond the tokens themselves, and nothing in them makes the
host wait for the device.

Coordinates in this file are the network's own: a whole number is the CENTRE of a pixel, (0, 0) that
of the first one. Queries are (t, x, y). `tracker.py` converts from the tables' corner.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from massannot.models.cotracker3.encoder import Features, ImageEncoder, encode_video
from massannot.models.cotracker3.point_tokens import (
    MOTION_CHANNELS,
    Points,
    Templates,
    Tokens,
    TokenWeights,
    TrackState,
    sample_templates,
    time_embedding,
)
from massannot.models.cotracker3.transformer import Mlp, UpdateFormer
from massannot.models.runtime import micro_batch

STRIDE = 4


@dataclass(frozen=True)
class CoTracker3Sizes:
    """Widths and depths; the defaults are the official checkpoints'."""

    encoder_widths: tuple[int, int, int, int] = (64, 96, 128, 128)
    encoder_hidden: int = 256
    feature_dim: int = 128
    correlation_levels: int = 4
    correlation_radius: int = 3
    correlation_hidden: int = 384
    correlation_dim: int = 256
    width: int = 384
    n_heads: int = 8
    mlp_ratio: int = 4
    n_layers: int = 3
    n_virtual: int = 64
    space_attention: bool = True
    motion_resolution: tuple[int, int] = (384, 512)
    """(H, W) by which motion is scaled, whatever the size of the video."""

    def __post_init__(self) -> None:
        if self.width % self.n_heads or self.token_dim % 2:
            raise ValueError(
                f"sizes of CoTracker3: width {self.width} for {self.n_heads} heads, tokens of "
                f"{self.token_dim}; expected a multiple, and an even number"
            )

    @property
    def token_dim(self) -> int:
        return 2 + self.correlation_levels * self.correlation_dim + MOTION_CHANNELS


@dataclass(frozen=True)
class CoTracker3Chunks:
    """Sizes of the parts worked on at a time; part of the recipe, since sums round by their
    grouping.

    Defaults for a CPU keep a chunk in its cache; on a GPU `for_device` takes larger ones.
    """

    pixels: int = 384 * 512
    """Of the pictures encoded at a time; at least one picture."""
    correlation_rows: int = 240
    """Point-frames correlated at a time: 32 kB each."""
    token_rows: int = 960
    """Tokens in the transformer at a time: 10 kB each."""

    def frames(self, height: int, width: int) -> int:
        """Pictures encoded at a time."""
        return max(1, self.pixels // (height * width))

    def halved(self) -> CoTracker3Chunks:
        """After out-of-memory a clip is done again in smaller chunks."""
        return CoTracker3Chunks(
            pixels=micro_batch(self.pixels),
            correlation_rows=micro_batch(self.correlation_rows),
            token_rows=micro_batch(self.token_rows),
        )

    @classmethod
    def for_device(cls, device: torch.device) -> CoTracker3Chunks:
        """The defaults of a kind of device; never its free memory."""
        if device.type == "cpu":
            return cls()
        return cls(pixels=8 * cls.pixels, correlation_rows=16_384, token_rows=65_536)


@dataclass(frozen=True, eq=False)
class WindowPredictions:
    """Every iteration's result for the frames `start` .. `start + S - 1`, for training.

    `tracks` (iters, B, S, N, 2) in pixels, `visibility` and `confidence` (iters, B, S, N) logits.
    """

    start: int
    tracks: Tensor
    visibility: Tensor
    confidence: Tensor


class CoTracker3Net(nn.Module):
    """The network. `online` tracks in windows of 16 frames that overlap by half; otherwise all
    frames are tracked at once, forwards and backwards from each query.

    `window` is the length of the stored time embedding: 60 offline and 16 online in the official
    checkpoints.
    """

    def __init__(
        self,
        *,
        online: bool = False,
        window: int | None = None,
        sizes: CoTracker3Sizes | None = None,
        chunks: CoTracker3Chunks | None = None,
    ):
        super().__init__()
        self.online = online
        self.window = window if window is not None else (16 if online else 60)
        if online and (self.window < 2 or self.window % 2):
            raise ValueError(f"online window: found {self.window}, expected an even number")
        self.sizes = sizes = sizes or CoTracker3Sizes()
        self.chunks = chunks
        self.fnet = ImageEncoder(
            widths=sizes.encoder_widths, hidden=sizes.encoder_hidden, out=sizes.feature_dim
        )
        side = 2 * sizes.correlation_radius + 1
        self.corr_mlp = Mlp(
            side**4, sizes.correlation_hidden, sizes.correlation_dim, approximate="none"
        )
        self.updateformer = UpdateFormer(
            n_in=sizes.token_dim,
            width=sizes.width,
            n_heads=sizes.n_heads,
            mlp_ratio=sizes.mlp_ratio,
            n_layers=sizes.n_layers,
            n_virtual=sizes.n_virtual,
            space_attention=sizes.space_attention,
        )
        self.register_buffer("time_emb", time_embedding(self.window, sizes.token_dim))

    @torch.no_grad()
    def forward(
        self, video: Tensor, queries: Tensor, iters: int = 4
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Tracks (B, T, N, 2) in pixels, visibility and confidence (B, T, N) in 0..1.

        `video` (B, T, 3, H, W) with values 0..255, H and W multiples of 4; `queries` (B, N, 3) as
        (t, x, y). Records no gradient: training uses `predictions`. Raises ValueError on other
        shapes and on queries that are not finite.
        """
        return self.track(self.encode(video), queries, iters=iters)

    @torch.no_grad()
    def encode(self, video: Tensor) -> Features:
        """Feature maps of `video` (B, T, 3, H, W), values 0..255: what `track` reads."""
        return self._encoded(video)

    @torch.no_grad()
    def track(
        self, features: Features, queries: Tensor, *, iters: int = 4
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`, from features that were computed before."""
        points = self.points(queries, features)
        n_frames, n_points = features.n_frames, len(points.xy)
        xy = points.xy.new_zeros(n_frames, n_points, 2)
        visibility, confidence = xy.new_zeros(2, n_frames, n_points)
        windows = self._windows(features, points, iters=iters) if n_points else ()
        for start, states in windows:
            final = states[-1]
            stop = min(start + len(final.xy), n_frames)
            xy[start:stop] = final.xy[: stop - start]
            visibility[start:stop] = final.visibility[: stop - start]
            confidence[start:stop] = final.confidence[: stop - start]
        tracks, visibility, confidence = by_video(
            TrackState(xy, visibility, confidence), features.n_videos
        )
        return tracks, visibility.sigmoid(), confidence.sigmoid()

    def predictions(
        self, video: Tensor, queries: Tensor, *, iters: int = 4
    ) -> list[WindowPredictions]:
        """Every iteration's result, with gradients, window by window (one window when offline).

        Positions are detached between iterations, as recurrent flow networks are trained (RAFT,
        Teed and Deng 2020), and everything between windows; logits keep their gradient within a
        window. The last window may reach beyond the clip, whose last frame then stands still.
        """
        features = self._encoded(video)
        points = self.points(queries, features)
        predictions = []
        for start, states in self._windows(features, points, iters=iters):
            parts = [by_video(state, features.n_videos) for state in states]
            tracks, visibility, confidence = map(torch.stack, zip(*parts, strict=True))
            predictions.append(WindowPredictions(start, tracks, visibility, confidence))
        return predictions

    def track_window(
        self,
        features: Features,
        points: Points,
        templates: Templates,
        state: TrackState,
        *,
        iters: int,
        arrived: Tensor | None = None,
    ) -> list[TrackState]:
        """The states after each iteration over the frames of `features`; without gradients only
        the last one. Points that have not `arrived` (P,) are tracked with a template of zeros.
        """
        rows = self.chunks_on(state.xy.device).token_rows
        tokens_of = self._tokens(features, points, templates, arrived)
        states = [state]
        for _ in range(iters):
            state = replace(state, xy=state.xy.detach())
            tokens = tokens_of(state).unflatten(1, (features.n_videos, -1))
            change = self.updateformer(tokens, rows=rows).flatten(1, 2).to(state.xy.dtype)
            state = TrackState(
                state.xy + change[..., :2],
                state.visibility + change[..., 2],
                state.confidence + change[..., 3],
            )
            states = [*states, state] if torch.is_grad_enabled() else [state]
        return states[1:] or states

    def _windows(
        self, features: Features, points: Points, *, iters: int
    ) -> Iterator[tuple[int, list[TrackState]]]:
        """The first frame of each window and its states after each iteration."""
        templates = self.templates(features, points)
        if not self.online:
            state = points.standing(features.n_frames)
            yield 0, self.track_window(features, points, templates, state, iters=iters)
            return
        step = self.window // 2
        states: list[TrackState] = []
        for start in window_starts(features.n_frames, window=self.window):
            if states:
                state = points.carried(states[-1].detached(), start=start, step=step)
            else:
                state = points.standing(self.window)
            states = self.track_window(
                features.window(start, self.window),
                points,
                templates,
                state,
                iters=iters,
                arrived=points.frame < start + self.window,
            )
            yield start, states

    def templates(self, features: Features, points: Points) -> Templates:
        """The points' templates from their query frames: fixed while they are tracked."""
        radius = self.sizes.correlation_radius
        return sample_templates(features, points.xy, points.frame, points.video_of, radius=radius)

    def _encoded(self, video: Tensor) -> Features:
        smallest = STRIDE * 2 ** (self.sizes.correlation_levels - 1)
        shape = tuple(video.shape)
        if video.ndim != 5 or shape[2] != 3 or 0 in shape:
            raise ValueError(f"video of CoTracker3: found {shape}, expected (B, T, 3, H, W)")
        if any(size % STRIDE or size < smallest for size in shape[3:]):
            raise ValueError(
                f"video of CoTracker3: found height and width {shape[3:]}, expected multiples of "
                f"{STRIDE}, at least {smallest}; resize it first"
            )
        return encode_video(
            self.fnet,
            video,
            n_levels=self.sizes.correlation_levels,
            frames=self.chunks_on(self.device).frames(*shape[3:]),
        )

    def points(self, queries: Tensor, features: Features) -> Points:
        """`queries` (B, N, 3) as (t, x, y), checked, with t clamped to the clip."""
        points = self.points_of(queries, n_videos=features.n_videos)
        return replace(points, frame=points.frame.clamp(0, features.n_frames - 1))

    def points_of(self, queries: Tensor, *, n_videos: int) -> Points:
        """`queries` (B, N, 3) as (t, x, y), checked, for a clip whose length is not known."""
        if queries.ndim != 3 or len(queries) != n_videos or queries.shape[2] != 3:
            raise ValueError(
                f"queries of CoTracker3: found {tuple(queries.shape)}, expected ({n_videos}, N, 3) "
                "as (t, x, y)"
            )
        if not queries.is_meta and not bool(torch.isfinite(queries).all()):
            raise ValueError("queries of CoTracker3: found NaN or infinity, expected numbers")
        return Points.from_queries(queries.to(self.device, self.state_dtype), stride=STRIDE)

    def _tokens(
        self, features: Features, points: Points, templates: Templates, arrived: Tensor | None
    ) -> Tokens:
        height, width = self.sizes.motion_resolution
        return Tokens(
            features,
            points,
            templates,
            arrived,
            weights=TokenWeights.of(
                self.updateformer.input_transform,
                self.corr_mlp,
                self.time_emb,
                n_frames=features.n_frames,
                n_levels=self.sizes.correlation_levels,
            ),
            corr_mlp=self.corr_mlp,
            motion_scale=(width / STRIDE, height / STRIDE),
            radius=self.sizes.correlation_radius,
            rows=self.chunks_on(points.xy.device).correlation_rows,
        )

    def chunks_on(self, device: torch.device) -> CoTracker3Chunks:
        """Sizes of the parts worked on at a time there."""
        return (self.chunks or CoTracker3Chunks.for_device(device)).halved()

    def compile_blocks(self) -> None:
        """torch.compile for the parts that do the arithmetic; names of parameters do not change."""
        former = self.updateformer
        self.fnet.compile()
        for blocks in (
            former.time_blocks,
            former.space_virtual_blocks,
            former.space_point2virtual_blocks,
            former.space_virtual2point_blocks,
        ):
            for block in blocks:
                block.compile(dynamic=True)

    @property
    def device(self) -> torch.device:
        return self.fnet.conv1.weight.device

    @property
    def state_dtype(self) -> torch.dtype:
        """Of positions and logits: never less than float32, whatever the weights are."""
        return torch.promote_types(self.fnet.conv1.weight.dtype, torch.float32)


def by_video(state: TrackState, n_videos: int) -> tuple[Tensor, Tensor, Tensor]:
    """Tracks (B, T, N, 2) in pixels and both logits (B, T, N)."""
    xy, visibility, confidence = (
        part.unflatten(1, (n_videos, -1)).transpose(0, 1)
        for part in (state.xy * STRIDE, state.visibility, state.confidence)
    )
    return xy, visibility, confidence


def window_starts(n_frames: int, *, window: int) -> range:
    """First frames of half-overlapping windows that cover `n_frames`; always at least one.

    The official code has none for a clip of up to half a window, and answers zeros there.
    """
    step = window // 2
    return range(0, max(1, math.ceil(n_frames / step) - 1) * step, step)
