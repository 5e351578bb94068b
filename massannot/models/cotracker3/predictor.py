"""From CoTracker3's network to tracks on pictures of any size: the official wrapper's conventions,
each an option named after what it does.

Unusual: pictures are resized and encoded once (`encode`); any number of calls and the backward pass
read the same features. Coordinates are the network's own: whole numbers are pixel centres, and the
resize maps corner pixel centres onto one another.

CoTracker3Stream is the online network on a video without an end: frames go in as they come, each is
encoded once, and at most one window of feature maps and one of results are held. The results equal
tracking the whole video in windows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from massannot.models.cotracker3.conventions import Conventions
from massannot.models.cotracker3.encoder import Features, encode_video
from massannot.models.cotracker3.net import CoTracker3Net, by_video
from massannot.models.cotracker3.point_tokens import Templates, TrackState, grid_queries


@dataclass(frozen=True, eq=False)
class EncodedClip:
    """The features of B clips whose pictures were `height` x `width`."""

    features: Features
    height: int
    width: int


@dataclass(frozen=True, eq=False)
class Prediction:
    """`tracks` (B, T, N, 2) in pixels of the pictures, `visible` bool, `visibility` and
    `confidence` (B, T, N) in 0..1, from `first_frame` on."""

    tracks: Tensor
    visible: Tensor
    visibility: Tensor
    confidence: Tensor
    first_frame: int = 0


class CoTracker3Predictor:
    """Tracks with `net` by the `conventions`."""

    def __init__(self, net: CoTracker3Net, conventions: Conventions | None = None):
        self.net = net
        if conventions is None:
            conventions = Conventions.official_online() if net.online else Conventions()
        self.conventions = conventions

    @torch.no_grad()
    def encode(self, video: Tensor) -> EncodedClip:
        """Features of `video` (B, T, 3, H, W), uint8 or float 0..255, a few pictures at a time."""
        features = encode_video(
            self.net.fnet,
            video,
            n_levels=self.net.sizes.correlation_levels,
            frames=self.net.chunks_on(self.net.device).frames(*self.conventions.resize_to),
            prepare=self._resized,
        )
        return EncodedClip(features, *video.shape[-2:])

    def predict(self, clip: EncodedClip, queries: Tensor) -> Prediction:
        """Tracks of `queries` (B, N, 3) as (t, x, y) in pixels of the clip's pictures."""
        scaled = queries.clone()
        scaled[..., 1:] = queries[..., 1:] * self.scale(clip.height, clip.width, like=queries)
        return self._settled(self._predicted(clip, scaled), queries)

    def stream(self, queries: Tensor, *, height: int, width: int) -> PredictorStream:
        """Tracks of `queries` (B, N, 3) in pictures of `height` x `width` that are still to come;
        `backward` and `queries_are_truth` do not apply."""
        return PredictorStream(self, queries, height=height, width=width)

    def _predicted(self, clip: EncodedClip, queries: Tensor) -> Prediction:
        """The network's answer for `queries` in its own pixels, in pixels of the clip."""
        n_points = queries.shape[1]
        needs_backward = self.conventions.backward and bool((queries[..., 0] >= 1).any())
        queries = self.with_support(queries)
        answer = self.net.track(clip.features, queries, iters=self.conventions.iters)
        if needs_backward:
            n_frames = clip.features.n_frames
            times = queries[..., 0].long().clamp(0, n_frames - 1)
            turned = torch.cat([(n_frames - 1 - times)[..., None].to(queries), queries[..., 1:]], 2)
            before = self.net.track(clip.features.reversed(), turned, iters=self.conventions.iters)
            times = times.to(answer[0].device)[:, None]
            early = torch.arange(n_frames, device=times.device)[:, None] < times
            tracks, visibility, confidence = (
                torch.where(early[..., None] if ours.ndim == 4 else early, theirs.flip(1), ours)
                for ours, theirs in zip(answer, before, strict=True)
            )
            answer = tracks, visibility, confidence
        return self.read(answer, n_points=n_points, height=clip.height, width=clip.width)

    def read(
        self,
        answer: tuple[Tensor, Tensor, Tensor],
        *,
        n_points: int,
        height: int,
        width: int,
        first_frame: int = 0,
    ) -> Prediction:
        """The network's answer for the first `n_points` (the others are support), by the rules."""
        tracks, visibility, confidence = (part[:, :, :n_points] for part in answer)
        belief = visibility
        if self.conventions.visibility_rule == "visibility times confidence":
            belief = visibility * confidence
        return Prediction(
            tracks / self.scale(height, width, like=tracks),
            belief > self.conventions.visible_above,
            visibility,
            confidence,
            first_frame,
        )

    def _settled(self, prediction: Prediction, queries: Tensor) -> Prediction:
        if not self.conventions.queries_are_truth:
            return prediction
        queries = queries.to(prediction.tracks)
        n_frames = prediction.tracks.shape[1]
        query_frame = queries[:, None, :, 0].long().clamp(0, n_frames - 1)
        at_query = torch.arange(n_frames, device=query_frame.device)[:, None] == query_frame
        return Prediction(
            torch.where(at_query[..., None], queries[:, None, :, 1:], prediction.tracks),
            prediction.visible | at_query,
            prediction.visibility,
            prediction.confidence,
        )

    def with_support(self, queries: Tensor) -> Tensor:
        """`queries` (B, N, 3) and, after them, the support grid."""
        size = self.conventions.support_grid
        if size == 0:
            return queries
        support = grid_queries(size, frame=0, size=self.conventions.resize_to).to(queries)
        return torch.cat([queries, support.expand(len(queries), -1, -1)], dim=1)

    def _resized(self, images: Tensor) -> Tensor:
        images = images.to(self.net.device, self.net.state_dtype)
        if tuple(images.shape[-2:]) == self.conventions.resize_to:
            return images
        return F.interpolate(
            images, self.conventions.resize_to, mode="bilinear", align_corners=True
        )

    def scale(self, height: int, width: int, *, like: Tensor) -> Tensor:
        """(2,) factors for x and y from the pictures' pixels to the network's."""
        inner_height, inner_width = self.conventions.resize_to
        return like.new_tensor(
            [(inner_width - 1) / max(1, width - 1), (inner_height - 1) / max(1, height - 1)]
        )


