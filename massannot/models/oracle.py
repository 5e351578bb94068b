"""Oracles: every protocol answered from the scene that was rendered, and from nothing else.

They isolate stages (an error is then the stage's own) and, made wrong on purpose by a known amount,
show that the amount arrives in the tables. `scenes` is the folder that `massannot
scenes render` wrote; the clip is recognised by its video id. Lengths are pixels of the Frames.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from massannot.clip import DepthKind, DepthMaps, Frames
from massannot.models.protocols import (
    F32,
    F64,
    Bool,
    Cameras,
    Detections,
    FrameMasks,
    ModelCard,
    PointTracks,
    holds,
    point_of,
)
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.true_answers import Answers
from massannot.scenes.world import SCENE_VERSION

_ARTICLES = {"a", "an", "the"}
_SAME_OBJECT_IOU = 0.1


@dataclass
class _Oracle:
    """The fields of every oracle: the folder of scenes; a seed for the errors that it is set to
    make."""

    job: ClassVar[str]
    scenes: str
    seed: int = field(default=0, kw_only=True)
    _library: SceneLibrary | None = field(default=None, init=False, repr=False, compare=False)

    def setup(self, *, device: str) -> None:
        """Read the folder's index. Raises UsageError when there is none."""
        self._library = SceneLibrary(self.scenes)
        _ = self._library.records

    def destroy(self) -> None:
        self._library = None

    def card(self) -> ModelCard:
        """A card named after the job: a summary says which jobs the truth did."""
        return ModelCard(name=f"oracle_{self.job}", revision=f"scenes {SCENE_VERSION}")

    def _answers(self, frames: Frames) -> Answers:
        if self._library is None:
            raise RuntimeError("oracle: setup() was not called")
        library = self._library
        return frames.once(
            ("oracle", self.scenes), lambda: Answers.of(library.scene(frames.video_id), frames)
        )

    def _rng(self, frames: Frames, *path: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, int(frames.video_id[:12], 16), *path])


@dataclass
class OracleDetector(_Oracle):
    """Boxes of the visible parts of entities; a phrase names all that have its colour and shape."""

    job: ClassVar[str] = "detect"
    min_area_px: int = 16
    """Visible pixels from which on a thing is found."""
    shift_x_px: float = 0.0
    shift_y_px: float = 0.0
    jitter_px: float = 0.0
    """Standard deviation of every edge."""
    duplicates: int = 0
    """Further boxes for each thing, one pixel larger each, with falling score."""
    missed_share: float = 0.0
    """Boxes left out, at random."""
    missed_frames: tuple[int, ...] = ()
    """Frames in which nothing is found."""
    false_names: bool = False
    """Answer with the things of the same colour or the same shape where none fits."""

    def detect(self, frames: Frames, *, at: Sequence[int], phrases: Sequence[str]) -> Detections:
        """See protocols.PhraseDetector."""
        answers = self._answers(frames)
        rows: list[tuple[int, int, F64, float]] = []
        for frame in at:
            if frame in self.missed_frames:
                continue
            for number, phrase in enumerate(phrases):
                rng = self._rng(frames, frame, number)
                for entity in self._meant(answers, phrase):
                    rows += self._boxes(answers, frame, number, entity, rng)
        return Detections(
            np.array([row[0] for row in rows], np.int32),
            np.array([row[1] for row in rows], np.int32),
            np.array([row[2] for row in rows], np.float32).reshape(-1, 4),
            np.array([row[3] for row in rows], np.float32),
        )

    def _meant(self, answers: Answers, phrase: str) -> list[int]:
        words = set(re.findall(r"[a-z]+", phrase.lower())) - _ARTICLES
        names = [{e.colour, e.shape_name} for e in answers.scene.entities]
        exact = [i for i, name in enumerate(names) if words and words <= name]
        if exact or not self.false_names:
            return exact
        return [i for i, name in enumerate(names) if words & name]

    def _boxes(
        self, answers: Answers, frame: int, phrase: int, entity: int, rng: np.random.Generator
    ) -> list[tuple[int, int, F64, float]]:
        box = answers.box_xyxy(frame, entity)
        missed = rng.random() < self.missed_share
        if box is None or missed or answers.mask(frame, entity).sum() < self.min_area_px:
            return []
        box = box + np.array([self.shift_x_px, self.shift_y_px] * 2)
        rows = []
        for copy in range(self.duplicates + 1):
            grown = box + copy * np.array([-1, -1, 1, 1]) + self.jitter_px * rng.standard_normal(4)
            rows.append((frame, phrase, grown, 1.0 / (1 + 0.05 * copy)))
        return rows


