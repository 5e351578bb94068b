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
from massannot.stages._track_arrays import camera_arrays, numbers, words

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
    errors: float = 1.645
    """Standard errors of half a 90 % interval."""
    widest: float = 0.5
    """Half of the interval, as a share of gravity, above which nothing is concluded: a film at
    three quarters of its speed shows half of gravity."""

    reads: ClassVar[tuple[str, ...]] = ("frames", "clips", "entities", "positions", "cameras")
    writes: ClassVar[tuple[str, ...]] = ("events",)

    def process(self, clip: Clip) -> Clip:
        """`clip` with its flights; none where the camera moves in an unknown way."""
        spec, positions = tables.spec("events"), clip.table("positions")
        rows: list[dict[str, Any]] = []
        if positions.num_rows and _world_known(clip):
            scale_type = positions["scale_type"][0].as_py()
            for entity in numbers(clip.table("entities"), "entity").astype(np.int64).tolist():
                rows += self._rows(clip, entity, scale_type)
        rows.sort(key=lambda row: (row["t_s"], row["entities"]))
        numbered = [{**row, "clip_id": clip.clip_id, "event": i} for i, row in enumerate(rows)]
        return clip.with_table("events", spec.from_rows(numbered) if rows else spec.empty())

    def _rows(self, clip: Clip, entity: int, scale_type: str) -> Iterator[dict[str, Any]]:
        path = _Path.of(clip, entity)
        if path is None:
            return
        focal_px = float(np.median(camera_arrays(clip)[0][:, 0]))
        t_s = clip.frames.t_s
        for flight in find_flights(path.xyz, t_s, focal_px=focal_px, options=self.flight):
            t0_s, t1_s = float(t_s[flight.frames[0]]), float(t_s[flight.frames[-1]])
            half = flight.length_half(errors=self.errors, range_rel_sd=path.range_rel_sd)
            rule = self._rule(path, t1_s - t0_s, half, scale_type)
            verdict = "cannot tell"
            if rule == "length":
                fits = abs(flight.length - GRAVITY) <= half
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
        return "wide" if half > self.widest * GRAVITY else "length"


@dataclass(frozen=True, eq=False)
class _Path:
    """The places of one entity, in a camera that stands still."""

    xyz: F64
    """(T, 3); NaN: not measured."""
    of_body: bool
    """Of the body's centre, not of the visible surface's."""
    world_from_fixed: F64
    """(4, 4)."""
    range_rel_sd: float
    """Relative standard deviation along the ray that all its positions share; 0: not known."""

    @classmethod
    def of(cls, clip: Clip, entity: int) -> _Path | None:
        """None for an entity without a measured position. Unusual: the camera that stands still is
        that of the middle measured frame, so that depth errs along the rays of a moving one too."""
        positions = clip.table("positions")
        rows = positions.filter(pa.array(numbers(positions, "entity") == entity))
        rows = rows.filter(pa.array(words(rows, "state", "measured")))
        frame = numbers(rows, "frame").astype(np.int64)
        if not len(frame):
            return None
        body, surface = (_xyz(rows, name) for name in ("body_{}", "{}_cam"))
        has_body = np.isfinite(body[:, 0])
        of_body = bool(2 * np.count_nonzero(has_body) >= len(frame))
        in_camera = body if of_body else surface
        cam_from_world = camera_arrays(clip)[1]
        middle = cam_from_world[frame[len(frame) // 2]]
        xyz = np.full((len(clip), 3), np.nan)
        xyz[frame] = apply(middle, apply(inverse(cam_from_world[frame]), in_camera))
        mine = clip.table("entities").filter(
            pa.array(numbers(clip.table("entities"), "entity") == entity)
        )
        shared = [numbers(table, "range_rel_sd")[0] for table in (mine, clip.table("clips"))]
        return cls(xyz, of_body, inverse(middle), float(np.sqrt(np.nansum(np.square(shared)))))


def _xyz(rows: pa.Table, name: str) -> F64:
    return np.stack([numbers(rows, name.format(axis)) for axis in "xyz"], axis=-1)


def _world_known(clip: Clip) -> bool:
    """Whether places of different frames have one frame of reference: the poses are known, or the
    camera stands still."""
    assumed = words(clip.table("cameras"), "pose_origin", "assumed").any()
    return not assumed or clip.table("clips")["camera_static"][0].as_py() is True
