"""Two datasets of the same videos: where they disagree, clip by clip, the worst first.

Without a truth this is how to choose between two profiles, and where to look: what they disagree on
is wrong in one of them, though both may be wrong alike. Entities of one phrase are paired one to
one by their masks' greatest total overlap; what has no partner counts in full. Clips are compared
where both datasets have them, at the same frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from massannot.counts import counted
from massannot.dataset.reading import ClipView, Dataset, Tracks
from massannot.errors import UsageError
from massannot.geometry import rle
from massannot.geometry.assignment import best_pairs

F64 = NDArray[np.float64]
Pairs = dict[int, int]
"""Entity of the first dataset to that of the second."""

LEAST_J = 0.1
"""Overlap, over the frames in which either has a mask, below which two entities are strangers."""
SAME_POINT = 0.01
"""Share of the picture's diagonal within which two points, chosen in the same frame, are one."""
HALF = {"tracks": 0.005, "depth": 0.1, "motions": 0.05}
"""The difference that counts as half of the worst: of the picture's diagonal, of the logarithm of
depth, of the distance from the camera."""


@dataclass(frozen=True)
class ClipDisagreement:
    """One clip; None: neither alike nor different, since one of the two says nothing about it."""

    clip_id: str
    uri: str
    n_entities: tuple[int, int]
    n_paired: int
    entities: float | None
    """Share of both datasets' entities without a partner."""
    masks: float | None
    """1 - J, mean over pairs; an entity without a partner counts as 1."""
    tracks: float | None
    """Median distance to which the same points part, of the picture's diagonal."""
    depth_ratio: float | None
    """Of the second dataset's depth to the first's, median over pairs and frames."""
    depth: float | None
    """Median of the ratio's absolute logarithm; where a depth has no unit, after the median."""
    motions: float | None
    """Median difference of two motions in a segment, of the distance from the camera."""

    @property
    def score(self) -> float:
        """0 (alike) to 1: the mean of the parts that are known, see HALF."""
        parts = [self.entities, self.masks]
        for name, half in HALF.items():
            value = getattr(self, name)
            parts.append(None if value is None else value / (value + half))
        known = [part for part in parts if part is not None]
        return float(np.mean(known)) if known else 0.0


def disagreements(first: Dataset, second: Dataset) -> list[ClipDisagreement]:
    """Every clip that both have, the worst first. Raises UsageError where they have none."""
    known = set(second.clip_ids)
    common = [clip_id for clip_id in first.clip_ids if clip_id in known]
    if not common:
        raise UsageError(
            f"{first.layout.out} and {second.layout.out}: found no clip of both among "
            f"{len(first.clip_ids)} and {len(second.clip_ids)}; expected the same videos, cut and "
            "sampled alike (--fps, --clip-seconds)"
        )
    found = [compared(first.clip(clip_id), second.clip(clip_id)) for clip_id in common]
    return sorted(found, key=lambda clip: (-clip.score, clip.uri, clip.clip_id))


def compared(one: ClipView, two: ClipView) -> ClipDisagreement:
    """Two annotations of one clip. Raises UsageError where their frames differ."""
    times = [view.table("frames")["pts"].to_pylist() for view in (one, two)]
    if times[0] != times[1]:
        raise UsageError(
            f"clip {one.clip_id}: found {len(times[0])} and {counted(len(times[1]), 'frame')} "
            "at other times, expected the same; annotate both with equal --fps"
        )
    pairs, overlaps = _paired(one, two)
    n_entities = one.table("entities").num_rows, two.table("entities").num_rows
    n_all = sum(n_entities) - len(pairs)
    log_ratios = _log_depth_ratios(one, two, pairs)
    typical = float(np.median(log_ratios)) if len(log_ratios) else None
    unitless = {one.positions().scale_type, two.positions().scale_type} != {"metric"}
    shift = typical if unitless and typical is not None else 0.0
    return ClipDisagreement(
        clip_id=one.clip_id,
        uri=one.row["uri"],
        n_entities=n_entities,
        n_paired=len(pairs),
        entities=1 - 2 * len(pairs) / sum(n_entities) if n_all else None,
        masks=1 - sum(overlaps) / n_all if n_all else None,
        tracks=_median(_partings(one, two, pairs)),
        depth_ratio=None if typical is None else math.exp(typical),
        depth=_median(np.abs(log_ratios - shift)),
        motions=_median(_motion_differences(one, two, pairs)),
    )


def _paired(one: ClipView, two: ClipView) -> tuple[Pairs, list[float]]:
    """Partners, and the J of each pair."""
    mine, others = _masks(one), _masks(two)
    if not mine or not others:
        return {}, []
    texts = [_texts(view) for view in (one, two)]
    overlap = np.array(
        [
            [_overlap(a, b) if texts[0][i] == texts[1][j] else 0.0 for j, b in others.items()]
            for i, a in mine.items()
        ]
    )
    rows, columns = best_pairs(overlap, least=LEAST_J)
    names = list(mine), list(others)
    pairs = {names[0][row]: names[1][column] for row, column in zip(rows, columns, strict=True)}
    return pairs, overlap[rows, columns].tolist()


def _texts(view: ClipView) -> dict[int, str]:
    """By entity, the phrase that it answers."""
    phrases, found = view.table("phrases"), view.table("entities")
    of = dict(zip(phrases["phrase"].to_pylist(), phrases["text"].to_pylist(), strict=True))
    named = zip(found["entity"].to_pylist(), found["phrase"].to_pylist(), strict=True)
    return {entity: of[phrase] for entity, phrase in named}


