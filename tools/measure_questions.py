"""How often the answers of `questions ask` are right, by family: against the simulation.

    python -m tools.measure_questions DATASET SCENES [DATASET SCENES ...] [--margin 2] [--skip 256]

DATASET is an annotation of the folder SCENES, which `scenes render` wrote, or its truth tables.
`askable`: all that has an answer, whatever its margin; `kept`: what `--margin` leaves. A question
about two things counts once, whichever is named first. A thing that is not in the scene makes an
answer wrong. Numbers are right within 25 %, intervals that overlap by half. `predicted` is the
share of the askable that ought to be right by the stated sigmas. Intervals are 95 %, over clips.

`--skip N` leaves out the first N scenes of each folder, which somebody set a threshold on;
`--again` finds the events again in the tables that are there; `--show` prints what is wrong.
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
from massannot.questions.ask.cited_rows import DatasetRows
from massannot.questions.ask.family import AskedFamily, families_of
from massannot.questions.ask.questions_of_clip import Candidate
from massannot.scenes.scene_record import SceneLibrary
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


def judged_questions(
    dataset: Dataset, library: SceneLibrary, families: Sequence[AskedFamily], asking: Asking,
    *, skip: int = 0, again: bool = False, show: bool = False,
) -> Iterator[tuple[str, Judged]]:  # fmt: skip
    """Family and question, of all that have an answer and a truth."""
    rows = _Rows(dataset, skip=skip, again=again)
    found = found_candidates(rows, families, Asking(min_margin=0.0))
    things, simulated = _bodies(dataset), {}
    for family in families:
        for candidate in found[family.name]:
            clip, program = candidate.clip_id, candidate.proposal.program
            if isinstance(program, ONCE) and tuple(sorted(candidate.proposal.things)) != (
                candidate.proposal.things
            ):
                continue
            if clip not in simulated:
                scene = library.scene(candidate.video_id)
                place = {text: k for k, text in enumerate(scene.phrases())}
                simulated[clip] = Simulated(
                    scene, {e: place.get(text) for e, text in things[clip].items()}
                )
            try:
                truth = simulated[clip].true(program)
            except LookupError as error:
                if "no truth" in str(error):
                    continue
                truth = None
            right = truth is not None and is_right(candidate.gives.value, truth, family)
            certain = candidate.is_certain(asking.min_margin)
            if show and certain and not right:
                print(family.name, clip, p.as_json(program), candidate.gives, "TRUE", truth)
            yield family.name, Judged(clip, certain, right, predicted(candidate))


class _Rows(DatasetRows):
    def __init__(self, dataset: Dataset, *, skip: int, again: bool):
        super().__init__(dataset)
        self.ids = _by_seed(dataset)[skip:]
        self.events = _events_again(dataset, self.ids) if again else None

    def each(self, clip_ids: Sequence[str]) -> Iterator[Any]:
        wanted = set(self.ids)
        yield from super().each([clip_id for clip_id in clip_ids if clip_id in wanted])

    def _tables(self, name: str) -> Iterator[pa.Table]:
        if name == "events" and self.events is not None:
            yield self.events
            return
        yield from super()._tables(name)


def _by_seed(dataset: Dataset) -> list[str]:
    clips = dataset.table("clips").select(["clip_id", "uri"]).to_pylist()
    return [row["clip_id"] for row in sorted(clips, key=lambda row: row["uri"])]


def _events_again(dataset: Dataset, clip_ids: Sequence[str]) -> pa.Table:
    wanted = set(clip_ids)
    found = [FindEvents().events(view) for view in dataset.clips() if view.clip_id in wanted]
    return pa.concat_tables([tables.spec("events").empty(), *found])


def _bodies(dataset: Dataset) -> dict[str, dict[int, str]]:
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
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--family", action="append", default=[])
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    families = families_of(tuple(args.family))
    questions: dict[str, list[Judged]] = {family.name: [] for family in families}
    for path, scenes in zip(args.folders[::2], args.folders[1::2], strict=True):
        for name, question in judged_questions(
            open_dataset(path), SceneLibrary(scenes), families, Asking(min_margin=args.margin),
            skip=args.skip, again=args.again, show=args.show,
        ):  # fmt: skip
            questions[name].append(question)
    print(json.dumps({name: report(found) for name, found in questions.items()}, indent=1))


if __name__ == "__main__":
    main()