@dataclass
class OracleMasks(_Oracle):
    """Exact masks; an object is the entity that a prompt overlaps most."""

    job: ClassVar[str] = "masks"
    shift_x_px: int = 0
    shift_y_px: int = 0
    lost_frames: tuple[int, ...] = ()
    """Frames in which every object seems to have left."""

    def session(self, frames: Frames) -> OracleSession:
        """See protocols.MaskPropagator."""
        return OracleSession(
            self._answers(frames), (self.shift_x_px, self.shift_y_px), self.lost_frames
        )


@dataclass
class OracleSession:
    """See protocols.MaskSession. `objects`: each one's entity; None: prompted on nothing."""

    answers: Answers
    shift_xy_px: tuple[int, int]
    lost_frames: tuple[int, ...]
    objects: dict[int, int | None] = field(default_factory=dict)

    def add_box(self, object_id: int, *, frame: int, box_xyxy: F32) -> Bool:
        overlaps = []
        point = point_of(box_xyxy)
        for entity in range(len(self.answers.scene.entities)):
            if point is not None:
                overlaps.append(float(holds(self.answers.mask(frame, entity), point)))
                continue
            box = self.answers.box_xyxy(frame, entity)
            overlaps.append(0.0 if box is None else _box_iou(box, np.asarray(box_xyxy, float)))
        self.objects[object_id] = _most(overlaps)
        return self._mask(frame, object_id)[0]

    def add_mask(self, object_id: int, *, frame: int, mask: Bool) -> None:
        overlaps = []
        for entity in range(len(self.answers.scene.entities)):
            seen = self.answers.mask(frame, entity)
            union = np.count_nonzero(seen | mask)
            overlaps.append(np.count_nonzero(seen & mask) / union if union else 0.0)
        self.objects[object_id] = _most(overlaps)

    def remove(self, object_id: int) -> None:
        self.objects.pop(object_id, None)

    def propagate(
        self, *, first: int, end: int, objects: Sequence[int] | None = None
    ) -> Iterator[FrameMasks]:
        wanted = list(self.objects) if objects is None else list(objects)
        for frame in range(first, end, 1 if end >= first else -1):
            pairs = [self._mask(frame, object_id) for object_id in wanted]
            size = (self.answers.height, self.answers.width)
            masks = np.array([mask for mask, _ in pairs], bool).reshape(-1, *size)
            score = np.array([score for _, score in pairs], np.float32)
            yield FrameMasks(frame, np.array(wanted, np.int32), masks, score)

    def _mask(self, frame: int, object_id: int) -> tuple[Bool, float]:
        entity = self.objects[object_id]
        if entity is None or frame in self.lost_frames:
            return np.zeros((self.answers.height, self.answers.width), bool), 0.0
        mask = _shifted(self.answers.mask(frame, entity), *self.shift_xy_px)
        return mask, float(self.answers.in_picture(frame, entity))


