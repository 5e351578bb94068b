"""How right events are, on rendered scenes: recall, precision, and what tells broken laws apart.

    python -m tools.measure_events DATASET SCENES [DATASET SCENES ...] [--clips 60] [--from-seed N]

DATASET is an annotation of the folder SCENES: scenes, and their twins with `--violate`. For each
kind, over the scenes that obey physics: the share of clear true events that are stated within
0.2 s, and the share of stated ones that are true (evaluate/event_scores.py). For each law: how well
a clip's highest score tells its violating twins from the others (AUC: the chance that a twin has
the higher one), the share of twins with an event of that law, and the false alarms. The scores are
those of `FindEvents(least_score=0, least_departure=0)`, so that clips without an event have an
order too. Intervals are 95 %, by the bootstrap over clips.

`--again` finds the events again, in the tables that are there: after a change of the rules. Scores
of laws are always those of the rules as they are.
`--laws` leaves recall and precision out, for which every frame of the truth has to be cast.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from massannot.dataset.reading import ClipView, open_dataset
from massannot.evaluate.clip_truth import ClipTruth
from massannot.evaluate.event_scores import SCORED, clear_events, event_counts, stated_events
from massannot.geometry.intervals import bootstrap, ratio_over_clips
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.world import Scene
from massannot.stages.find_events import FindEvents

LAWS = {
    "gravity": ("upward_acceleration", "weightless"),
    "teleport": ("teleport", "vanish"),
    "vanish": ("vanish",),
}
LEAST_FLIGHT_S = 0.3
"""Of a violated flight, in full view."""


@dataclass(frozen=True, eq=False)
class Measured:
    """One clip."""

    law: str | None
    counts: dict[str, tuple[int, int, int, int]]
    """Clear, clear and found, stated, right; by kind; of a clip that obeys physics."""
    highest: dict[str, float]
    """Score of the events of each law, stated or not."""
    is_stated: dict[str, bool]


def measure(view: ClipView, scene: Scene, *, again: bool, laws: bool = False) -> Measured | None:
    """None: a violation too short to be asked for."""
    law, broken = scene.options.violate, scene.violation
    shown_s = 0.0 if broken is None else (broken.end - 1 - broken.frame) / scene.options.fps
    if law == "gravity" and shown_s < LEAST_FLIGHT_S - 1e-6:
        return None
    counts = {} if law or laws else _counts(view, scene, again=again)
    every = FindEvents(least_score=0.0, least_departure=0.0).events(view)
    stated = set(FindEvents().events(view)["kind"].to_pylist())
    return Measured(
        law,
        counts,
        {name: _highest(every, kinds) for name, kinds in LAWS.items()},
        {name: not stated.isdisjoint(kinds) for name, kinds in LAWS.items()},
    )


def _counts(view: ClipView, scene: Scene, *, again: bool) -> dict[str, tuple[int, int, int, int]]:
    events = FindEvents().events(view) if again else view.table("events")
    truth = ClipTruth(view, scene, usual_depth_m=4.0)
    true, clear = clear_events(truth)
    stated = list(stated_events(events, truth.pairs))
    return {
        kind: (of.n_clear, of.n_clear_found, of.n_stated, of.n_right)
        for kind, of in event_counts(true, clear, stated).items()
    }


def _highest(events: pa.Table, kinds: tuple[str, ...]) -> float:
    rows = events.select(["kind", "score"]).to_pylist()
    return max((row["score"] for row in rows if row["kind"] in kinds), default=0.0)


def report(clips: Sequence[Measured], *, seed: int = 0) -> dict[str, dict[str, object]]:
    """Numbers with intervals, by kind and by law."""
    usual = [clip for clip in clips if clip.law is None]
    found: dict[str, dict[str, object]] = defaultdict(dict)
    for kind in SCORED:
        counts = [clip.counts.get(kind, (0, 0, 0, 0)) for clip in usual]
        n = np.array(counts, np.float64).reshape(-1, 4)
        for name, (part, whole) in {"recall": (1, 0), "precision": (3, 2)}.items():
            if n[:, whole].sum():
                share = ratio_over_clips(n[:, part], n[:, whole], seed=seed)
                found[kind][name] = [round(x, 3) for x in (share.value, share.low, share.high)]
                found[kind]["clear" if name == "recall" else "stated"] = int(n[:, whole].sum())
    for law in LAWS:
        twins = [clip for clip in clips if clip.law == law]
        if twins and usual:
            found[f"law {law}"] = _law(law, twins, usual, seed=seed)
    return dict(found)


def _law(
    law: str, twins: Sequence[Measured], usual: Sequence[Measured], *, seed: int
) -> dict[str, object]:
    scores = np.array([clip.highest[law] for clip in (*twins, *usual)])
    is_twin = np.arange(len(scores)) < len(twins)
    alarms = np.array([clip.is_stated[law] for clip in usual])

    def auc(clips: np.ndarray) -> float:
        one, two = scores[clips[is_twin[clips]]][:, None], scores[clips[~is_twin[clips]]]
        return float(((one > two) + 0.5 * (one == two)).mean()) if one.size and two.size else np.nan

    area = bootstrap(auc, n_clips=len(scores), seed=seed)
    false = bootstrap(lambda c: float(alarms[c].mean()), n_clips=len(alarms), seed=seed)
    return {
        "auc": [round(x, 3) for x in (area.value, area.low, area.high)],
        "twins": len(twins),
        "with an event": round(float(np.mean([clip.is_stated[law] for clip in twins])), 3),
        "scenes": len(usual),
        "false alarms": [round(x, 3) for x in (false.value, false.low, false.high)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="DATASET SCENES")
    parser.add_argument("--clips", type=int, help="At most so many of each dataset.")
    parser.add_argument("--from-seed", type=int, default=0)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--laws", action="store_true")
    args = parser.parse_args()
    measured = []
    for dataset, scenes in zip(args.folders[::2], args.folders[1::2], strict=True):
        library = SceneLibrary(scenes)
        views = sorted(open_dataset(dataset).clips(), key=lambda view: view.clip_id)
        records = library.records
        views = [v for v in views if records[v.row["video_id"]].seed >= args.from_seed]
        for view in views[: args.clips]:
            scene = library.scene(view.row["video_id"])
            measured.append(measure(view, scene, again=args.again, laws=args.laws))
    print(json.dumps(report([clip for clip in measured if clip is not None]), indent=1))


if __name__ == "__main__":
    main()
