"""Coverage: how often stated intervals hold the truth, beside the share that they promise.

    position       x, y, z_cam of measured positions against the visible surface's true centre;
                   length: the distance from the camera |p|, whose half-width is that of z scaled to
                   the ray r = p / |p| by the covariance, z_half * sqrt(r' cov r / cov_zz)
    motion         the displacement of a row of motions, by axis; motion_length: |displacement|
    path, speed    the true path of the visible surface's centre between the same frames, and that
                   divided by the time between

Compared are entities that are paired with a true thing whose name was asked for, with a mean J
above LEAST_J, in metres, in frames in which the thing is truly seen. Motions are compared in the
camera's frame where the camera stands still, in the world where it moves with known poses.

Frames of a clip are not independent, and a clip with many things is not more than one clip: a
clip's share is the mean over its rows, the coverage is the mean over clips, its interval the
bootstrap over clips. Rows without an interval are left out and counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from massannot.evaluate.clip_truth import ClipTruth
from massannot.evaluate.position_scores import (
    EntityPositions,
    TrueMotion,
    columns,
    is_still,
    metric_positions,
    surface_centres,
    true_motions,
)
from massannot.geometry.intervals import ConfidenceInterval, mean_over_clips
from massannot.tables._matrices import symmetric_matrices
from massannot.tables._spec import INTERVAL_LEVELS

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

LEAST_J = 0.5
"""Intervals of entities whose mean J is not above this are about another thing."""
LEAST_CLIPS = 100
"""Coverage over fewer clips is reported, not judged."""
BORDER = 0.01
"""Share of the picture's width and height within which a mask's box touches its border."""
STILL_PATH_M = 0.05
"""A thing whose body moves less than this over the clip stands still."""


@dataclass(frozen=True)
class Coverage:
    """Of one number, one subgroup and one nominal level."""

    what: str
    axis: str
    subgroup: str
    nominal: int
    """Per cent."""
    observed: ConfidenceInterval
    """Share of true numbers that lie inside, per cent; NaN: no interval was stated."""
    mean_width: float
    """Mean over clips of the mean width, in the number's unit."""
    unknown_share: float
    """Share of rows without an interval, 0..1, by clip like the rest."""
    n: int
    """Rows with an interval."""

    @property
    def judged(self) -> bool:
        return self.observed.n >= LEAST_CLIPS


@dataclass(frozen=True, eq=False)
class Traits:
    """Properties of N rows of one clip by which subgroups are told apart."""

    distance_m: F64
    """Median true distance of the row's thing."""
    area: F64
    """Median area of the entity's mask, share of the picture."""
    n_points: F64
    """Points measured in the frame; of motions the fewer of both ends'."""
    at_border: Bool
    """The mask touches the picture's border in the frame, of motions at either end."""
    still_thing: Bool
    still_camera: Bool

    @classmethod
    def joined(cls, parts: Sequence[Traits]) -> Traits:
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in _TRAITS})


_TRAITS = tuple(Traits.__dataclass_fields__)


@dataclass(frozen=True, eq=False)
class StatedIntervals:
    """N numbers of one kind in one clip, with their truth and what was stated about them."""

    truth: F64
    """(N,)."""
    low: F64
    """(N, levels) NaN: no interval."""
    high: F64
    traits: Traits


@dataclass(frozen=True, eq=False)
class ClipIntervals:
    """All stated intervals of one clip, by (what, axis)."""

    by_kind: Mapping[tuple[str, str], StatedIntervals]
    distances_m: F64
    """Median true distance of each entity that is compared."""
    areas: F64
    """Median area of its mask, share of the picture."""


@dataclass(frozen=True)
class DatasetMedians:
    """Where subgroups part: distance and area over entities, points over measured positions."""

    distance_m: float
    area: float
    n_points: float


SUBGROUPS: dict[str, Callable[[Traits, DatasetMedians], Bool]] = {
    "all": lambda t, _: np.ones(len(t.area), np.bool_),
    "near": lambda t, m: t.distance_m < m.distance_m,
    "far": lambda t, m: t.distance_m >= m.distance_m,
    "small": lambda t, m: t.area < m.area,
    "large": lambda t, m: t.area >= m.area,
    "border": lambda t, _: t.at_border,
    "still_camera": lambda t, _: t.still_camera,
    "moving_camera": lambda t, _: ~t.still_camera,
    "still_thing": lambda t, _: t.still_thing,
    "moving_thing": lambda t, _: ~t.still_thing,
    "few_points": lambda t, m: t.n_points <= m.n_points,
    "many_points": lambda t, m: t.n_points > m.n_points,
}

