"""Events against those of the scene: recall and precision of each kind within WITHIN_S, by clip.

An event is right where a true one of its kind is near in time and shares an entity; each true one
counts once. Asked for is only what the pictures can show: of a thing that was found at all, and of
which around that time at least SHOWN is seen and LEAST_PIXELS, away from the picture's border; a
blow of CLEAR_M_S and harder, with none harder on the same thing within APART_FRAMES; a flight of
LEAST_S; an apex with SIDE_FRAMES of rise before and of fall after it.
What is fainter is right to be said and no mistake to be left out. The baseline says nothing: its
recall is 0 where there is something to find.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from massannot.evaluate.clip_truth import NAN, ClipScore, ClipTruth
from massannot.scenes.true_events import TrueEvent, true_events
from massannot.tables.events import KINDS

Bool = NDArray[np.bool_]

WITHIN_S = 0.2
LEAST_PIXELS = 40
SHOWN = 0.9
CLEAR_M_S = 1.0
APART_FRAMES = 2.5
LEAST_S = 0.4
LEAST_SIDE_S = 0.04
SIDE_FRAMES = 2
SCORED = tuple(kind for kind in KINDS if kind != "violation")
_OF_SIGHT = ("appear", "disappear", "occlude", "leave", "re_enter", "vanish")


@dataclass(frozen=True)
class StatedEvent:
    """A stated event; `entities` are the scene's numbers, -1: none of its things."""

    kind: str
    t_s: float
    entities: tuple[int, ...]
    score: float


@dataclass(frozen=True)
class Counts:
    """Of one kind in one clip."""

    n_clear: int
    """True events that are asked for."""
    n_clear_found: int
    n_stated: int
    n_right: int
    """Of them those that are true, however faint."""


def score_events(clip: ClipTruth) -> list[ClipScore]:
    """Recall and precision of every kind of a clip; NaN where there is nothing to find, or nothing
    was said."""
    truth, clear = clear_events(clip)
    counts = event_counts(truth, clear, list(stated_events(clip.view.table("events"), clip.pairs)))
    scores = []
    for kind, of in counts.items():
        recall = of.n_clear_found / of.n_clear if of.n_clear else NAN
        precision = of.n_right / of.n_stated if of.n_stated else NAN
        scores += [
            ClipScore("events", f"{kind}_recall", recall, 0.0 if of.n_clear else NAN),
            ClipScore("events", f"{kind}_precision", precision),
        ]
    return scores


def stated_events(events: pa.Table, pairs: Iterable[tuple[int, int]]) -> Iterator[StatedEvent]:
    """The rows of the table `events`; `pairs`: (the scene's number, entity)."""
    true_of = {entity: true for true, entity in pairs}
    for row in events.to_pylist():
        who = tuple(true_of.get(entity, -1) for entity in row["entities"])
        yield StatedEvent(
            row["kind"], row["t_s"], who, 1.0 if row["score"] is None else row["score"]
        )


def clear_events(clip: ClipTruth) -> tuple[list[TrueEvent], Bool]:
    """The true events of the annotated time, and which of them are asked for."""
    shape = (clip.scene.n_frames, len(clip.scene.entities))
    seen, within, shown = (np.zeros(shape, np.bool_) for _ in range(3))
    for t, frame in enumerate(clip.answers.scene_frames):
        seen[frame] = clip.present[t]
        for k in range(shape[1]):
            box, alone = clip.answers.box_xyxy(t, k), clip.answers.area_alone(t, k)
            area = np.count_nonzero(clip.answers.mask(t, k))
            within[frame, k] = alone > 0
            shown[frame, k] = (
                box is not None
                and area >= max(LEAST_PIXELS, SHOWN * alone)
                and bool((box[:2] > 0).all() and (box[2:] < [clip.width, clip.height]).all())
            )
    paired = {true for true, _ in clip.pairs}
    truth = true_events(clip.scene, seen, within, least_side_s=LEAST_SIDE_S)
    return truth, clear_of(truth, shown, paired, fps=clip.scene.options.fps)


def clear_of(events: Sequence[TrueEvent], shown: Bool, known: Iterable[int], *, fps: float) -> Bool:
    """Which of the events are asked for. `shown` (T, K): whether entity k is in full view in that
    frame of the scene; `known`: true entities that were found."""
    asked = _Asked(events, shown, frozenset(known), fps)
    return np.array([asked.for_one(event) for event in events], np.bool_)


@dataclass(frozen=True)
class _Asked:
    events: Sequence[TrueEvent]
    shown: Bool
    known: frozenset[int]
    fps: float

    def for_one(self, event: TrueEvent) -> bool:
        if not set(event.entities) & self.known:
            return False
        if event.kind in _OF_SIGHT:
            return True
        if event.blow_m_s is not None and not self._is_a_clear_blow(event):
            return False
        if event.side_s is not None and event.side_s < SIDE_FRAMES / self.fps - 1e-6:
            return False
        until = event.t_s if event.t1_s is None else event.t1_s
        if event.kind == "flight" and until - event.t_s < LEAST_S:
            return False
        first, last = int(event.t_s * self.fps) - 1, int(until * self.fps) + 2
        if event.t1_s is not None:  # a stretch: its inside
            first, last = first + 2, last - 2
        if first < 0 or last >= len(self.shown):
            return False
        return any(self.shown[first : last + 1, k].all() for k in event.entities if k in self.known)

    def _is_a_clear_blow(self, event: TrueEvent) -> bool:
        blow = event.blow_m_s or 0.0
        return blow >= CLEAR_M_S and not any(
            other.kind in ("contact_begin", event.kind)
            and not (event.kind == "contact_end" and other.kind == "contact_begin")
            and set(other.entities) & set(event.entities)
            and 1e-6 < abs(other.t_s - event.t_s) <= APART_FRAMES / self.fps
            and (other.blow_m_s or 0.0) >= blow
            for other in self.events
        )


def event_counts(
    truth: Sequence[TrueEvent], clear: Bool, stated: Sequence[StatedEvent]
) -> Mapping[str, Counts]:
    """By kind."""
    return {kind: _counts(kind, truth, clear, stated) for kind in SCORED}


def _counts(
    kind: str, truth: Sequence[TrueEvent], clear: Bool, stated: Sequence[StatedEvent]
) -> Counts:
    wanted = [(e, bool(c)) for e, c in zip(truth, clear, strict=True) if e.kind == kind]
    said = sorted((f for f in stated if f.kind == kind), key=lambda f: -f.score)
    free = set(range(len(wanted)))
    n_right = 0
    for found in said:
        near = [
            (not wanted[n][1], abs(wanted[n][0].t_s - found.t_s), n)
            for n in free
            if set(wanted[n][0].entities) & set(found.entities)
            and abs(wanted[n][0].t_s - found.t_s) <= WITHIN_S + 1e-6
        ]
        if near:
            free.discard(min(near)[2])
            n_right += 1
    missed = sum(wanted[n][1] for n in free)
    n_clear = sum(is_clear for _, is_clear in wanted)
    return Counts(n_clear, n_clear - missed, len(said), n_right)
