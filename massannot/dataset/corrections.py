"""What people put right in a run's clips: boxes, points, outlines and names that a retry
takes as given.

A decision about rows that have changed since counts nowhere: its fixes name entities that may be
others by now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from massannot.dataset.layout import Layout
from massannot.dataset.reading import ClipView, Dataset
from massannot.dataset.reviews_of_run import Decision, all_decisions, hash_of_rows, standing


@dataclass(frozen=True)
class Correction:
    """What all reviewers together put right in one clip."""

    clip_id: str
    why: str
    """Whose decisions, by reviewer and number."""
    fixes: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Corrections:
    usable: tuple[Correction, ...]
    stale: tuple[str, ...]
    """Clips whose rows have changed since: somebody has to look again."""


def corrections_of(
    decisions: Sequence[Decision], view: Callable[[str], ClipView | None]
) -> Corrections:
    """The corrections among decisions. `view`: a clip as it stands, None for one that is gone."""
    with_fixes: dict[str, list[Decision]] = {}
    for decision in standing(decisions):
        if decision.kind == "clip" and decision.fixes:
            with_fixes.setdefault(decision.clip_id, []).append(decision)
    usable, stale = [], []
    for clip_id, decided in sorted(with_fixes.items()):
        found = view(clip_id)
        now = None if found is None else hash_of_rows(found)
        decided = [d for d in decided if d.rows_hash == now]
        if decided:
            why = "corrected: " + ", ".join(f"{d.reviewer} {d.number}" for d in decided)
            fixes = tuple(fix for d in decided for fix in d.fixes)
            usable.append(Correction(clip_id, why, fixes))
        else:
            stale.append(clip_id)
    return Corrections(tuple(usable), tuple(stale))


def corrected_shards(layout: Layout) -> tuple[Mapping[str, tuple[str, ...]], Corrections]:
    """The corrections of a run, and the clips to be done again by their shard."""
    dataset = Dataset(layout)
    decisions = all_decisions(layout)
    if not decisions or not dataset.names:
        return {}, Corrections((), ())
    known = set(dataset.clip_ids)
    found = corrections_of(decisions, lambda c: dataset.clip(c) if c in known else None)
    return _by_shard(dataset, (c.clip_id for c in found.usable)), found


def _by_shard(dataset: Dataset, clip_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    shards: dict[str, tuple[str, ...]] = {}
    for clip_id in clip_ids:
        shard = dataset.shard_of(clip_id)
        shards[shard] = (*shards.get(shard, ()), clip_id)
    return shards