KINDS = (
    *(("position", axis) for axis in ("x", "y", "z", "length")),
    *(("motion", axis) for axis in "xyz"),
    ("motion_length", "length"),
    ("path", "length"),
    ("speed", "length"),
)


def coverage_over_clips(
    clips: Sequence[ClipIntervals], *, seed: int, subgroups: Collection[str] = tuple(SUBGROUPS)
) -> list[Coverage]:
    """Every kind, subgroup and level of which there are rows, in a fixed order."""
    medians = _medians(clips)
    lines = []
    for kind in KINDS:
        stated = [clip.by_kind[kind] for clip in clips if kind in clip.by_kind]
        for subgroup in subgroups:
            rows = [(s, SUBGROUPS[subgroup](s.traits, medians)) for s in stated]
            rows = [(s, where) for s, where in rows if where.any()]
            for level, nominal in enumerate(INTERVAL_LEVELS):
                if rows:
                    lines.append(_coverage(rows, level, (*kind, subgroup, nominal), seed=seed))
    return lines


def _coverage(
    rows: Iterable[tuple[StatedIntervals, Bool]],
    level: int,
    names: tuple[str, str, str, int],
    *,
    seed: int,
) -> Coverage:
    held, width, unknown, n = [], [], [], 0
    for stated, where in rows:
        low, high, truth = stated.low[where, level], stated.high[where, level], stated.truth[where]
        known = np.isfinite(low) & np.isfinite(high)
        unknown.append(1 - known.mean())
        n += int(known.sum())
        if known.any():
            inside = (low <= truth) & (truth <= high)
            held.append(100 * inside[known].mean())
            width.append((high - low)[known].mean())
    return Coverage(
        *names,
        observed=mean_over_clips(held, seed=seed),
        mean_width=float(np.mean(width)) if width else math.nan,
        unknown_share=float(np.mean(unknown)),
        n=n,
    )


def _medians(clips: Sequence[ClipIntervals]) -> DatasetMedians:
    points = [
        clip.by_kind["position", "x"].traits.n_points
        for clip in clips
        if ("position", "x") in clip.by_kind
    ]
    return DatasetMedians(
        distance_m=_median(np.concatenate([clip.distances_m for clip in clips])),
        area=_median(np.concatenate([clip.areas for clip in clips])),
        n_points=_median(np.concatenate(points)) if points else math.nan,
    )


def clip_intervals(clip: ClipTruth) -> ClipIntervals:
    """The stated intervals of one clip, each beside the truth."""
    compared = {
        true: _Thing.of(clip, true, positions)
        for true, positions in metric_positions(clip)
        if clip.requested_js.get(true, 0.0) > LEAST_J
    }
    parts: dict[tuple[str, str], list[StatedIntervals]] = {}
    for thing in compared.values():
        for axis, stated in thing.stated_positions().items():
            parts.setdefault(("position", axis), []).append(stated)
    for motion in true_motions(clip.whole):
        if motion.true in compared and motion.is_comparable(clip):
            traits = compared[motion.true].traits_of_ends(motion)
            for kind, (truth, bounds) in _stated_motion(motion).items():
                low, high = bounds[:1], bounds[1:]
                stated = StatedIntervals(np.array([truth]), low, high, traits)
                parts.setdefault(kind, []).append(stated)
    return ClipIntervals(
        by_kind={kind: _joined(stated) for kind, stated in parts.items()},
        distances_m=np.array([thing.distance_m for thing in compared.values()]),
        areas=np.array([thing.area for thing in compared.values()]),
    )


def _joined(parts: Sequence[StatedIntervals]) -> StatedIntervals:
    return StatedIntervals(
        truth=np.concatenate([p.truth for p in parts]),
        low=np.concatenate([p.low for p in parts]),
        high=np.concatenate([p.high for p in parts]),
        traits=Traits.joined([p.traits for p in parts]),
    )


