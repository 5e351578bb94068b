"""What happens when: events of motion and of being seen, beside the flights (_flights.py).

Masks say when a thing is seen and, with what is in front of it, why it is not; the path of its
centre in a still camera says where it touches something, turns, starts, stops, or does what cannot
be. Where the camera moves in an unknown way, nothing is said about motion.

Down is where things fall: the mean of the accelerations of parabolas that may be falls, none of
which is farther from the camera's own down than HELD; without one it is the camera's, held within
TILTED. So a thing accelerates upward only if it does for every down within that tilt.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from massannot import tables
from massannot.clip import Clip
from massannot.geometry.departures import LIKELY, SURE, Departure, MaskPaths, departures
from massannot.geometry.kinks import PathPart, Run, laws_of, parts_of, runs_of, unlawful_parts
from massannot.geometry.laws import Law
from massannot.geometry.motion_events import (
    Down,
    MotionEvent,
    MotionRules,
    falls,
    motion_events,
)
from massannot.geometry.presence import MaskPath
from massannot.geometry.sight_events import sight_events
from massannot.stages._courses import Course, Courses, single_exact
from massannot.stages._flights import Flights
from massannot.stages._presence import finished_presences, mask_paths
from massannot.stages._stage import Stage
from massannot.stages._track_arrays import Tables, camera_arrays, numbers, world_known

F64 = NDArray[np.float64]
Row = dict[str, Any]

HELD = math.radians(50)
TILTED = math.radians(30)
_KNOWN = math.radians(6)
"""Error of down where things fall, at least; more where few do, or shortly."""
_ERRORS = 2.0
"""Standard errors of the falls' mean for the error of down."""
_CAMERA_DOWN = np.array([0.0, 1.0, 0.0])
_COVERED = 0.2
"""Share of a thing's outline beside something nearer, up to which its centre is the whole's."""
_UNIT_ERROR = 0.5
_DEPTH_ERROR = 0.25
"""Of a thing that is taken to be as far away all the time."""
_TOGETHER_S = 0.13
"""Apart at most, two things' contacts are one between them, if their masks are near."""
_OPPOSED = -0.5
"""Cosine of the angle, at most, between what a contact changes of two things' velocities."""
_NEAR = 0.35
"""Of a thing's extent, between the boxes of two things that touch."""


