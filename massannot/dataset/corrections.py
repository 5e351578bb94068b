"""What people put right in a run's clips: boxes, points, masks, names and removals that a retry
takes as given.

A decision about rows that have changed since counts nowhere: its fixes name entities that may be
others by now. Where several people decided about one thing in one frame, or about its name, the
latest decision counts. What several of them found missing is several things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from massannot.dataset.layout import Layout
from massannot.dataset.reading import ClipView, Dataset
from massannot.dataset.reviews_of_run import Decision, all_decisions, hash_of_rows, standing
from massannot.tables.reviews import Fix


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
            usable.append(Correction(clip_id, why, tuple(_fixes_of_all(decided))))
        else:
            stale.append(clip_id)
    return Corrections(tuple(usable), tuple(stale))


def _fixes_of_all(decided: Sequence[Decision]) -> Iterator[Fix]:
    """The fixes of several people, of which later ones take the places of earlier ones."""
    in_time = sorted(decided, key=lambda d: (d.when, d.reviewer, d.number))
    all_fixes = [(d, fix) for d, fixes in _with_own_numbers(in_time) for fix in fixes]
    last = {_subject(d, fix): d for d, fix in all_fixes}
    last_about = {fix["entity"]: d for d, fix in all_fixes}
    removed = {
        fix["entity"]: d
        for d, fix in all_fixes
        if fix["kind"] == "remove" and last_about[fix["entity"]] is d
    }
    for d, fix in all_fixes:
        stays = (fix["entity"] in removed) == (fix["kind"] == "remove")
        if stays and last[_subject(d, fix)] is d:
            yield fix


def _with_own_numbers(decided: Sequence[Decision]) -> Iterator[tuple[Decision, list[Fix]]]:
    """The fixes of each decision; things below 0, which were missing, are each decision's own."""
    n_before = 0
    for d in decided:
        new = sorted({e for fix in d.fixes if (e := fix["entity"]) is not None and e < 0})
        own = {e: -1 - n_before - n for n, e in enumerate(reversed(new))}
        n_before += len(new)
        yield d, [{**fix, "entity": own.get(fix["entity"], fix["entity"])} for fix in d.fixes]


def _subject(decision: Decision, fix: Fix) -> tuple[Any, ...]:
    """What a fix is about; a point, and what was missing, is nobody else's."""
    if fix["kind"] == "point" or fix["entity"] is None:
        return fix["kind"], decision.review
    if fix["kind"] in ("name", "remove"):
        return fix["kind"], fix["entity"]
    return "place", fix["entity"], fix["frame"]


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
