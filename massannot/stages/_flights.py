"""Free flights of entities, and whether their acceleration is that of gravity: rows of `events`.

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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from massannot.geometry.flight import FlightOptions, find_flights
from massannot.stages._courses import Course, Courses
from massannot.stages._track_arrays import Tables, camera_arrays, numbers, world_known

F64 = NDArray[np.float64]

GRAVITY = 9.81
"""Metres a second squared."""


@dataclass(frozen=True)
class Flights:
    """How flights are found and judged."""

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

    def rows(self, clip: Tables) -> Iterator[dict[str, Any]]:
        """One row per flight of a finished clip, without clip and number; none where the camera
        moves in an unknown way."""
        positions = clip.table("positions")
        if positions.num_rows and world_known(clip):
            scale_type = positions["scale_type"][0].as_py()
            courses = Courses.of(clip)
            focal_px = float(np.median(camera_arrays(clip)[0][:, 0]))
            t_s = numbers(clip.table("frames"), "t_s")
            for entity in courses.entity.tolist():
                path = courses.path(entity)
                yield from self._of_path(path, t_s, entity, focal_px, scale_type)

    def _of_path(
        self, path: Course, t_s: F64, entity: int, focal_px: float, scale_type: str
    ) -> Iterator[dict[str, Any]]:
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

    def _rule(self, path: Course, seconds: float, half: float, scale_type: str) -> str:
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
