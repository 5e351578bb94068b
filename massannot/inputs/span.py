"""Span: a stretch of a video that is annotated, and what is wanted of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite

from massannot.clip import Phrase
from massannot.errors import UsageError
from massannot.inputs.question import Question

ORIGINS = ("scene", "entities", "prompt", "caption", "question")
"""Whose phrases come first."""


@dataclass(frozen=True)
class Span:
    """A stretch of a video, in seconds after its first frame. With an end it is one clip; without
    it is cut every `Sampling.clip_s`. Phrases and ids ride along untouched."""

    start_s: float | None = None
    end_s: float | None = None
    phrases: tuple[Phrase, ...] = ()
    source_id: str | None = None
    questions: tuple[Question, ...] = ()

    def __post_init__(self) -> None:
        for time_s in (self.start_s, self.end_s):
            if time_s is not None and not isfinite(time_s):
                raise UsageError(f"span: found {self.start_s} to {self.end_s} s, expected numbers")


def united(spans: Sequence[Span]) -> Span:
    """What is wanted of a clip that several spans turn out to hold: the first span, asked
    everything that any of them asks, as if it had been asked once."""
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
    """By origin, then question. A phrase that differs from an earlier one in case or article alone
    takes the earlier spelling, so that the detector is asked once."""
    ordered = sorted(phrases, key=lambda p: (ORIGINS.index(p.origin), p.question_id or ""))
    spelling: dict[str, str] = {}
    spelt = (replace(p, text=spelling.setdefault(_plain(p.text), p.text)) for p in ordered)
    return tuple(dict.fromkeys(spelt))


def _plain(text: str) -> str:
    words = text.casefold().split()
    return " ".join(words[1:] if len(words) > 1 and words[0] in ("a", "an", "the") else words)
