"""Boxes that a person typed, as a PhraseDetector: `--box 2.4s:100,80,140,120` for one video.

Each names a time, in seconds from the video's first frame, and x0,y0,x1,y1 in source pixels as the
video is shown; before an @ stands the phrase that it answers, where several were asked for. A box
belongs to the annotated frame nearest to its time, at most half a frame away, and the propagator
follows it from there both ways. What no box names is not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from massannot.clip import Frames
from massannot.errors import UsageError
from massannot.models.protocols import Detections, ModelCard

BETWEEN = ";"
_NUMBER = r"\d+(?:\.\d+)?"
_BOX = re.compile(
    rf"\s*(?:(?P<phrase>[^@]+)@)?\s*(?P<time>{_NUMBER})s:(?P<xyxy>{_NUMBER}(?:,{_NUMBER}){{3}})\s*"
)


@dataclass(frozen=True)
class TypedBox:
    """One box; `phrase` None: of the only phrase."""

    phrase: str | None
    t_s: float
    xyxy: tuple[float, float, float, float]


def typed_box(text: str) -> TypedBox:
    """The box that a person typed. Raises UsageError."""
    read = _BOX.fullmatch(text)
    if read is None:
        raise UsageError(
            f"--box {text}: expected SECONDSs:X0,Y0,X1,Y1 such as 2.4s:100,80,140,120, or "
            "PHRASE@2.4s:100,80,140,120"
        )
    x0, y0, x1, y1 = map(float, read["xyxy"].split(","))
    if x1 <= x0 or y1 <= y0:
        raise UsageError(f"--box {text}: found an empty box, expected X0 < X1 and Y0 < Y1")
    phrase = read["phrase"]
    return TypedBox(phrase.strip() if phrase else None, float(read["time"]), (x0, y0, x1, y1))


def check_phrases(boxes: Sequence[str], phrases: Sequence[str]) -> None:
    """Raise UsageError for a box that answers none of several phrases, or one that is not asked."""
    for text in boxes:
        named = typed_box(text).phrase
        if phrases and named not in phrases and not (named is None and len(phrases) == 1):
            raise UsageError(
                f"--box {text}: found {named or 'no phrase'}, expected one of {list(phrases)} and "
                "an @ before the time"
            )


@dataclass(frozen=True)
class BoxesByHand:
    """`boxes`: as they were typed, with a semicolon between."""

    boxes: str = ""

    def setup(self, *, device: str) -> None:
        """Raises UsageError for a box that cannot be read."""
        self._typed()

    def destroy(self) -> None:
        """Nothing is held."""

    def card(self) -> ModelCard:
        return ModelCard("boxes_by_hand", note=f"boxes given by hand: {self.boxes}")

    def frames_named(self, frames: Frames) -> Sequence[int]:
        """See protocols.GivenBoxes."""
        named = {_frame_at(box.t_s, frames) for box in self._typed()}
        return sorted(frame for frame in named if frame is not None)

    def detect(self, frames: Frames, *, at: Sequence[int], phrases: Sequence[str]) -> Detections:
        """See protocols.PhraseDetector. A box that names no phrase answers for the first one."""
        rows = []
        for box in self._typed():
            frame = _frame_at(box.t_s, frames)
            phrase = phrases[0] if box.phrase is None else box.phrase
            if frame in at and phrase in phrases:
                rows.append((frame, phrases.index(phrase), box.xyxy))
        rows.sort()
        working = np.array([row[2] for row in rows], np.float64).reshape(-1, 4)
        working /= np.tile(frames.source_from_working, 2)
        working = np.clip(working, 0, [frames.width, frames.height] * 2)
        seen = (working[:, 2:] > working[:, :2]).all(axis=1)
        return Detections(
            frame=np.array([row[0] for row in rows], np.int32)[seen],
            phrase=np.array([row[1] for row in rows], np.int32)[seen],
            boxes_xyxy=working[seen],
            score=np.ones(int(seen.sum()), np.float32),
        )

    def _typed(self) -> list[TypedBox]:
        return [typed_box(text) for text in self.boxes.split(BETWEEN) if text.strip()]


def _frame_at(t_s: float, frames: Frames) -> int | None:
    """The annotated frame nearest to a time; None: the clip has none within half a frame."""
    apart = np.abs(frames.t_s - t_s)
    nearest = int(apart.argmin())
    step = float(np.median(np.diff(frames.t_s))) if len(frames) > 1 else 0.1
    return nearest if apart[nearest] <= 0.5 * step + 1e-9 else None
