"""The accuracy of `--profile embedded` on test scenes, measured and written down.

    python tools/measure_accuracy.py --work DIR              # 64 clips; docs, accuracy.json
    python tools/measure_accuracy.py --work DIR --part 1/2   # half of the clips, nothing written

Scenes and one record a clip and question are kept in DIR, under the weights that gave them: what
was interrupted goes on, what other weights answered is asked again. Change of other code is not
noticed: take another DIR. Takes about 20 CPU-seconds a clip, 8 of them for the attribution.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent))

from massannot.evaluate import shipped_accuracy
from massannot.evaluate.dataset_scores import usual_depth_m
from massannot.scenes.world import SCENE_VERSION, TEST_SEEDS, SceneOptions, make_scene
from massannot.scenes.write import write_scenes
from massannot.storage.durable import write_over
from tools.embedded import accuracy_lines
from tools.embedded.ruler import MEASURES, Record, Ruler
from tools.marked_places import text_in_place, write_place

ROOT = Path(__file__).parent.parent
N_CLIPS = 64
HEADLINES = (
    "AP50 of two-word phrases",
    "J 24 frames after the box",
    "things found under their name, mean J over 0.7",
    "position of a found thing, median error, m",
)
"""The four scores that README shows."""


def four_numbers(measured: shipped_accuracy.Accuracy) -> str:
    """A table of HEADLINES, and what they are about."""
    (n_clips,) = {line.value.n for line in measured.lines}
    rows = [
        f"| {line.stage}: {line.score} | **{line.value.value:.2f}** "
        f"[{line.value.low:.2f}, {line.value.high:.2f}] | {line.trivial_value.value:.2f} |"
        for name in HEADLINES
        for line in measured.lines
        if line.score == name
    ]
    about = (
        f"On {n_clips} rendered clips (95 % intervals). {shipped_accuracy.ONLY_RENDERED} "
        "[All scores](https://github.com/massannot/massannot/blob/main/docs/accuracy.md)."
    )
    return "\n".join([about, "", "| score | measured | no skill |", "|---|---|---|", *rows])


@dataclass(frozen=True)
class Place:
    """Where a table stands, see marked_places."""

    file: Path
    table: Callable[[shipped_accuracy.Accuracy], str]


ACCURACY_PAGE = ROOT / "docs" / "accuracy.md"
PLACES = {
    "four numbers": Place(ROOT / "README.md", four_numbers),
    "accuracy": Place(ACCURACY_PAGE, shipped_accuracy.scores_as_markdown),
    "attribution": Place(ACCURACY_PAGE, shipped_accuracy.replaced_as_markdown),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for scenes and records")
    parser.add_argument("--clips", type=int, default=N_CLIPS, help="of the test scenes")
    parser.add_argument("--replaced", type=int, default=N_CLIPS, help="clips for the attribution")
    parser.add_argument("--part", default="1/1", help="I/N: only every Nth clip, from the Ith")
    parser.add_argument("--show", action="store_true", help="print the tables, write nothing")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    seeds = TEST_SEEDS[: args.clips]
    part, parts = map(int, args.part.split("/"))
    records = _records(args.work, seeds[part - 1 :: parts], set(seeds[: args.replaced]))
    if parts > 1:
        return
    measured = shipped_accuracy.Accuracy(
        scene_version=SCENE_VERSION,
        seeds=f"{seeds[0]}..{seeds[-1]}",
        n_frames=SceneOptions().n_frames,
        weights=shipped_accuracy.shipped_weights(),
        cpu_s_per_clip=accuracy_lines.cpu_s_per_clip(records["whole"]),
        lines=accuracy_lines.lines(records),
        replaced=accuracy_lines.replaced(records["replaced"]),
    )
    if not args.show:
        write_over(shipped_accuracy.FILE, measured.to_json().encode())
        write_places(shipped_accuracy.read())
    print("\n\n".join(place.table(measured) for place in PLACES.values()))


def write_places(measured: shipped_accuracy.Accuracy) -> None:
    """Replace what stands in every place."""
    for name, place in PLACES.items():
        write_place(place.file, name, place.table(measured))


def shown(name: str) -> str:
    """What stands in a place."""
    return text_in_place(PLACES[name].file, name)


def _records(work: Path, seeds: range, replaced: set[int]) -> dict[str, list[Record]]:
    """By question, over the clips; `replaced` are those that the attribution is made on."""
    scenes = work / "scenes"
    missing = [seed for seed in seeds if not (scenes / "scenes" / f"scene-{seed}.json").is_file()]
    write_scenes(scenes, seeds=missing, progress=lambda record: _say(record.description))
    usual = usual_depth_m(make_scene(seed) for seed in TEST_SEEDS[:N_CLIPS])
    ruler = Ruler(scenes, usual_depth_m=usual)
    weights = shipped_accuracy.shipped_weights()
    records: dict[str, list[Record]] = {name: [] for name in MEASURES}
    for seed in seeds:
        for name, (_, by) in MEASURES.items():
            if name == "replaced" and seed not in replaced:
                continue
            key = hashlib.sha256("".join(weights[model] for model in by).encode()).hexdigest()[:12]
            path = work / "records" / f"{name}-{key}" / f"{seed}.json"
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_over(path, json.dumps(ruler.ask(seed, name)).encode())
                _say(f"{seed} {name}")
            records[name].append(json.loads(path.read_text()))
    return records


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
