"""How often the answers of `questions ask` are right, by family: against the simulation.

`python -m tools.measure_questions DATASET SCENES [--margin 2] [--show]`: DATASET is annotated, or
the scenes' own truth tables; SCENES is the folder of `scenes render`. The truth is computed here
from the bodies' centres of mass, by code that shares nothing with the programs. A thing that is not
in the scene makes an answer wrong. Numbers are right within 25 %, intervals that overlap by half.
`predicted` is the share that ought to be right by the stated sigmas, also at `--margin 0`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from massannot.dataset.reading import open_dataset
from massannot.questions.ask import program as p
from massannot.questions.ask.ask_dataset import Asking, found_candidates
from massannot.questions.ask.cited_rows import DatasetRows
from massannot.questions.ask.family import families_of
from massannot.questions.ask.questions_of_clip import Candidate
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.true_events import true_events

F64 = Any
OF_MOTION = {
    "start", "stop", "flight", "apex", "landing", "rebound", "contact_begin", "contact_end",
    "teleport", "vanish", "upward_acceleration", "weightless",
}  # fmt: skip


class Simulated:
    """One scene: centres of mass by frame, and events."""

    def __init__(self, scene: Any, things: dict[int, int | None]):
        n, k = scene.n_frames, len(scene.entities)
        self.t = np.array([scene.t_s(f) for f in range(n)])
        cam = np.array([[scene.cam_from_body(f, i)[:3, 3] for i in range(k)] for f in range(n)])
        poses = np.array([scene.cam_from_world(f) for f in range(n)])
        self.cam = cam
        self.world = np.einsum("fji,fkj->fki", poses[:, :3, :3], cam - poses[:, None, :3, 3])
        self.things = things
        everywhere = np.ones((n, k), np.bool_)
        self.events = true_events(scene, everywhere, everywhere)

    def track(self, thing: int, reference: str) -> F64:
        k = self.things.get(thing)
        if k is None:
            raise LookupError("no such thing")
        return (self.cam if reference == "camera" else self.world)[:, k]

    def times(self, kinds: tuple[str, ...], thing: int) -> list[float]:
        k = self.things.get(thing)
        if not set(kinds) <= OF_MOTION:
            raise LookupError(f"no truth for {kinds}")
        return [
            e.t_s for e in self.events
            if e.kind in kinds and k in e.entities and e.t_s <= self.t[-1]
            and (len(e.entities) > 1 or not e.kind.startswith("contact_"))
        ]  # fmt: skip

    def true(self, q: p.Operation) -> Any:
        """Raises LookupError where the scene has no answer."""
        if isinstance(q, (p.Path, p.Speed, p.Displacement)):
            thing = q.thing if isinstance(q.thing, int) else self.true(q.thing)
            track = self.track(thing, q.reference)
            if isinstance(q, p.Displacement):
                return float(np.linalg.norm(track[-1] - track[0]))
            path = float(sum(math.dist(a, b) for a, b in itertools.pairwise(track)))
            return path / float(self.t[-1] - self.t[0]) if isinstance(q, p.Speed) else path
        if isinstance(q, p.DirectionClock):
            return self.hour(self.track(q.thing, q.reference), q.base, q.step)
        if isinstance(q, p.When):
            track, n = self.track(q.thing, q.reference), q.stride
            hours = [self.hour(track, (0, n), (f, f + n)) for f in range(len(track) - n)]
            runs: list[list[int]] = [[]]
            for f, hour in enumerate(hours):
                runs = [*runs[:-1], [*runs[-1], f]] if hour == q.hour else [*runs, []]
            run = max(runs, key=len)
            if not run:
                raise LookupError("never")
            return tuple((self.t[f] + self.t[f + n]) / 2 for f in (run[0], run[-1]))
        if isinstance(q, p.Compare):
            return "first" if self.true(q.one) > self.true(q.other) else "second"
        if isinstance(q, p.DirectionsDiffer):
            a, b = (np.subtract(*self.track(k, q.reference)[[-1, 0]]) for k in (q.one, q.other))
            cosine = np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
            return "yes" if cosine < math.cos(math.radians(q.degrees)) else "no"
        if isinstance(q, p.Happens):
            return "yes" if self.times(q.kinds, q.thing) else "no"
        if isinstance(q, p.Count):
            return len(self.times(q.kinds, q.thing))
        if isinstance(q, p.EventTime):
            return self.times(q.kinds, q.thing)[0]  # type: ignore[arg-type]
        if isinstance(q, p.Order):
            return tuple(int(i) for i in np.argsort([self.true(item) for item in q.items]))
        if isinstance(q, p.Most):
            having = [k for k in self.things if self.times(q.of.kinds, k)]
            return max(having, key=lambda k: self.true(p.OPERATIONS[q.by](k, q.reference)))  # type: ignore[call-arg]
        if isinstance(q, p.FirstTo):
            first = {k: self.times(q.kinds, k) for k in self.things}
            return min((k for k in first if first[k]), key=lambda k: first[k][0])
        if isinstance(q, p.StateSequence):
            series = self.series(q.quantity, q.thing, q.viewer, q.viewpoint, q.first, q.last)
            least = q.least * (1 if q.quantity == "bearing" else float(np.mean(np.abs(series))))
            return legs(series, least)
        if isinstance(q, p.Faster):
            one, other = (
                self.series("speed", k, q.viewer, q.viewpoint, q.first, q.last)
                for k in (q.one, q.other)
            )
            clear = np.where(
                one > q.least_ratio * other, 1, np.where(other > q.least_ratio * one, 2, 0)
            )
            words = [("", "first", "second")[c] for c in clear if c]
            return tuple(w for i, w in enumerate(words) if i == 0 or words[i - 1] != w)
        raise LookupError(f"no truth for {type(q).__name__}")

    def hour(self, track: F64, base: tuple[int, int], step: tuple[int, int]) -> int:
        z = [complex(*(track[j] - track[i])[[2, 0]]) for i, j in (base, step)]
        return round(math.degrees(np.angle(z[1] / z[0])) / 30) % 12 or 12

    def series(self, what: str, thing: int, viewer: int, point: str, first: int, last: int) -> F64:
        frames = slice(first, last + 1)
        reference = "camera" if viewer == p.CAMERA and point == "relative" else "world"
        track = self.track(thing, reference)[frames]
        if viewer != p.CAMERA:
            seen = self.track(viewer, "world")[frames]
            track = track - (seen if point == "relative" else seen[:1])
        if what == "distance":
            return np.linalg.norm(track, axis=1)
        if what == "bearing":
            return np.degrees(np.unwrap(np.angle(track[:, 2] + 1j * track[:, 0])))
        n = max(2, round(0.2 / (self.t[1] - self.t[0])))
        speed = np.linalg.norm(track[n:] - track[:-n], axis=1) / (n * (self.t[1] - self.t[0]))
        return np.array(
            [speed[max(0, i - n // 2) : i + n // 2 + 1].mean() for i in range(len(speed))]
        )


def legs(series: F64, least: float) -> tuple[str, ...]:
    """One leg, or two around the turning point that makes both longest."""
    whole = series[-1] - series[0]
    turn = int(np.argmax(np.abs(series - series[0]) + np.abs(series - series[-1])))
    one, two = series[turn] - series[0], series[-1] - series[turn]
    if one * two < 0 and min(abs(one), abs(two)) >= least:
        return tuple("up" if leg > 0 else "down" for leg in (one, two))
    return ("up" if whole > 0 else "down",) if abs(whole) >= least else ()


def is_right(value: Any, truth: Any, family: Any) -> bool:
    if isinstance(value, float):
        room = family.tolerance_abs if family.tolerance_abs is not None else 0.25 * abs(truth)
        return bool(abs(value - truth) <= room)
    if isinstance(value, tuple) and value and isinstance(value[0], float):
        both = min(value[1], truth[1]) - max(value[0], truth[0])
        return bool(both >= 0.5 * (max(value[1], truth[1]) - min(value[0], truth[0])))
    return bool(value == truth)


def predicted(candidate: Candidate) -> float:
    """Probability that the answer is right, were its error normal with the stated sigma: of a
    number, that it stays on both sides within what counts as right; of a choice, that it does not
    cross the nearest edge; of an hour, neither of its two edges."""
    gives, family = candidate.gives, candidate.family
    inside, beyond = gives.margin, math.inf
    if family.kind == "number":
        if family.tolerance_abs is not None and gives.sigma:
            inside = family.tolerance_abs / gives.sigma
        beyond = inside
    elif family.kind == "clock" and gives.sigma:
        beyond = 30 / gives.sigma - inside
    return sum(math.erf(min(edge, 9.0) / math.sqrt(2)) for edge in (inside, beyond)) / 2


def measure(
    dataset_path: Path, scenes: Path, *, margin: float, names: tuple[str, ...], show: bool
) -> dict[str, dict[str, Any]]:
    dataset, library = open_dataset(dataset_path), SceneLibrary(scenes)
    families = families_of(names)
    found = found_candidates(DatasetRows(dataset), families, Asking(min_margin=margin))
    phrases: dict[str, dict[int, str]] = defaultdict(dict)
    for row in dataset.table("phrases").to_pylist():
        phrases[row["clip_id"]][row["phrase"]] = row["text"]
    entities: dict[str, dict[int, str]] = defaultdict(dict)
    for row in dataset.table("entities").to_pylist():
        entities[row["clip_id"]][row["entity"]] = phrases[row["clip_id"]][row["phrase"]]
    simulated: dict[str, Simulated] = {}
    results: dict[str, dict[str, Any]] = {}
    for family in families:
        right, expected, unknown = 0, [], 0
        for candidate in found[family.name]:
            clip = candidate.clip_id
            if clip not in simulated:
                scene = library.scene(candidate.video_id)
                place = {text: k for k, text in enumerate(scene.phrases())}
                simulated[clip] = Simulated(
                    scene, {e: place.get(t) for e, t in entities[clip].items()}
                )
            try:
                truth = simulated[clip].true(candidate.proposal.program)
            except LookupError as error:
                if "no truth" in str(error):
                    unknown += 1
                    continue
                truth = None
            good = truth is not None and is_right(candidate.gives.value, truth, family)
            right += good
            expected.append(predicted(candidate))
            if show and not good:
                print(family.name, clip, p.as_json(candidate.proposal.program),
                      candidate.gives, "TRUE", truth)  # fmt: skip
        n = len(found[family.name]) - unknown
        clips = len({candidate.clip_id for candidate in found[family.name]})
        results[family.name] = {
            "questions": n,
            "clips": clips,
            "right": right / n if n else None,
            "predicted": float(np.mean(expected)) if n else None,
        }
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--margin", type=float, default=2.0)
    parser.add_argument("--family", action="append", default=[])
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    results = measure(
        args.dataset, args.scenes, margin=args.margin, names=tuple(args.family), show=args.show
    )
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
