"""How often the answers of `questions ask` are right, by family: against the simulation.

    python -m tools.measure_questions DATASET SCENES [DATASET SCENES ...] [--margin 2]

DATASET is an annotation of the folder SCENES, which `scenes render` wrote, or its truth tables.
`askable`: all that has an answer, whatever its margin; `kept`: what `--margin` leaves. A question
about two things counts once, whichever is named first. A thing that is not in the scene makes an
answer wrong. Numbers are right within 25 %, intervals that overlap by half. `predicted` is the
share of the askable that ought to be right by the stated sigmas. Intervals are 95 %, over clips.

`--from-seed SEED` leaves out the scenes before it, which somebody set a threshold on; `--again`
finds the events again in the tables that are there; `--fronts-sd 5` adds the fronts of the scenes'
things, as somebody may estimate them with that error in degrees; `--show` prints what is wrong.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa

from massannot import tables
from massannot.dataset.reading import Dataset, open_dataset
from massannot.geometry.intervals import ratio_over_clips
from massannot.questions.ask import program as p
from massannot.questions.ask.ask_dataset import Asking, found_candidates
from massannot.questions.ask.cited_rows import ClipRows, DatasetRows
from massannot.questions.ask.family import AskedFamily, families_of
from massannot.questions.ask.questions_of_clip import Candidate
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.world import Scene
from massannot.stages.find_events import FindEvents
from tools.simulated_answers import Simulated

ONCE = (p.Compare, p.DirectionsDiffer, p.Order, p.Faster)
"""Operations that are the same question with their two things swapped."""


@dataclass(frozen=True)
class Judged:
    """One question that has an answer."""

    clip_id: str
    certain: bool
    right: bool
    predicted: float


@dataclass(frozen=True)
class Measuring:
    """How a dataset is asked."""

    margin: float = 2.0
    from_seed: int = 0
    again: bool = False
    fronts_sd: float | None = None
    show: bool = False


def judged_questions(
    dataset: Dataset, library: SceneLibrary, families: Sequence[AskedFamily], how: Measuring
) -> Iterator[tuple[str, Judged]]:
    """Family and question, of all that have an answer and a truth."""
    rows = _Rows(dataset, library, how)
    found = found_candidates(rows, families, Asking(min_margin=0.0))
    things = _things(dataset)
    simulated: dict[str, Simulated] = {}
    for family in families:
        for candidate in found[family.name]:
            clip, program = candidate.clip_id, candidate.proposal.program
            named = candidate.proposal.things
            if isinstance(program, ONCE) and tuple(sorted(named)) != named:
                continue
            if clip not in simulated:
                scene = library.scene(candidate.video_id)
                simulated[clip] = Simulated(scene, _bodies(scene, things[clip]))
            try:
                truth = simulated[clip].true(program)
            except LookupError as error:
                if "no truth" in str(error):
                    continue
                truth = None
            right = truth is not None and is_right(candidate.gives.value, truth, family)
            certain = candidate.is_certain(how.margin)
            if how.show and certain and not right:
                print(family.name, clip, p.as_json(program), candidate.gives, "TRUE", truth)
            yield family.name, Judged(clip, certain, right, predicted(candidate))


class _Rows(DatasetRows):
    """Of the clips that are asked about, with the tables that are made for it."""

    def __init__(self, dataset: Dataset, library: SceneLibrary, how: Measuring):
        clips = dataset.table("clips").select(["clip_id", "video_id"]).to_pylist()
        seeds = {row["clip_id"]: library.records[row["video_id"]].seed for row in clips}
        self.wanted = {clip for clip, seed in seeds.items() if seed >= how.from_seed}
        views = [view for view in dataset.clips() if view.clip_id in self.wanted]
        fronts = None
        if how.fronts_sd is not None:
            chance = np.random.default_rng(0)
            things = _things(dataset)
            fronts = tables.spec("orientations").from_rows([
                row for view in views for row in _fronts(
                    library.scene(view.row["video_id"]), things[view.clip_id], view.clip_id,
                    sd=how.fronts_sd, chance=chance)
            ])  # fmt: skip
        super().__init__(dataset, orientations=fronts)
        self.events: pa.Table | None = None
        if how.again:
            found = [FindEvents().events(view) for view in views]
            self.events = pa.concat_tables([tables.spec("events").empty(), *found])

    def each(self, clip_ids: Sequence[str]) -> Iterator[ClipRows]:
        yield from super().each([clip_id for clip_id in clip_ids if clip_id in self.wanted])

    def _tables(self, name: str) -> Iterator[pa.Table]:
        if name == "events" and self.events is not None:
            yield self.events
            return
        yield from super()._tables(name)


def _fronts(
    scene: Scene, things: dict[int, str], clip_id: str, *, sd: float, chance: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """Rows of `orientations`, each frame's error its own."""
    for entity, body in _bodies(scene, things).items():
        for frame in range(scene.n_frames):
            front = None if body is None else scene.front_in_cam(frame, body)
            if front is not None:
                angle = math.degrees(math.atan2(front[0], front[2])) + sd * chance.normal()
                yield {"clip_id": clip_id, "entity": entity, "frame": frame,
                       "azimuth_deg": angle, "sd_deg": sd}  # fmt: skip


