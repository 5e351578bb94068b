"""Span: a stretch of a video that is annotated, with the phrases and questions about it.

VideoSource: the file, its spans, and the state in which it was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite

from massannot.clip import Phrase
from massannot.errors import UsageError
from massannot.inputs.question import Question

ORIGINS = ("scene", "entities", "prompt", "caption", "question")
"""The order of a clip's phrases, by origin."""


@dataclass(frozen=True)
class Span:
    """A stretch of a video, in seconds after its first frame. With an end it is one clip; without,
    it is cut every `Sampling.clip_s`. Both are cut where a shot ends, unless Sampling.shots is
    None."""

    start_s: float | None = None
    end_s: float | None = None
    phrases: tuple[Phrase, ...] = ()
    source_id: str | None = None
    questions: tuple[Question, ...] = ()

    def __post_init__(self) -> None:
        for time_s in (self.start_s, self.end_s):
            if time_s is not None and not isfinite(time_s):
                raise UsageError(f"span: found {self.start_s} to {self.end_s} s, expected numbers")


@dataclass(frozen=True, slots=True)
class VideoSource:
    """A video to read. No `spans`: the whole video, with nothing to look for."""

    uri: str
    spans: tuple[Span, ...] = ()
    source_id: str | None = None
    """The user's own id of it."""
    size_bytes: int | None = None
    """Of the file when it was seen; None: nobody looked, or it was not there."""
    mtime_ns: int | None = None
    license: str | None = None
    etag: str | None = None
    """The store's tag of the state that was seen, where it is no local file."""
    source_kind: str | None = None
    """real, generated or rendered, as the manifest states it."""
    generator: str | None = None
    """What made it, where no camera did."""


def united(spans: Sequence[Span]) -> Span:
    """Merge spans that turned out to be the same clip: the first span, with the phrases and
    questions of all."""
    first, *others = spans
    if not others:
        return first
    questions = {question.question_id: question for span in spans for question in span.questions}
    ids = {span.source_id for span in spans} - {None}
    return replace(
        first,
        phrases=in_order(phrase for span in spans for phrase in span.phrases),
        questions=tuple(questions[question_id] for question_id in sorted(questions)),
        source_id=ids.pop() if len(ids) == 1 else None,
    )


def in_order(phrases: Iterable[Phrase]) -> tuple[Phrase, ...]:
    """Phrases sorted by origin, then question. One that differs from an earlier phrase in case or
    article alone takes the earlier spelling, so that the detector sees it once."""
    ordered = sorted(phrases, key=lambda p: (ORIGINS.index(p.origin), p.question_id or ""))
    spelling: dict[str, str] = {}
    spelt = (replace(p, text=spelling.setdefault(_plain(p.text), p.text)) for p in ordered)
    return tuple(dict.fromkeys(spelt))


def _plain(text: str) -> str:
    words = text.casefold().split()
    return " ".join(words[1:] if len(words) > 1 and words[0] in ("a", "an", "the") else words)