@dataclass(frozen=True)
class FindEvents(Stage):
    """One row per event, flights included."""

    flights: Flights = field(default_factory=Flights)
    rules: MotionRules = field(default_factory=MotionRules)
    least_score: float = LIKELY
    """Events of a lower score are left out; 0 keeps all, to order clips by how near they come."""
    least_departure: float = SURE
    """The same of what vanishes or is elsewhere at once."""

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
        """`clip` with its events in order of time."""
        return clip.with_table("events", self.events(clip))

    def events(self, clip: Tables) -> pa.Table:
        """The table of a clip that is finished but for them: no model and no picture is needed."""
        masks = mask_paths(clip)
        rows: list[Row] = [*self.flights.rows(clip), *_seen(clip, masks)]
        courses = Courses.of(clip, most_covered=_COVERED)
        gone = _departures(courses, masks, min(self.least_departure, LIKELY))
        rows += (row for row in _gone(clip, gone) if row["score"] >= self.least_departure)
        if clip.table("positions").num_rows and world_known(clip):
            cuts = {
                entity: [one.frame for one in mine if one.score >= LIKELY]
                for entity, mine in gone.items()
            }
            rows += self._moved(clip, courses, cuts, masks)
        rows.sort(key=lambda row: (row["t_s"], row["kind"], row["entities"]))
        clip_id = clip.table("clips")["clip_id"][0].as_py()
        spec = tables.spec("events")
        numbered = [{**row, "clip_id": clip_id, "event": i} for i, row in enumerate(rows)]
        return spec.from_rows(numbered) if rows else spec.empty()

    def _moved(
        self,
        clip: Tables,
        courses: Courses,
        cuts: Mapping[int, list[int]],
        masks: Mapping[int, MaskPath],
    ) -> list[Row]:
        units = _units(clip, courses)
        t_s = numbers(clip.table("frames"), "t_s")
        focal_px = float(np.median(camera_arrays(clip)[0][:, 0]))
        paths = {entity: courses.path(entity) for entity in courses.entity.tolist()}
        exact = dict(zip(paths, single_exact(courses.frame_rel_sd).tolist(), strict=True))
        paths = {e: path if exact[e] else path.at_one_depth() for e, path in paths.items()}

        def runs(entity: int, path: Course) -> list[Run]:
            return runs_of(
                path.xyz,
                t_s,
                focal_px=focal_px,
                range_rel_sd=path.frame_rel_sd,
                cuts=cuts[entity],
                loose=path.loose,
            )

        whole = {entity: runs(entity, path.uncut()) for entity, path in paths.items()}

        def laws(entity: int, down: Down) -> tuple[Law, ...]:
            unit_error = 0.0 if units[entity] == 1.0 else _UNIT_ERROR
            return laws_of(
                down.direction,
                down.tilt,
                unit=units[entity],
                unit_error=max(unit_error, 0.0 if exact[entity] else _DEPTH_ERROR),
            )

        tilted = Down(_CAMERA_DOWN, TILTED)
        parts = {entity: parts_of(whole[entity], laws(entity, tilted)) for entity in paths}
        down_in_world = _down(paths, parts)
        found = {}
        for entity, path in paths.items():
            down = _in_path(down_in_world, path)
            of_path = laws(entity, down)
            sized = None if exact[entity] else courses.path_of_size(entity)
            impossible = self.rules.impossible(
                down, unit=units[entity], flat=not exact[entity] and sized is None
            )
            found[entity] = motion_events(
                parts[entity] if down_in_world is None else parts_of(whole[entity], of_path),
                unlawful_parts(
                    runs(entity, sized or path) if sized or path.is_cut else whole[entity],
                    of_path,
                    impossible,
                    least_s=self.rules.impossible_s,
                ),
                impossible,
                unit=units[entity],
                flat=not exact[entity],
                rules=self.rules,
                least_score=self.least_score,
            )
        turned = {entity: paths[entity].world_from_fixed[:3, :3] for entity in found}
        return list(_rows(clip, found, turned, masks))


def _seen(clip: Tables, masks: Mapping[int, MaskPath]) -> Iterator[Row]:
    t_s = numbers(clip.table("frames"), "t_s")
    for entity, states in finished_presences(clip, masks).items():
        for event in sight_events(masks[entity], states):
            step = float(t_s[event.frame] - t_s[event.frame - 1])
            yield {
                "kind": event.kind,
                "entities": [entity],
                "t_s": float(t_s[event.frame]),
                "t_sd_s": step / math.sqrt(12),
                "rule": event.rule,
                "score": event.score,
            }


def _departures(
    courses: Courses, masks: Mapping[int, MaskPath], least_score: float
) -> dict[int, list[Departure]]:
    entities = courses.entity.tolist()
    paths = MaskPaths([masks[entity] for entity in entities])
    return {
        entity: list(
            departures(
                paths,
                n,
                courses.surface[n],
                size=float(courses.size[n]),
                least_score=least_score,
            )
        )
        for n, entity in enumerate(entities)
    }


def _gone(clip: Tables, gone: Mapping[int, list[Departure]]) -> Iterator[Row]:
    t_s = numbers(clip.table("frames"), "t_s")
    for entity, departed in gone.items():
        for one in departed:
            yield {
                "kind": one.kind,
                "entities": [entity],
                "t_s": float(t_s[one.frame]),
                "t_sd_s": float(t_s[one.frame] - t_s[one.frame - 1]) / math.sqrt(12),
                "rule": "no_cause" if one.kind == "vanish" else "position_jump",
                "score": one.score,
            }


