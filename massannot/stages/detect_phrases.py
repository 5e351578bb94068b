"""Boxes of every phrase in the key frames (`detections`), and the phrases themselves (`phrases`).

Key frames are 0, 32, 64, .. and the last frame. So each sub-segment of the motion profile starts
with a detection, and nothing that enters before the end goes unseen; the price is one picture more.
All key frames go to the detector in one call. A detector whose boxes were given (a file) is asked
in every frame that it names, and no limit drops any of them; a given box without extent is a point
within the picture, and gets the box of its mask when that is known.

Boxes that a model finds end at black bars; those that lie within one are rejected as empty.

Unusual: the detections written here are undecided (neither `entity` nor `rejected` is set) except
those beyond the limit a phrase; `propagate_masks` decides. A text asked for twice, by two
questions, is detected once, for the first of its phrases. Phrases that are added to those of an
earlier run (`--reuse`) leave the detections of these as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from massannot import tables
from massannot.clip import Clip, Frames
from massannot.errors import BadModelOutput
from massannot.geometry.camera import clipped_xyxy
from massannot.models.protocols import (
    I32,
    Bool,
    ContextDetector,
    Detections,
    GivenBoxes,
    PhraseDetector,
)
from massannot.stages._stage import Stage
from massannot.stages._track_arrays import with_columns


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
        texts = list(dict.fromkeys(phrase.text for phrase in clip.phrases))
        clip = clip.with_table("phrases", _phrases_table(clip, {}))
        if not texts or not len(clip):
            return clip.with_table("detections", tables.spec("detections").empty())
        given = isinstance(self.detector, GivenBoxes)
        at = key_frames(len(clip), every=self.key_every)
        if isinstance(self.detector, GivenBoxes):
            at = tuple(self.detector.frames_named(clip.frames))
        detections = self.detector.detect(clip.frames, at=at, phrases=texts)
        _check(detections, at=at, n_phrases=len(texts), model=self.detector.card().name)
        return clip.with_table(
            "detections", self._detections_table(clip, detections, texts, given=given)
        )

    def adds_to(self, phrases: pa.Table, clip: Clip) -> bool:
        """Whether `process_added` has something to do: `clip` has the texts of the table `phrases`
        and others, and the detector reads them together."""
        earlier, wanted = set(phrases["text"].to_pylist()), {p.text for p in clip.phrases}
        return isinstance(self.detector, ContextDetector) and bool(earlier) and earlier < wanted

    def process_added(self, clip: Clip, *, phrases: pa.Table, detections: pa.Table) -> Clip:
        """`clip` with the detections that were found for the table `phrases`, as they are, and
        those of its other phrases, which are asked behind them. Raises BadModelOutput."""
        detector = self.detector
        assert isinstance(detector, ContextDetector)
        rounds = {row["text"]: row["added"] for row in phrases.to_pylist()}
        earlier = sorted(rounds, key=lambda text: rounds[text] or 0)  # stable: as they stood
        added = list(dict.fromkeys(p.text for p in clip.phrases if p.text not in rounds))
        at = key_frames(len(clip), every=self.key_every)
        found = detector.detect_added(clip.frames, at=at, phrases=added, earlier=earlier)
        _check(found, at=at, n_phrases=len(added), model=self.detector.card().name)
        text_of = dict(zip(phrases["phrase"].to_pylist(), phrases["text"].to_pylist(), strict=True))
        first_with = [phrase.text for phrase in clip.phrases].index
        moved = [first_with(text_of[n]) for n in detections["phrase"].to_pylist()]
        kept = with_columns(detections, phrase=moved)
        new = self._detections_table(clip, found, added, given=False)
        rounds |= dict.fromkeys(added, 1 + max(n or 0 for n in rounds.values()))
        clip = clip.with_table("phrases", _phrases_table(clip, rounds))
        every = self._undecided(clip, pa.concat_tables([kept, new]), given=False)
        return clip.with_table("detections", every)

    def _detections_table(
        self,
        clip: Clip,
        detections: Detections,
        texts: Sequence[str],
        *,
        given: bool,
    ) -> pa.Table:
        """Rows of detections whose phrase is a number of `texts`: of the first with that text."""
        frames = clip.frames
        first_with_text = [[p.text for p in clip.phrases].index(text) for text in texts]
        boxes = clipped_xyxy(detections.boxes_xyxy, width=frames.width, height=frames.height)
        if frames.has_bars and not given:
            x0, y0, x1, y1 = frames.working_area
            boxes = np.clip(boxes, [x0, y0, x0, y0], [x1, y1, x1, y1])
        boxes = (boxes * np.tile(frames.source_from_working, 2)).astype(np.float32)
        phrase = np.asarray(first_with_text, np.int32)[detections.phrase]
        n_rows = len(boxes)
        tracks = [None] * n_rows
        if detections.track is not None:
            tracks = [None if n < 0 else n for n in detections.track.tolist()]
        found = tables.spec("detections").from_columns(
            {
                "clip_id": [clip.clip_id] * n_rows,
                "detection": np.arange(n_rows, dtype=np.int32),
                "frame": detections.frame,
                "phrase": phrase,
                **{name: boxes[:, i] for i, name in enumerate(_BOX)},
                "score": detections.score,
                "origin": ["given" if given else "found"] * n_rows,
                "track": tracks,
            }
        )
        return self._undecided(clip, found, given=given)

    def _undecided(self, clip: Clip, detections: pa.Table, *, given: bool) -> pa.Table:
        """Rows in order and numbered, without an entity, rejected where that is known now."""
        frame, phrase = (detections[name].to_numpy() for name in ("frame", "phrase"))
        boxes = np.stack([detections[name].to_numpy() for name in _BOX], axis=-1)
        order = np.lexsort((*boxes.T[::-1], -detections["score"].to_numpy(), phrase, frame))
        rejected = np.full(len(order), None, object)
        rejected[np.any(boxes[order, 2:] <= boxes[order, :2], axis=1)] = "empty_mask"
        if given:
            rejected[_is_point(boxes[order], clip.frames)] = None
        else:
            over = _rank(frame[order], phrase[order]) >= self.max_per_phrase
            rejected[over] = "over_phrase_limit"
        return with_columns(
            detections.take(order),
            detection=range(len(order)),
            entity=[None] * len(order),
            rejected=list(rejected),
        )


def _is_point(boxes_xyxy: NDArray[np.float32], frames: Frames) -> Bool:
    """(D,) whether a box (D, 4) in source pixels has no extent, and lies within the picture: what a
    person drew beyond it ends as a box without extent on its border."""
    size = (frames.source_width, frames.source_height)
    first, last = boxes_xyxy[:, :2], boxes_xyxy[:, 2:]
    return np.asarray(((first == last) & (first > 0) & (first < size)).all(axis=1))


def key_frames(n_frames: int, *, every: int) -> tuple[int, ...]:
    """0, every, 2 * every, .. and the last frame, each once."""
    return tuple(sorted({*range(0, n_frames, every), n_frames - 1})) if n_frames else ()


_BOX = ("x0", "y0", "x1", "y1")


def _phrases_table(clip: Clip, added: Mapping[str, int | None]) -> pa.Table:
    """The clip's phrases, with no entity yet; `added`: see the table, by text."""
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
            "added": added.get(phrase.text),
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