@dataclass
class OracleTracker(_Oracle):
    """Exact tracks of the surface points under the queries."""

    job: ClassVar[str] = "tracks"
    shift_x_px: float = 0.0
    shift_y_px: float = 0.0
    jitter_px: float = 0.0
    """Standard deviation of every coordinate in every frame."""
    always_visible: bool = False

    def track(self, frames: Frames, *, queries_txy: F64) -> PointTracks:
        """See protocols.PointTracker. Behind the camera a point stays where it was last."""
        answers = self._answers(frames)
        exact = answers.tracks(queries_txy)
        xy = _held(exact.xy) + np.array([self.shift_x_px, self.shift_y_px])
        if self.jitter_px:
            queries = np.ascontiguousarray(queries_txy, np.float64)
            rng = self._rng(frames, zlib.crc32(queries.tobytes()))
            xy += self.jitter_px * rng.standard_normal(xy.shape)
        visible = exact.visible | self.always_visible
        sure = visible.astype(np.float32)
        return PointTracks(
            xy.astype(np.float32),
            visible,
            sure,
            np.ones_like(sure),
            np.zeros_like(sure),
            given=True,
        )


@dataclass
class OracleDepth(_Oracle):
    """Exact depth, times `factor`, plus `offset_m`."""

    job: ClassVar[str] = "depth"
    factor: float = 1.0
    offset_m: float = 0.0
    flicker: float = 0.0
    """Standard deviation of the logarithm of one more factor per frame."""
    height: int = 0
    """Of the maps; 0: the working size."""
    width: int = 0
    kind: DepthKind = "metric"
    """affine: inverse depth, with the frame's factor and an offset of its own."""

    def estimate_depth(self, frames: Frames, *, focal_px: float | None = None) -> DepthMaps:
        """See protocols.DepthEstimator."""
        answers = self._answers(frames)
        size = (self.height or frames.height, self.width or frames.width)
        maps = np.empty((len(frames), *size), np.float32)
        for frame in range(len(frames)):
            exact = answers.depth_m(frame, height=size[0], width=size[1])
            noise = self._rng(frames, answers.scene_frames[frame]).standard_normal(2)
            factor = np.float32(self.factor * np.exp(self.flicker * noise[0]))
            if self.kind == "affine":
                maps[frame] = factor / exact + np.float32(0.1 + 0.02 * noise[1])
            else:
                maps[frame] = factor * exact + np.float32(self.offset_m)
        return DepthMaps(maps, self.kind)


@dataclass
class OracleCameras(_Oracle):
    """Exact intrinsics and poses."""

    job: ClassVar[str] = "cameras"
    focal_factor: float = 1.0

    def estimate_cameras(self, frames: Frames) -> Cameras:
        """See protocols.CameraEstimator."""
        answers = self._answers(frames)
        intrinsics = np.tile(answers.intrinsics(), (len(frames), 1))
        intrinsics[:, :2] *= self.focal_factor
        return Cameras(intrinsics, answers.cam_from_world(), "given", "given")


def _most(overlaps: list[float]) -> int | None:
    best = int(np.argmax(overlaps)) if overlaps else -1
    return best if best >= 0 and overlaps[best] > _SAME_OBJECT_IOU else None


def _box_iou(a: F64, b: F64) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    common = float(np.prod(np.maximum(high - low, 0)))
    union = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - common
    return common / union if union > 0 else 0.0


def _shifted(mask: Bool, dx: int, dy: int) -> Bool:
    """The mask moved right and down; parts that leave the picture are gone."""
    moved = np.zeros_like(mask)
    height, width = mask.shape
    source = mask[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
    moved[max(0, dy) : height - max(0, -dy), max(0, dx) : width - max(0, -dx)] = source
    return moved


def _held(xy: F64) -> F64:
    """xy (T, N, 2) without NaN: the last known place, before the first one the first."""
    held = xy.copy()
    for step in (range(1, len(xy)), range(len(xy) - 2, -1, -1)):
        for t in step:
            before = t - 1 if step.step > 0 else t + 1
            held[t] = np.where(np.isnan(held[t]), held[before], held[t])
    return held
