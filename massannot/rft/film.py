"""A film of a question's clips, and which of its frames a reader takes.

It has a constant rate, because readers take a frame's time to be its number over the rate, also
where the video's own rate varies: each tick shows the annotated frame nearest to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from massannot.rft.asked import Shot, evenly


@dataclass(frozen=True)
class Film:
    places: tuple[int, ...]
    """Of the span's frames, which one each tick shows."""
    shots: tuple[Shot, ...]
    """Those frames."""
    fps: Fraction
    start_s: float
    """Of the first tick, in the video's own time; in the film it is 0."""

    @classmethod
    def of(cls, span: Sequence[Shot]) -> Film:
        """All annotated frames of a question's clips, of which there are at least two, at their
        mean rate."""
        start_s, end_s = span[0].t_s, span[-1].t_s
        fps = Fraction((len(span) - 1) / (end_s - start_s)).limit_denominator(1001)
        places: list[int] = []
        for n in range(len(span)):
            tick, nearest = start_s + float(n / fps), places[-1] if places else 0
            while nearest + 1 < len(span) and (
                abs(span[nearest + 1].t_s - tick) <= abs(span[nearest].t_s - tick)
            ):
                nearest += 1
            places.append(nearest)
        return cls(tuple(places), tuple(span[place] for place in places), fps, start_s)

    @property
    def clip_ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(shot.clip_id for shot in self.shots))

    def ticks(self, n: int) -> list[int]:
        """Those that Qwen's reader takes when it is asked for n frames; it takes even numbers."""
        return evenly(len(self.shots), min(n, len(self.shots)) // 2 * 2)

    def t_s(self, tick: int) -> float:
        """In the video's own time."""
        return self.start_s + float(tick / self.fps)
