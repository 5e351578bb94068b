"""How right estimated camera poses are, on rendered scenes: the table of docs/accuracy.md.

    python tools/measure_cameras.py --work DIR [--first-seed 903050]

Of each way to move 8 scenes, and 15 whose camera stands still. Masks and depth are the truth's,
the lens is told, the poses are estimated from the pictures.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from massannot.dataset.reading import open_dataset
from massannot.engine.settings import ExecutorSettings
from massannot.evaluate.camera_scores import camera_scores
from massannot.evaluate.clip_truth import ClipTruth
from massannot.jobs import annotate
from massannot.jobs.run import RunOptions
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.scenes.camera_path import CAMERA_MOVES
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.world import COLOUR_NAMES, SHAPE_NAMES, SceneOptions
from massannot.scenes.write import write_scenes
from massannot.video.sampling import Sampling

N_EACH, N_STILL = 8, 15
METRICS = ("ate_from_first_m", "rpe_deg", "region_90_share", "kind_right")


def main(work: Path, first_seed: int) -> None:
    scenes = work / "scenes"
    seed = first_seed
    for move in CAMERA_MOVES:
        count = N_STILL if move == "static" else N_EACH
        options = SceneOptions(camera=move, n_frames=24, fps=12)
        write_scenes(scenes, seeds=range(seed, seed + count), options=options)
        seed += count
    library = SceneLibrary(scenes)
    lenses = write_lenses(library, work / "lenses")
    out = work / f"out-{int(time.time())}"
    flags = ModelFlags(
        profile="none",
        files={"cameras": str(lenses)},
        scenes=str(scenes),
        oracles=("detect", "masks", "depth"),
        poses="estimate",
    )
    names = [f"a {colour} {shape}" for colour in COLOUR_NAMES for shape in SHAPE_NAMES]
    spec = run_spec([str(scenes / "videos")], names, flags=flags, sampling=Sampling(fps=None))
    annotate.run(spec, out, ExecutorSettings(), RunOptions(max_failed=0.0), films=False, quiet=True)
    print_table(scores_by_move(out, library))


def write_lenses(library: SceneLibrary, folder: Path) -> Path:
    """The true lens of each scene, without a pose."""
    folder.mkdir(parents=True, exist_ok=True)
    for video_id, record in library.records.items():
        lens = library.scene(video_id).camera.lens
        numbers = [lens.focal_px, lens.focal_px, lens.cx, lens.cy]
        file = folder / f"{Path(record.video).stem}.json"
        file.write_text(json.dumps({"intrinsics": numbers, "origin": "corner"}))
    return folder


def scores_by_move(out: Path, library: SceneLibrary) -> dict[str, list[list[float]]]:
    """METRICS of each clip, with the ATE of a camera that stands still behind them."""
    rows: dict[str, list[list[float]]] = defaultdict(list)
    for view in open_dataset(out).clips():
        clip = ClipTruth(view, library.scene(view.row["video_id"]), usual_depth_m=4.0)
        scores = {score.metric: score for score in camera_scores(clip)}
        row = [scores[name].value for name in METRICS] + [scores[METRICS[0]].baseline]
        kinds = [clip.scene.camera.move] + ["moving"] * (clip.scene.camera.move != "static")
        for kind in kinds:
            rows[kind].append(row)
    return rows


def print_table(rows: dict[str, list[list[float]]]) -> None:
    print(
        "| camera | clips | ATE from the first frame, m: median, 95 % | standing still | "
        "RPE, degrees: median, 95 % | true poses in the 90 % region, % | kind told right |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind in ("moving", *sorted(set(rows) - {"moving"})):
        ate, rpe, share, right, still = np.array(rows[kind]).T
        low, high = np.median(ate), np.quantile(ate, 0.95)
        turn, most = np.median(rpe), np.quantile(rpe, 0.95)
        held = "" if np.isnan(share).all() else f"{100 * np.nanmean(share):.0f}"
        told = f"{np.nansum(right):.0f} of {np.isfinite(right).sum()}"
        print(
            f"| {kind} | {len(ate)} | {low:.4f}, {high:.4f} | {np.median(still):.3f} | "
            f"{turn:.3f}, {most:.3f} | {held} | {told} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--first-seed", type=int, default=903050)
    given = parser.parse_args()
    main(given.work, given.first_seed)
