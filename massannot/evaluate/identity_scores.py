"""Identity against truth: does an object keep the entity it was given?

In every frame, true objects and found entities are paired one to one by the greatest total overlap,
without regard to the frames before. A switch is a pairing with another entity than the object's
last one, however long ago; a re-entry is an object that comes back into the picture. Unlike CLEAR
MOT's matching, a pair is not kept because it was a pair before: a flicker is counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.assignment import best_pairs

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]
Indices = NDArray[np.int64]

NOBODY = -1


@dataclass(frozen=True)
class IdentityScores:
    """Counts of one clip; clips add up."""

    n_present: int
    """Pairs of frame and object that is really in the picture."""
    n_paired: int
    """Those that an entity was paired with."""
    n_switches: int
    n_reentries: int
    """Returns of objects that had an entity before they left."""
    n_reentries_kept: int
    """Returns after which the object's first entity is the one it left with."""


def score_identity(
    overlap: F64, present: Bool, *, least_overlap: float = 0.5, least_absence: int = 1
) -> IdentityScores:
    """Scores of a clip from overlaps (T, K, M) of K true objects with M entities, 0 or NaN where
    one of the two is not there, and `present` (T, K), which objects are really in the picture.

    `least_absence` is the number of frames after which a return counts as a re-entry.
    """
    if overlap.ndim != 3 or present.shape != overlap.shape[:2]:
        raise ValueError(
            f"identity: found overlap {overlap.shape} and present {present.shape}, "
            "expected (T, K, M) and (T, K)"
        )
    entity = paired_entities(np.where(present[..., None], overlap, 0.0), least=least_overlap)
    reentries = [
        same
        for of_object, seen in zip(entity.T, present.T)
        for same in _reentries(of_object, seen, least_absence)
    ]
    return IdentityScores(
        n_present=int(present.sum()),
        n_paired=int((entity != NOBODY).sum()),
        n_switches=sum(_switches(of_object) for of_object in entity.T),
        n_reentries=len(reentries),
        n_reentries_kept=sum(reentries),
    )


def idf1(overlap: F64, present: Bool, *, least_overlap: float = 0.5) -> float:
    """IDF1 (Ristani et al. 2016) of K true objects and M found identities over T frames: twice the
    frames in which an object has the one identity that it is given for the whole film, by the
    assignment that makes this largest, over the frames of both. NaN: nothing was there or found.

    `overlap` (T, K, M): NaN where the identity has no mask, else IoU; `present` (T, K).
    """
    right = (np.nan_to_num(overlap) >= least_overlap) & present[..., None]
    together = right.sum(axis=0).astype(np.float64)
    rows, columns = best_pairs(together, least=1.0)
    n_found = int(np.isfinite(overlap).any(axis=1).sum())
    total = int(present.sum()) + n_found
    return float(2 * together[rows, columns].sum() / total) if total else float("nan")


def paired_entities(overlap: F64, *, least: float) -> Indices:
    """The entity (T, K) each object is paired with in each frame, NOBODY (-1) for none."""
    entity = np.full(overlap.shape[:2], NOBODY, np.int64)
    for frame, with_each in enumerate(overlap):
        row, column = best_pairs(with_each, least=least)
        entity[frame, row] = column
    return entity


def _switches(entity: Indices) -> int:
    known = entity[entity != NOBODY]
    return int((known[1:] != known[:-1]).sum())


def _reentries(entity: Indices, present: Bool, least_absence: int) -> list[bool]:
    """For each return of one object: did it get the entity back that it left with?"""
    edges = np.flatnonzero(np.diff(np.r_[False, present, False].astype(np.int8)))
    starts, ends = edges[0::2], edges[1::2]
    same = []
    for left, start, end in zip(ends[:-1], starts[1:], ends[1:]):
        before = entity[:left][entity[:left] != NOBODY]
        after = entity[start:end][entity[start:end] != NOBODY]
        if start - left >= least_absence and before.size:
            same.append(bool(after.size and after[0] == before[-1]))
    return same
