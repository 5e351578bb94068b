"""Boxes of every phrase in the key frames (`detections`), and the phrases themselves (`phrases`).

Key frames are 0, 32, 64, .. and the last frame. So each sub-segment of the motion profile starts
with a detection, and nothing that enters before the end goes unseen; the price is one picture more.
All key frames go to the detector in one call. A detector whose boxes were given (a file) is asked
in every frame that it names, and no limit drops any of them.

Unusual: the detections written here are undecided (neither `entity` nor `rejected` is set) except
those beyond the limit a phrase; `propagate_masks` decides. A text asked for twice, by two
questions, is detected once, for the first of its phrases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from massannot import tables
from massannot.clip import Clip
from massannot.errors import BadModelOutput
from massannot.geometry.camera import clipped_xyxy
from massannot.models.protocols import I32, Bool, Detections, GivenBoxes, PhraseDetector
from massannot.stages._stage import Stage


@dataclass(frozen=True)
class DetectPhrases(Stage):
    """Asks `detector` for the clip's phrases in every `key_every`-th frame."""

    detector: PhraseDetector
    key_every: int = 32
    """Frames from one key frame to the next: a sub-segment of the motion profile."""
    max_per_phrase: int = 10
    """Boxes kept for a phrase in one frame, best first; the others are recorded as rejected."""

    reads: ClassVar[tuple[str, ...]] = ("frames",)
    writes: ClassVar[tuple[str, ...]] = ("phrases", "detections")
    uses_phrases: ClassVar[bool] = True

    def process(self, clip: Clip) -> Clip:
        """`clip` with `phrases` and `detections`. Raises BadModelOutput."""
        clip = clip.with_table("phrases", _phrases_table(clip))
        texts = list(dict.fromkeys(phrase.text for phrase in clip.phrases))
        if not texts or not len(clip):
            return clip.with_table("detections", tables.spec("detections").empty())
        given = isinstance(self.detector, GivenBoxes)
        at = key_frames(len(clip), every=self.key_every)
        if isinstance(self.detector, GivenBoxes):
            at = tuple(self.detector.frames_named(clip.frames))
        detections = self.detector.detect(clip.frames, at=at, phrases=texts)
        _check(detections, at=at, n_phrases=len(texts), model=self.detector.card().name)
        first_with_text = [[p.text for p in clip.phrases].index(text) for text in texts]
        return clip.with_table(
            "detections", self._detections_table(clip, detections, first_with_text, given=given)
        )

    def _detections_table(
        self,
        clip: Clip,
        detections: Detections,
        first_with_text: Sequence[int],
        *,
        given: bool,
    ) -> pa.Table:
        frames = clip.frames
        boxes = clipped_xyxy(detections.boxes_xyxy, width=frames.width, height=frames.height)
        boxes = (boxes * np.tile(frames.source_from_working, 2)).astype(np.float32)
        phrase = np.asarray(first_with_text, np.int32)[detections.phrase]
        order = np.lexsort((*boxes.T[::-1], -detections.score, phrase, detections.frame))
        frame, phrase, boxes = detections.frame[order], phrase[order], boxes[order]
        rejected = np.full(len(order), None, object)
        rejected[np.any(boxes[:, 2:] <= boxes[:, :2], axis=1)] = "empty_mask"
        if not given:
            rejected[_rank(frame, phrase) >= self.max_per_phrase] = "over_phrase_limit"
        tracks = [None] * len(order)
        if detections.track is not None:
            tracks = [None if n < 0 else n for n in detections.track[order].tolist()]
        return tables.spec("detections").from_columns(
            {
                "clip_id": [clip.clip_id] * len(order),
                "detection": np.arange(len(order), dtype=np.int32),
                "frame": frame,
                "phrase": phrase,
                **{name: boxes[:, i] for i, name in enumerate(("x0", "y0", "x1", "y1"))},
                "score": detections.score[order],
                "rejected": list(rejected),
                "origin": ["given" if given else "found"] * len(order),
                "track": tracks,
            }
        )


def key_frames(n_frames: int, *, every: int) -> tuple[int, ...]:
    """0, every, 2 * every, .. and the last frame, each once."""
    return tuple(sorted({*range(0, n_frames, every), n_frames - 1})) if n_frames else ()


def _phrases_table(clip: Clip) -> pa.Table:
    """The clip's phrases, with no entity yet."""
    rows = [
        {
            "clip_id": clip.clip_id,
            "phrase": number,
            "text": phrase.text,
            "origin": phrase.origin,
            "question_id": phrase.question_id,
            "char_start": phrase.char_start,
            "char_end": phrase.char_end,
            "n_entities": 0,
        }
        for number, phrase in enumerate(clip.phrases)
    ]
    spec = tables.spec("phrases")
    return spec.from_rows(rows) if rows else spec.empty()


def _rank(*groups: I32) -> NDArray[np.int64]:
    """0, 1, 2, .. within each run of rows with equal `groups`."""
    n_rows = len(groups[0])
    starts: Bool = np.ones(n_rows, np.bool_)
    if n_rows > 1:
        starts[1:] = np.any([group[1:] != group[:-1] for group in groups], axis=0)
    first = np.maximum.accumulate(np.where(starts, np.arange(n_rows), 0))
    return np.arange(n_rows) - first


def _check(detections: Detections, *, at: Sequence[int], n_phrases: int, model: str) -> None:
    """Refuse an answer that breaks the contract of PhraseDetector."""
    n = len(detections.frame)
    shapes = [
        np.shape(a)
        for a in (detections.frame, detections.phrase, detections.boxes_xyxy, detections.score)
    ]
    if shapes != [(n,), (n,), (n, 4), (n,)]:
        raise BadModelOutput(f"detector {model}: found {shapes}, expected (D,), (D,), (D, 4), (D,)")
    if not np.isfinite(detections.boxes_xyxy).all() or not np.isfinite(detections.score).all():
        raise BadModelOutput(f"detector {model}: a box or score is NaN or infinite")
    if not np.isin(detections.frame, at).all():
        frame = detections.frame[~np.isin(detections.frame, at)][0]
        raise BadModelOutput(f"detector {model}: a box in frame {frame}, asked for {list(at)}")
    if n and not 0 <= detections.phrase.min() <= detections.phrase.max() < n_phrases:
        raise BadModelOutput(
            f"detector {model}: phrases {detections.phrase.min()}..{detections.phrase.max()}, "
            f"expected 0..{n_phrases - 1}"
        )
    if detections.track is not None and np.shape(detections.track) != (n,):
        found = np.shape(detections.track)
        raise BadModelOutput(f"detector {model}: tracks {found}, expected ({n},)")
    if n and not 0 <= detections.score.min() <= detections.score.max() <= 1:
        raise BadModelOutput(
            f"detector {model}: scores {detections.score.min()}..{detections.score.max()}, "
            "expected 0..1"
        )
