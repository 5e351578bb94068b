"""Boxes and points that a person typed, as a PhraseDetector: `--box 2.4s:100,80,140,120` and
`--point 2.4s:120,95` for one video.

Each names a time, in seconds from the video's first frame, and x0,y0,x1,y1 or x,y in source pixels
as the video is shown; before an @ stands the phrase that it answers, where several were asked for.
It belongs to the annotated frame nearest to its time, at most half a frame away, and the propagator
follows it from there both ways. What none names is not looked for. A point is a box without extent,
see protocols.MaskSession.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from massannot.clip import Frames
from massannot.errors import UsageError
from massannot.models.protocols import Detections, ModelCard

BETWEEN = ";"
_NUMBER = r"\d+(?:\.\d+)?"
_PROMPT = re.compile(
    rf"\s*(?:(?P<phrase>[^@]+)@)?\s*(?P<time>{_NUMBER})s:(?P<where>{_NUMBER}(?:,{_NUMBER})*)\s*"
)
_EXAMPLES = {
    "--box": "SECONDSs:X0,Y0,X1,Y1 such as 2.4s:100,80,140,120, or PHRASE@2.4s:100,80,140,120",
    "--point": "SECONDSs:X,Y such as 2.4s:120,95, or PHRASE@2.4s:120,95",
}


@dataclass(frozen=True)
class TypedPrompt:
    """One box or point; `phrase` None: of the only phrase."""

    phrase: str | None
    t_s: float
    xyxy: tuple[float, float, float, float]
    """Of a point: x, y twice."""


def typed_prompt(text: str, *, flag: str) -> TypedPrompt:
    """The box (flag --box) or point (--point) that a person typed. Raises UsageError."""
    read = _PROMPT.fullmatch(text)
    where = [float(number) for number in read["where"].split(",")] if read else []
    if read is None or len(where) != (4 if flag == "--box" else 2):
        raise UsageError(f"{flag} {text}: expected {_EXAMPLES[flag]}")
    x0, y0, x1, y1 = where if flag == "--box" else where * 2
    if flag == "--box" and (x1 <= x0 or y1 <= y0):
        raise UsageError(f"--box {text}: found an empty box, expected X0 < X1 and Y0 < Y1")
    phrase = read["phrase"]
    return TypedPrompt(phrase.strip() if phrase else None, float(read["time"]), (x0, y0, x1, y1))


def check_phrases(texts: Sequence[str], phrases: Sequence[str], *, flag: str) -> None:
    """Raise UsageError for what answers none of several phrases, or one that is not asked."""
    for text in texts:
        named = typed_prompt(text, flag=flag).phrase
        if phrases and named not in phrases and not (named is None and len(phrases) == 1):
            raise UsageError(
                f"{flag} {text}: found {named or 'no phrase'}, expected one of {list(phrases)} and "
                "an @ before the time"
            )


@dataclass(frozen=True)
class PromptsByHand:
    """`boxes` and `points`: as they were typed, with a semicolon between."""

    boxes: str = ""
    points: str = ""

    def setup(self, *, device: str) -> None:
        """Raises UsageError for what cannot be read."""
        self._typed()

    def destroy(self) -> None:
        """Nothing is held."""

    def card(self) -> ModelCard:
        given = BETWEEN.join(text for text in (self.boxes, self.points) if text)
        return ModelCard("prompts_by_hand", note=f"boxes and points given by hand: {given}")

    def frames_named(self, frames: Frames) -> Sequence[int]:
        """See protocols.GivenBoxes."""
        named = {_frame_at(box.t_s, frames.t_s) for box in self._typed()}
        return sorted(frame for frame in named if frame is not None)

    def detect(self, frames: Frames, *, at: Sequence[int], phrases: Sequence[str]) -> Detections:
        """See protocols.PhraseDetector. What names no phrase answers for the first one.
        What lies outside the picture is left to be rejected there."""
        rows = []
        for box in self._typed():
            frame = _frame_at(box.t_s, frames.t_s)
            phrase = phrases[0] if box.phrase is None else box.phrase
            if frame in at and phrase in phrases:
                rows.append((frame, phrases.index(phrase), box.xyxy))
        rows.sort()
        working = np.array([row[2] for row in rows], np.float64).reshape(-1, 4)
        working /= np.tile(frames.source_from_working, 2)
        working = np.clip(working, 0, [frames.width, frames.height] * 2)
        return Detections(
            frame=np.array([row[0] for row in rows], np.int32),
            phrase=np.array([row[1] for row in rows], np.int32),
            boxes_xyxy=working,
            score=np.ones(len(rows), np.float32),
        )

    def outside(self, clips_s: Sequence[NDArray[np.float64]]) -> list[float]:
        """The times typed that belong to no frame of any clip; `clips_s`: each clip's frames, in
        seconds."""
        times = {box.t_s for box in self._typed()}
        return sorted(t for t in times if all(_frame_at(t, s) is None for s in clips_s))

    def _typed(self) -> list[TypedPrompt]:
        return [
            typed_prompt(text, flag=flag)
            for flag, texts in (("--box", self.boxes), ("--point", self.points))
            for text in texts.split(BETWEEN)
            if text.strip()
        ]


def _frame_at(t_s: float, frames_s: NDArray[np.float64]) -> int | None:
    """The annotated frame nearest to a time; None: the clip has none within half a frame."""
    apart = np.abs(frames_s - t_s)
    nearest = int(apart.argmin())
    step = float(np.median(np.diff(frames_s))) if len(frames_s) > 1 else 0.1
    return nearest if apart[nearest] <= 0.5 * step + 1e-9 else None