def _masks(view: ClipView) -> dict[int, dict[int, str]]:
    """By entity and frame, the run lengths of what is seen."""
    found: dict[int, dict[int, str]] = {n: {} for n in view.table("entities")["entity"].to_pylist()}
    for row in view.table("masks").select(["entity", "frame", "area", "counts"]).to_pylist():
        if row["area"]:
            found[row["entity"]][row["frame"]] = row["counts"]
    return found


def _overlap(a: dict[int, str], b: dict[int, str]) -> float:
    """J, mean over the frames in which either is seen."""
    both = a.keys() & b.keys()
    if not both:
        return 0.0
    shared = [rle.intersection_area(a[t], b[t]) / rle.union_area(a[t], b[t]) for t in both]
    return float(sum(shared) / len(a.keys() | b.keys()))


def _partings(one: ClipView, two: ClipView, pairs: Pairs) -> F64:
    """How far the same point is apart in the two, at the median over the frames in which both see
    it, of the picture's diagonal: one number a point, of the background's points too."""
    row = one.row
    diagonal = math.hypot(row["source_width"], row["source_height"])
    a, b = one.tracks(), two.tracks()
    found = []
    for i, j in _same_points(a, b, pairs | {-1: -1}, within=SAME_POINT * diagonal):
        start = a.query_frame[i]
        ways = [t.xy[:, n] - t.xy[start, n] for t, n in ((a, i), (b, j))]
        seen = a.visible[:, i] & b.visible[:, j]
        seen[start] = False
        if seen.any():
            apart = np.linalg.norm(ways[0][seen] - ways[1][seen], axis=1)
            found.append(float(np.median(apart)) / diagonal)
    return np.array(found)


def _same_points(a: Tracks, b: Tracks, pairs: Pairs, *, within: float) -> Iterator[tuple[int, int]]:
    """Numbers of points that were chosen in the same frame and place on the same thing."""
    for entity, partner in pairs.items():
        mine, others = np.flatnonzero(a.entity == entity), np.flatnonzero(b.entity == partner)
        for i in mine:
            start = a.query_frame[i]
            there = others[b.query_frame[others] == start]
            if len(there):
                far = np.linalg.norm(b.xy[start, there] - a.xy[start, i], axis=1)
                if far.min() <= within:
                    yield int(i), int(there[far.argmin()])


def _log_depth_ratios(one: ClipView, two: ClipView, pairs: Pairs) -> F64:
    """Of the second depth to the first, where both measured a pair."""
    a, b = one.positions(), two.positions()
    found = [np.zeros(0)]
    for entity, partner in pairs.items():
        mine, others = np.flatnonzero(a.entity == entity), np.flatnonzero(b.entity == partner)
        if len(mine) and len(others):
            at = (a.state[:, mine[0]] == "measured") & (b.state[:, others[0]] == "measured")
            z = [p.xyz_cam[at, n[0], 2].astype(np.float64) for p, n in ((a, mine), (b, others))]
            found.append(np.log(z[1] / z[0]))
    ratios = np.concatenate(found)
    return ratios[np.isfinite(ratios)]


def _motion_differences(one: ClipView, two: ClipView, pairs: Pairs) -> F64:
    """Between the motions of a pair in a segment, of its distance; frames of reference apart."""
    rows = [_motions(view.table("motions")) for view in (one, two)]
    found = []
    for (entity, *rest), (motion, distance) in rows[0].items():
        other = rows[1].get((pairs.get(entity, -1), *rest))
        if other is not None:
            apart = np.linalg.norm(motion - other[0])
            found.append(float(apart / np.sqrt(distance * other[1])))
    return np.array(found)


def _motions(table: pa.Table) -> dict[tuple[Any, ...], tuple[F64, float]]:
    """By entity, segment and reference: the motion and the distance from the origin."""
    found = {}
    for row in table.to_pylist():
        first = math.hypot(*(row[f"first_{axis}"] for axis in "xyz"))
        motion = np.array([row[f"motion_{axis}"] for axis in "xyz"])
        found[row["entity"], row["segment"], row["reference"]] = motion, max(first, 1e-6)
    return found


def _median(values: F64) -> float | None:
    return float(np.median(values)) if len(values) else None


def as_json(clips: Sequence[ClipDisagreement]) -> list[dict[str, Any]]:
    return [{"score": clip.score, **asdict(clip)} for clip in clips]


def as_text(clips: Sequence[ClipDisagreement], *, shown: int) -> str:
    """The worst clips as a table, and the medians over all."""
    heads = ("score", "entities", "paired", "1 - J", "tracks %", "depth x", "motions %", "clip")
    lines = ["  ".join(f"{head:>9}" for head in heads)]
    for clip in clips[:shown]:
        lines.append(
            "  ".join(
                f"{text:>9}"
                for text in (
                    f"{clip.score:.2f}",
                    f"{clip.n_entities[0]}, {clip.n_entities[1]}",
                    str(clip.n_paired),
                    _number(clip.masks),
                    _number(clip.tracks, 100),
                    _number(clip.depth_ratio),
                    _number(clip.motions, 100),
                )
            )
            + f"  {clip.uri} ({clip.clip_id[:12]})"
        )
    scores = np.array([clip.score for clip in clips])
    lines.append(
        f"{counted(len(clips), 'clip')}; score 0 alike, 1 worst: median "
        f"{np.median(scores):.2f}, {np.count_nonzero(scores > 0.5)} above 0.5"
    )
    return "\n".join(lines)


def _number(value: float | None, factor: float = 1) -> str:
    return "-" if value is None else f"{value * factor:.2f}"