@dataclass(frozen=True, eq=False)
class _Thing:
    """One entity beside its true thing, frame by frame."""

    positions: EntityPositions
    truth: F64
    """(T, 3) the visible surface's centre."""
    n_points: F64
    """(T,)."""
    at_border: Bool
    """(T,)."""
    distance_m: float
    area: float
    still_thing: bool
    still_camera: bool

    @classmethod
    def of(cls, clip: ClipTruth, true: int, positions: EntityPositions) -> _Thing:
        truth = surface_centres(clip, true)
        masks = clip.view.table("masks")
        masks = masks.filter(pa.array(masks["entity"].to_numpy() == positions.entity))
        area = masks["area"].to_numpy()
        at_border = np.zeros(clip.n_frames, np.bool_)
        at_border[masks["frame"].to_numpy()] = _touches_border(
            masks, width=clip.width, height=clip.height
        )
        body = clip.scene.motion.position[list(clip.answers.scene_frames), true]
        return cls(
            positions=positions,
            truth=truth,
            n_points=positions.table["n_points"].to_numpy().astype(np.float64),
            at_border=at_border,
            distance_m=_median(np.linalg.norm(truth, axis=1)),
            area=_median(area[area > 0] / (clip.width * clip.height)),
            still_thing=float(np.linalg.norm(np.diff(body, axis=0), axis=1).sum()) < STILL_PATH_M,
            still_camera=is_still(clip),
        )

    def stated_positions(self) -> dict[str, StatedIntervals]:
        """By axis, over the frames that are measured and truly seen."""
        frames = np.flatnonzero(self.positions.measured & np.isfinite(self.truth[:, 0]))
        if len(frames) == 0:
            return {}
        xyz, truth = self.positions.xyz[frames], self.truth[frames]
        rows, traits = self.positions.table.take(frames), self.traits(frames)
        half = {
            axis: columns(rows, *(f"{axis}_half_{q}" for q in INTERVAL_LEVELS)) for axis in "xyz"
        }
        stated = {
            axis: _around(xyz[:, i], half[axis], truth[:, i], traits)
            for i, axis in enumerate("xyz")
        }
        distance, true_distance = (np.linalg.norm(p, axis=1) for p in (xyz, truth))
        along_ray = half["z"] * _ray_from_z(xyz, symmetric_matrices(rows["cov"], size=3))[:, None]
        return {**stated, "length": _around(distance, along_ray, true_distance, traits)}

    def traits(self, frames: npt.NDArray[np.int64]) -> Traits:
        return self._traits(self.n_points[frames], self.at_border[frames])

    def traits_of_ends(self, motion: TrueMotion) -> Traits:
        ends = np.minimum([motion.first, motion.last], len(self.n_points) - 1)
        fewest, cut = self.n_points[ends].min(), self.at_border[ends].any()
        return self._traits(np.array([fewest]), np.array([cut]))

    def _traits(self, n_points: F64, at_border: Bool) -> Traits:
        n = len(n_points)
        return Traits(
            distance_m=np.full(n, self.distance_m),
            area=np.full(n, self.area),
            n_points=n_points,
            at_border=at_border,
            still_thing=np.full(n, self.still_thing),
            still_camera=np.full(n, self.still_camera),
        )


def _stated_motion(motion: TrueMotion) -> dict[tuple[str, str], tuple[float, F64]]:
    """By kind the truth and (2, levels) the lower and upper bounds."""
    row = motion.row
    seconds = row["t1_s"] - row["t0_s"]
    stated: dict[tuple[str, str], tuple[float, F64]] = {}
    for i, axis in enumerate("xyz"):
        half = np.array([_number(row[f"motion_{axis}_half_{q}"]) for q in INTERVAL_LEVELS])
        centre = row[f"motion_{axis}"]
        stated["motion", axis] = (motion.displacement[i], np.stack([centre - half, centre + half]))
    truths = {
        ("motion_length", "length"): ("length", float(np.linalg.norm(motion.displacement))),
        ("path", "length"): ("path", motion.path),
        ("speed", "length"): ("speed", motion.path / seconds),
    }
    for kind, (name, truth) in truths.items():
        bounds = [[row[f"{name}_{end}_{q}"] for q in INTERVAL_LEVELS] for end in ("low", "high")]
        stated[kind] = (truth, np.array([[_number(b) for b in side] for side in bounds]))
    return stated


def _around(centre: F64, half: F64, truth: F64, traits: Traits) -> StatedIntervals:
    return StatedIntervals(truth, centre[:, None] - half, centre[:, None] + half, traits)


def _ray_from_z(xyz: F64, covariance: F64) -> F64:
    """(N,) standard deviation along the ray over that along z; NaN without a covariance."""
    ray = xyz / np.linalg.norm(xyz, axis=1, keepdims=True)
    along = np.einsum("ni,nij,nj->n", ray, covariance, ray)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(along / covariance[:, 2, 2]))


def _touches_border(masks: pa.Table, *, width: int, height: int) -> Bool:
    """By row; masks are drawn at the models' smaller size, so near is enough."""
    x0, y0, x1, y1 = (masks[name].to_numpy() for name in ("x0", "y0", "x1", "y1"))
    with np.errstate(invalid="ignore"):
        across = (x0 <= BORDER * width) | (x1 >= (1 - BORDER) * width)
        return np.asarray(across | (y0 <= BORDER * height) | (y1 >= (1 - BORDER) * height))


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _median(values: F64) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else math.nan