class PredictorStream:
    """A predictor's tracks while the frames arrive. Later predictions replace earlier ones of the
    same frames."""

    def __init__(self, predictor: CoTracker3Predictor, queries: Tensor, *, height: int, width: int):
        self._predictor, self._height, self._width = predictor, height, width
        self._n_points = queries.shape[1]
        scaled = queries.clone()
        scaled[..., 1:] *= predictor.scale(height, width, like=queries)
        self._stream = CoTracker3Stream(
            predictor.net, predictor.with_support(scaled), iters=predictor.conventions.iters
        )

    def push(self, video: Tensor) -> list[Prediction]:
        """Take frames (B, k, 3, height, width); the windows that became complete."""
        if tuple(video.shape[-2:]) != (self._height, self._width):
            raise ValueError(
                f"frames of a stream: found {tuple(video.shape[-2:])}, expected "
                f"{(self._height, self._width)}"
            )
        features = self._predictor.encode(video).features
        return [self._prediction(update) for update in self._stream.push_features(features)]

    def finish(self) -> Prediction | None:
        """The window of the frames that filled none."""
        update = self._stream.finish()
        return None if update is None else self._prediction(update)

    def _prediction(self, update: StreamUpdate) -> Prediction:
        return self._predictor.read(
            (update.tracks, update.visibility, update.confidence),
            n_points=self._n_points,
            height=self._height,
            width=self._width,
            first_frame=update.first_frame,
        )


@dataclass(frozen=True, eq=False)
class StreamUpdate:
    """Results of one window, which replace earlier ones of the same frames.

    `first_frame` is counted from the stream's first; `tracks` (B, S, N, 2) in pixels of the
    pictures given, `visibility` and `confidence` (B, S, N) in 0..1. Later windows share half of
    their frames with this one: frames before `settled` (exclusive) will not change again.
    """

    first_frame: int
    settled: int
    tracks: Tensor
    visibility: Tensor
    confidence: Tensor


class CoTracker3Stream:
    """Tracks of `queries` (B, N, 3), given as (t, x, y) with t counted from the first frame pushed.

    A query may lie in a frame still to come; its tracks mean something from then on.
    """

    def __init__(self, net: CoTracker3Net, queries: Tensor, *, iters: int = 6):
        if not net.online:
            raise ValueError("streaming needs CoTracker3Net(online=True): found an offline network")
        self._net = net
        self._iters = iters
        self._points = net.points_of(queries, n_videos=len(queries))
        self._points = replace(self._points, frame=self._points.frame.clamp_min(0))
        self._start = 0
        self._features: Features | None = None
        self._templates: Templates | None = None
        self._known: TrackState | None = None

    def push(self, video: Tensor) -> list[StreamUpdate]:
        """Take the next frames (B, k, 3, H, W), any number; the windows that became complete."""
        return self.push_features(self._net.encode(video))

    @torch.no_grad()
    def push_features(self, arrived: Features) -> list[StreamUpdate]:
        """As `push`, with frames that are encoded already."""
        if self._features is not None:
            arrived = self._features.followed_by(arrived)
        self._features = arrived
        updates = []
        while self._features.n_frames >= self._net.window:
            updates.append(self._tracked(self._features.window(0, self._net.window)))
            step = self._net.window // 2
            self._features = self._features.last(self._features.n_frames - step)
            self._start += step
        return updates

    @torch.no_grad()
    def finish(self) -> StreamUpdate | None:
        """The window of the frames that filled none, its end being the last frame standing still;
        None if every frame is settled already. Nothing may be pushed afterwards."""
        rest, self._features = self._features, None
        step = self._net.window // 2
        if rest is None or (self._known is not None and rest.n_frames <= step):
            return None
        update = self._tracked(rest.window(0, self._net.window))
        n_frames = rest.n_frames
        return StreamUpdate(
            update.first_frame,
            update.first_frame + n_frames,
            update.tracks[:, :n_frames],
            update.visibility[:, :n_frames],
            update.confidence[:, :n_frames],
        )

    def _tracked(self, frames: Features) -> StreamUpdate:
        window, step = self._net.window, self._net.window // 2
        points, start = self._points, self._start
        templates = self._net.templates(frames, replace(points, frame=points.frame - start))
        if self._templates is not None and self._known is not None:
            new = (points.frame >= start + step)[:, None, None]
            templates = tuple(
                torch.where(new, ours, earlier)
                for ours, earlier in zip(templates, self._templates, strict=True)
            )
            state = points.carried(self._known, start=start, step=step)
        else:
            state = points.standing(window)
        self._templates = templates
        (self._known,) = self._net.track_window(
            frames,
            points,
            templates,
            state,
            iters=self._iters,
            arrived=points.frame < start + window,
        )
        tracks, visibility, confidence = by_video(self._known, frames.n_videos)
        return StreamUpdate(start, start + step, tracks, visibility.sigmoid(), confidence.sigmoid())
