"""Is a trained tracker better than Lucas-Kanade? Both on the same validation clips, and the answer
as the card of the embedded profile's tracker: `judge_tracker.py --run DIR --features DIR`.

The network is measured as it would be shipped, in half precision and through its adapter; when a
point of it counts as seen is found on other clips than those compared. It takes Lucas-Kanade's
place only where its AJ is above by more than the paired interval over clips.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import torch

from massannot.clip import Frames
from massannot.geometry.intervals import ConfidenceInterval, mean_difference, mean_over_clips
from massannot.models.cotracker3.checkpoint import save_cotracker3
from massannot.models.cotracker3.conventions import Conventions
from massannot.models.cotracker3.tracker import CoTracker3Tracker
from massannot.models.lucas_kanade import LucasKanade
from massannot.models.protocols import F64, PointTracker, PointTracks
from massannot.models.weights import Weights
from massannot.scenes.world import SCENE_VERSION, VALIDATION_SEEDS, Scene, make_scene
from tools.embedded import tracking
from tools.embedded.measured import true_clip
from tools.embedded.ruler import track_record
from tools.embedded.training import curve

NOTE = (
    "Lucas-Kanade tracks the points of this profile, without weights: a CoTracker3 of its size, "
    "trained on this project's rendered scenes, is not better there. Figures are of rendered "
    "validation scenes and say nothing about real video."
)
CARD = Path(__file__).parent.parent / "massannot/weights/embedded/lucas_kanade/card.json"
SCORES = ("AJ", "delta_avg", "OA")
THRESHOLDS = np.round(np.arange(0.05, 0.95, 0.05), 2)
ITERATIONS = 4
CHECK_CLIPS = 2
"""Few enough for a test, which holds Lucas-Kanade to these figures."""
SEED = 0

Film = tuple[Frames, Scene]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True, help="the run of its encoder")
    parser.add_argument("--clips", type=int, default=24, help="validation clips to compare on")
    parser.add_argument("--calibrate", type=int, default=8, help="further ones for the threshold")
    parser.add_argument("--card", type=Path, default=CARD)
    parser.add_argument("--weights", type=Path, help="keep the network's weights there")
    parser.add_argument("--remark", default="", help="what happened to this run")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.weights or Path(scratch)
        held, n_parameters = write_weights(args.run, folder)
        others = range(args.clips, args.clips + args.calibrate)
        above = best_threshold(folder, [film(VALIDATION_SEEDS[i]) for i in others])
        films = [film(seed) for seed in VALIDATION_SEEDS[: args.clips]]
        network = rows_of(network_tracker(folder, above), films)
    classical = rows_of(ready(LucasKanade()), films)
    gain = mean_difference(column(network, "AJ"), column(classical, "AJ"), seed=SEED)
    encoder = json.loads((args.features / "curve.jsonl").read_text().splitlines()[-1])
    card = {
        "name": "lucas_kanade",
        "license": "Apache-2.0 (OpenCV)",
        "note": NOTE,
        "scene_version": SCENE_VERSION,
        "validation": {
            "seeds": f"{VALIDATION_SEEDS.start}..{VALIDATION_SEEDS[args.clips - 1]}",
            "frames": tracking.N_FRAMES,
            **shown(classical),
            "points_stand_still": shown(classical, "_static"),
        },
        "check": {
            "clips": CHECK_CLIPS,
            **{n: round(column(classical[:CHECK_CLIPS], n).mean(), 4) for n in SCORES},
        },
        "trained_network": {
            "name": "cotracker3",
            "shipped": False,
            **shown(network),
            "AJ_above_lucas_kanade": as_list(gain),
            "visible_above": above,
            "parameters": n_parameters,
            "steps": held["step"],
            "cpu_minutes": round(held["cpu_min"], 1),
            "cpu_minutes_of_its_encoder": encoder["cpu_min"],
            "remark": args.remark,
            "curve": curve(args.run),
        },
    }
    args.card.parent.mkdir(parents=True, exist_ok=True)
    args.card.write_text(json.dumps(card, indent=2) + "\n")
    print(json.dumps(card["validation"] | {"trained_network": shown(network)}, indent=1))
    print(f"AJ of the network minus Lucas-Kanade's: {as_list(gain)}")
    print("the network is better" if gain.low > 0 else "Lucas-Kanade stays")


def write_weights(run: Path, folder: Path) -> tuple[dict[str, Any], int]:
    """The run's averaged weights in half precision; the checkpoint, and how many numbers."""
    held = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    net = tracking.network()
    net.load_state_dict(held["average"])
    save_cotracker3(net, folder, dtype=torch.float16)
    return held, sum(p.numel() for p in net.parameters())


def network_tracker(folder: Path, visible_above: float) -> PointTracker:
    conventions = Conventions(
        resize_to=(tracking.H, tracking.W),
        iters=ITERATIONS,
        support_grid=0,
        visibility_rule="visibility times confidence",
        visible_above=visible_above,
    )
    weights = Weights(str(folder))
    return ready(CoTracker3Tracker(weights, conventions=conventions, there_and_back="off"))


def ready(tracker: Any) -> PointTracker:
    tracker.setup(device="cpu")
    made: PointTracker = tracker
    return made


def film(seed: int) -> Film:
    """A scene and all its frames."""
    clip = true_clip(seed, n_frames=make_scene(seed).n_frames)
    return clip.frames, clip.scene


def rows_of(tracker: PointTracker, films: Sequence[Film]) -> list[dict[str, float]]:
    return [track_record(tracker, frames, scene) for frames, scene in films]


def best_threshold(folder: Path, films: Sequence[Film]) -> float:
    """From which product of visibility and confidence on a point had best count as seen."""
    tracker = network_tracker(folder, 0.5)
    answers = [_Remembered(tracker) for _ in films]
    means = []
    for above in THRESHOLDS:
        rows = []
        for answer, (frames, scene) in zip(answers, films, strict=True):
            answer.above = float(above)
            rows.append(track_record(cast(PointTracker, answer), frames, scene))
        means.append(column(rows, "AJ").mean())
    return float(THRESHOLDS[int(np.argmax(means))])


@dataclass
class _Remembered:
    """A tracker that is asked once; its answer is read anew at each threshold."""

    tracker: PointTracker
    above: float = 0.5
    answer: PointTracks | None = None

    def track(self, frames: Frames, *, queries_txy: F64) -> PointTracks:
        if self.answer is None:
            self.answer = self.tracker.track(frames, queries_txy=queries_txy)
        seen = self.answer.visibility * self.answer.confidence > self.above
        return replace(self.answer, visible=seen)


def column(rows: Sequence[dict[str, float]], name: str) -> F64:
    return np.array([row[name] for row in rows])


def shown(rows: Sequence[dict[str, float]], suffix: str = "") -> dict[str, list[float]]:
    """Every score as [mean, low, high], 95 % over clips."""
    return {n: as_list(mean_over_clips(column(rows, n + suffix), seed=SEED)) for n in SCORES}


def as_list(interval: ConfidenceInterval) -> list[float]:
    return [round(float(x), 4) for x in (interval.value, interval.low, interval.high)]


if __name__ == "__main__":
    main()