def _units(clip: Tables, courses: Courses) -> dict[int, float]:
    """What a metre is for each entity: in an unknown unit, twice its own size."""
    metric = clip.table("positions")["scale_type"][0].as_py() == "metric"
    sizes = dict(zip(courses.entity.tolist(), courses.size.tolist(), strict=True))
    return {
        entity: 1.0 if metric or not np.isfinite(size) else 2 * size
        for entity, size in sizes.items()
    }


def _down(paths: Mapping[int, Course], parts: Mapping[int, list[PathPart]]) -> Down | None:
    """In the world, where things fall; None: nothing does."""
    total = np.zeros(3)
    for entity, path in paths.items():
        for pull, error in falls(parts[entity]):
            direction = pull / np.linalg.norm(pull)
            if direction @ _CAMERA_DOWN > math.cos(HELD):
                total += path.world_from_fixed[:3, :3] @ direction / error**2
    size = float(np.linalg.norm(total))
    if not size:
        return None
    return Down(total / size, min(max(_KNOWN, _ERRORS / math.sqrt(size)), TILTED))


def _in_path(down_in_world: Down | None, path: Course) -> Down:
    if down_in_world is None:
        return Down(_CAMERA_DOWN, TILTED)
    return replace(
        down_in_world, direction=path.world_from_fixed[:3, :3].T @ down_in_world.direction
    )


def _rows(
    clip: Tables,
    found: Mapping[int, list[MotionEvent]],
    turned: Mapping[int, F64],
    masks: Mapping[int, MaskPath],
) -> Iterator[Row]:
    touching = _Touching(numbers(clip.table("frames"), "t_s"), found, turned, masks)
    for entity, events in found.items():
        for event in events:
            other = touching.other(entity, event) if "contact" in event.kind else None
            if other and other[0] < entity and touching.other(*other) == (entity, event):
                continue  # it is the other one's row
            yield {
                "kind": event.kind,
                "entities": [entity, other[0]] if other else [entity],
                "t_s": event.t_s,
                "t1_s": event.t1_s,
                "t_sd_s": event.t_sd_s,
                "rule": event.rule,
                "score": event.score,
            }


@dataclass(frozen=True)
class _Touching:
    t_s: F64
    found: Mapping[int, list[MotionEvent]]
    turned: Mapping[int, F64]
    """(3, 3) of each entity: the world's axes from its path's."""
    masks: Mapping[int, MaskPath]

    def other(self, entity: int, event: MotionEvent) -> tuple[int, MotionEvent] | None:
        """The thing nearby whose velocity changes nearest in time and the other way, for what two
        things do to one another is opposite, and that event; None: none."""
        frame = int(np.argmin(np.abs(self.t_s - event.t_s)))
        near = [
            (abs(theirs.t_s - event.t_s), other, theirs)
            for other, events in self.found.items()
            if other != entity and self._meet(entity, other, frame)
            for theirs in events
            if theirs.kind == event.kind
            and abs(theirs.t_s - event.t_s) <= _TOGETHER_S
            and self._opposed(entity, event, other, theirs)
        ]
        return min(near, key=lambda item: item[:2])[1:] if near else None

    def _opposed(self, entity: int, event: MotionEvent, other: int, theirs: MotionEvent) -> bool:
        if event.change is None or theirs.change is None:
            return True
        mine, yours = self.turned[entity] @ event.change, self.turned[other] @ theirs.change
        cosine = float(mine @ yours) / max(
            float(np.linalg.norm(mine) * np.linalg.norm(yours)), 1e-9
        )
        return cosine <= _OPPOSED

    def _meet(self, entity: int, other: int, frame: int) -> bool:
        box, theirs = (self.masks[number].box_xyxy[frame] for number in (entity, other))
        gap = np.maximum(theirs[:2] - box[2:], box[:2] - theirs[2:])
        return bool((gap <= _NEAR * (box[2:] - box[:2])).all())  # false for NaN
