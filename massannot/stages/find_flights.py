"""Free flights of entities, and whether their acceleration is that of gravity: the table `events`.

A flight is a stretch of an entity's path with one steady acceleration; how it is found, without any
knowledge of gravity, says geometry/flight.py. Its path is that of the body's centre, which the
outline gives; where outlines are cut, that of the visible surface, from which nothing is concluded.

Gravity is a check here, not a claim: the length of the acceleration either fits 9.81 m/s2 within
its interval or does not, or nobody can tell. Its direction is written and not judged, for where up
is, one clip does not say; a camera need not be level. A fall played backwards passes, too: a
parabola is the same in both directions of time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from massannot import tables
from massannot.clip import Clip
from massannot.geometry.camera import apply, inverse
from massannot.geometry.flight import FlightOptions, find_flights
from massannot.stages._stage import Stage
from massannot.stages._track_arrays import camera_arrays, numbers, words, world_known

F64 = NDArray[np.float64]

GRAVITY = 9.81
"""Metres a second squared."""


@dataclass(frozen=True)
class FindFlights(Stage):
    """One row per flight."""

    flight: FlightOptions = field(default_factory=FlightOptions)
    least_s: float = 0.3
    """Seconds below which estimated depth gives no useful acceleration: on rendered scenes its
    error is as large as gravity itself."""
    least_acceleration: float = 2.0
    """Metres a second squared below which, where the unit is known, a stretch is no flight:
    friction and rolling give as much."""
    errors: float = 2.4
    """Standard errors of half a 90 % interval: 1.645, and half as much again, as on rendered scenes
    with exact depth, for outlines of tumbling bodies do not follow their centres."""
    widest: float = 0.5
    """Half of the interval, as a share of gravity, above which nothing is concluded: a film at
    three quarters of its speed shows half of gravity."""
    calibrated_only: bool = True
    """Conclude something only where the error of distances comes from clips whose truth is known:
    what a clip itself shows is a lower bound. Off: for depth that is as good as exact."""

    reads: ClassVar[tuple[str, ...]] = (
        "frames",
        "clips",
        "entities",
        "masks",
        "positions",
        "cameras",
    )
    writes: ClassVar[tuple[str, ...]] = ("events",)

    def process(self, clip: Clip) -> Clip:
        """`clip` with its flights; none where the camera moves in an unknown way."""
        spec, positions = tables.spec("events"), clip.table("positions")
        rows: list[dict[str, Any]] = []
        if positions.num_rows and world_known(clip):
            scale_type = positions["scale_type"][0].as_py()
            courses = _Courses.of(clip)
            for entity in courses.entity.tolist():
                rows += self._rows(clip, courses.path(entity), entity, scale_type)
        rows.sort(key=lambda row: (row["t_s"], row["entities"]))
        numbered = [{**row, "clip_id": clip.clip_id, "event": i} for i, row in enumerate(rows)]
        return clip.with_table("events", spec.from_rows(numbered) if rows else spec.empty())

    def _rows(
        self, clip: Clip, path: _Path, entity: int, scale_type: str
    ) -> Iterator[dict[str, Any]]:
        focal_px = float(np.median(camera_arrays(clip)[0][:, 0]))
        t_s = clip.frames.t_s
        for flight in find_flights(
            path.xyz,
            t_s,
            focal_px=focal_px,
            range_rel_sd=path.frame_rel_sd,
            options=self.flight,
        ):
            if scale_type == "metric" and flight.length < self.least_acceleration:
                continue
            t0_s, t1_s = float(t_s[flight.frames[0]]), float(t_s[flight.frames[-1]])
            half = flight.length_half(errors=self.errors, range_rel_sd=path.shared_rel_sd)
            rule = self._rule(path, t1_s - t0_s, half, scale_type)
            fits = abs(flight.length - GRAVITY) <= half
            verdict = "cannot tell"
            if rule == "length":
                verdict = "consistent with gravity" if fits else "not gravity"
            axes = path.world_from_fixed[:3, :3] @ flight.acceleration
            yield {
                "kind": "flight",
                "entities": [entity],
                "t_s": t0_s,
                "t1_s": t1_s,
                "scale_type": scale_type,
                **{f"acceleration_{axis}": axes[i] for i, axis in enumerate("xyz")},
                "acceleration_half_90": half,
                "interval_basis": "internal",
                "verdict": verdict,
                "rule": rule,
            }

    def _rule(self, path: _Path, seconds: float, half: float, scale_type: str) -> str:
        """The ground of a verdict, see tables/events.py."""
        if seconds < self.least_s - 1e-6:
            return "short"
        if not path.of_body:
            return "outline"
        if scale_type != "metric":
            return "unit"
        if half > self.widest * GRAVITY:
            return "wide"
        return "length" if path.calibrated or not self.calibrated_only else "uncalibrated"


@dataclass(frozen=True, eq=False)
class _Path:
    """The places of one entity, in a camera that stands still."""

    xyz: F64
    """(T, 3); NaN: not measured."""
    of_body: bool
    """Of the body's centre, not of the visible surface's."""
    world_from_fixed: F64
    """(4, 4)."""
    frame_rel_sd: float
    """Relative standard deviation along the ray that each frame has for itself; 0: not known."""
    shared_rel_sd: float
    """That which all frames share; 0: not known."""
    calibrated: bool
    """Whether the two come from clips whose truth is known; else they are lower bounds."""


_LEAST_BODY_FRAMES = 5
"""With fewer frames in which the body's centre is known, the visible surface's is taken."""


@dataclass(frozen=True, eq=False)
class _Courses:
    """The measured places of E entities in T frames; NaN: none."""

    entity: NDArray[np.int64]
    """(E,)."""
    surface: F64
    """(E, T, 3) in each frame's camera."""
    body: F64
    """(E, T, 3) likewise; NaN also where something nearer may cover a part of the outline."""
    cam_from_world: F64
    frame_rel_sd: F64
    """(E,) median relative standard deviation along the ray of single frames; 0: not known."""
    shared_rel_sd: F64
    """(E,) that which all frames share; 0: not known."""
    calibrated: bool

    @classmethod
    def of(cls, clip: Clip) -> _Courses:
        entities, positions = clip.table("entities"), clip.table("positions")
        entity = numbers(entities, "entity").astype(np.int64)
        measured = positions.filter(pa.array(words(positions, "state", "measured")))
        shape = (len(entity), len(clip))
        surface = _dense(measured, ("x_cam", "y_cam", "z_cam"), entity, shape)
        body = _dense(measured, ("body_x", "body_y", "body_z"), entity, shape)
        boxes = _dense(clip.table("masks"), ("x0", "y0", "x1", "y1"), entity, shape)
        body[_may_be_covered(boxes, surface[..., 2])] = np.nan
        shared = [numbers(table, "range_rel_sd") for table in (entities, clip.table("clips"))]
        sd = np.sqrt(np.nan_to_num(shared[0]) ** 2 + np.nan_to_num(shared[1]) ** 2)
        own = _dense(measured, ("range_rel_sd",), entity, shape)[..., 0]
        calibrated = bool(words(measured, "interval_basis", "calibrated").all())
        known = [row[np.isfinite(row)] for row in own]
        own_sd = [float(np.median(row)) if len(row) else 0.0 for row in known]
        return cls(entity, surface, body, camera_arrays(clip)[1], np.array(own_sd), sd, calibrated)

    def path(self, entity: int) -> _Path:
        """Of one entity. Unusual: the camera that stands still is that of the middle frame with a
        place, so that depth errs along the rays of a moving one too."""
        (index,) = np.flatnonzero(self.entity == entity)
        of_body = np.isfinite(self.body[index, :, 0]).sum() >= _LEAST_BODY_FRAMES
        in_camera = self.body[index] if of_body else self.surface[index]
        frames = np.flatnonzero(np.isfinite(in_camera[:, 0]))
        middle = self.cam_from_world[frames[len(frames) // 2] if len(frames) else 0]
        xyz = apply(middle, apply(inverse(self.cam_from_world), in_camera))
        errors = float(self.frame_rel_sd[index]), float(self.shared_rel_sd[index])
        return _Path(xyz, bool(of_body), inverse(middle), *errors, self.calibrated)


def _dense(
    rows: pa.Table, names: tuple[str, ...], entity: NDArray[np.int64], shape: tuple[int, int]
) -> F64:
    """(E, T, len(names)) of rows with an entity and a frame; NaN without a row."""
    values = np.full((*shape, len(names)), np.nan)
    index = np.searchsorted(entity, numbers(rows, "entity").astype(np.int64))
    frame = numbers(rows, "frame").astype(np.int64)
    values[index, frame] = np.stack([numbers(rows, name) for name in names], axis=-1)
    return values


def _may_be_covered(boxes: F64, z: F64) -> NDArray[np.bool_]:
    """(E, T) whether the box of another, nearer entity meets the entity's own."""
    low, high = boxes[..., :2], boxes[..., 2:]
    covered = np.zeros(z.shape, np.bool_)
    for other in range(len(z)):
        meet = ((low < high[other]) & (low[other] < high)).all(axis=-1)  # false for NaN
        covered |= meet & (z[other] < z)
    return covered