def _bodies(scene: Scene, things: dict[int, str]) -> dict[int, int | None]:
    """Of each entity, the body that its words mean."""
    place = {text: body for body, text in enumerate(scene.phrases())}
    return {entity: place.get(text) for entity, text in things.items()}


def _things(dataset: Dataset) -> dict[str, dict[int, str]]:
    """By clip, what each entity was looked for as."""
    texts: dict[str, dict[int, str]] = defaultdict(dict)
    for row in dataset.table("phrases").to_pylist():
        texts[row["clip_id"]][row["phrase"]] = row["text"]
    found: dict[str, dict[int, str]] = defaultdict(dict)
    for row in dataset.table("entities").to_pylist():
        found[row["clip_id"]][row["entity"]] = texts[row["clip_id"]][row["phrase"]]
    return found


def is_right(value: Any, truth: Any, family: AskedFamily) -> bool:
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
    inside, beyond, sure = gives.margin, math.inf, 1.0
    if family.tolerance_abs is not None and gives.sigma:  # a time: of an event that may be none
        inside = beyond = family.tolerance_abs / gives.sigma
        sure = NormalDist().cdf(gives.margin)
    elif family.kind == "number":
        beyond = inside
    elif family.kind == "clock" and gives.sigma:
        beyond = 30 / gives.sigma - inside
    return sure * sum(math.erf(min(edge, 9.0) / math.sqrt(2)) for edge in (inside, beyond)) / 2


def report(questions: Sequence[Judged]) -> dict[str, Any]:
    """Of one family."""
    kept = [question for question in questions if question.certain]
    low, high = _interval(kept)
    all_low, all_high = _interval(questions)
    return {
        "askable": len(questions),
        "kept": len(kept),
        "clips": len({question.clip_id for question in kept}),
        "right": _share(kept),
        "low": low,
        "high": high,
        "right_at_0": _share(questions),
        "low_at_0": all_low,
        "high_at_0": all_high,
        "predicted_at_0": _mean([q.predicted for q in questions]),
    }


def _share(questions: Sequence[Judged]) -> float | None:
    return _mean([question.right for question in questions])


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None


def _interval(questions: Sequence[Judged]) -> tuple[float | None, float | None]:
    """By the bootstrap over clips; where all are right, by the binomial of that many clips."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for question in questions:
        counts[question.clip_id][0] += question.right
        counts[question.clip_id][1] += 1
    if not counts:
        return None, None
    right, n = np.array(list(counts.values())).T
    if (right == n).all():
        return round(0.025 ** (1 / len(n)), 4), 1.0
    found = ratio_over_clips(right, n, seed=0)
    return round(found.low, 4), round(found.high, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="DATASET SCENES")
    parser.add_argument("--margin", type=float, default=2.0)
    parser.add_argument("--from-seed", type=int, default=0)
    parser.add_argument("--family", action="append", default=[])
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--fronts-sd", type=float)
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    how = Measuring(args.margin, args.from_seed, args.again, args.fronts_sd, args.show)
    families = families_of(tuple(args.family))
    questions: dict[str, list[Judged]] = {family.name: [] for family in families}
    for path, scenes in zip(args.folders[::2], args.folders[1::2], strict=True):
        found = judged_questions(open_dataset(path), SceneLibrary(scenes), families, how)
        for name, question in found:
            questions[name].append(question)
    print(json.dumps({name: report(found) for name, found in questions.items()}, indent=1))


if __name__ == "__main__":
    main()
