"""How right estimated camera poses are, on rendered scenes: the table of docs/accuracy.md.

    python tools/measure_cameras.py --work DIR [--first-seed 903050] [--each 8] [--still 15]
                                    [--models oracle|embedded] [--lens told|assumed]

Of each way to move 8 scenes, and 15 whose camera stands still. Masks and depth are the truth's, or
those of the embedded models; the lens is told, or assumed; the poses are estimated from the
pictures.
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
from massannot.models.profiles import Job
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.scenes.camera_path import CAMERA_MOVES
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.world import COLOUR_NAMES, SHAPE_NAMES, SceneOptions
from massannot.scenes.write import write_scenes
from massannot.video.sampling import Sampling

METRICS = ("ate_from_first_m", "rpe_deg", "region_90_share", "kind_right")


def main(work: Path, given: argparse.Namespace) -> None:
    scenes = work / "scenes"
    seed = given.first_seed
    for move in CAMERA_MOVES:
        count = given.still if move == "static" else given.each
        options = SceneOptions(camera=move, n_frames=24, fps=12)
        write_scenes(scenes, seeds=range(seed, seed + count), options=options)
        seed += count
    library = SceneLibrary(scenes)
    told: dict[Job, str | None] = {"cameras": str(write_lenses(library, work / "lenses"))}
    out = work / f"out-{int(time.time())}"
    oracle = given.models == "oracle"
    flags = ModelFlags(
        profile="none" if oracle else "embedded",
        files=told if given.lens == "told" else {},
        scenes=str(scenes) if oracle else None,
        oracles=("detect", "masks", "depth") if oracle else (),
        poses="estimate",
    )
    names = [f"a {colour} {shape}" for colour in COLOUR_NAMES for shape in SHAPE_NAMES]
    videos = [str(scenes / record.video) for record in library.records.values()]
    spec = run_spec(videos, names, flags=flags, sampling=Sampling(fps=None))
    annotate.run(spec, out, ExecutorSettings(), RunOptions(max_failed=0.0), films=False, quiet=True)
    print_table(scores_by_move(out, library))
    if given.lens == "assumed":
        print_lenses(out, library)


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


def print_lenses(out: Path, library: SceneLibrary) -> None:
    """How right the focal lengths are that were observed, and how far off the assumed ones."""
    errors: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for view in open_dataset(out).clips():
        camera = view.table("cameras").slice(0, 1).to_pylist()[0]
        focal_px = library.scene(view.row["video_id"]).camera.lens.focal_px
        error = abs(float(np.log(camera["fx"] / focal_px)))
        errors[camera["intrinsics_origin"]].append((error, camera["focal_rel_sd"]))
    for origin, rows in sorted(errors.items()):
        off, sd = np.array(rows).T
        held = np.mean(off <= 1.645 * sd)
        print(
            f"lens {origin}: {len(off)} clips, median |log error| {np.median(off):.4f}, "
            f"90 % {np.quantile(off, 0.9):.4f}, in the 90 % interval {100 * held:.0f} %"
        )


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
    parser.add_argument("--each", type=int, default=8)
    parser.add_argument("--still", type=int, default=15)
    parser.add_argument("--models", choices=("oracle", "embedded"), default="oracle")
    parser.add_argument("--lens", choices=("told", "assumed"), default="told")
    given = parser.parse_args()
    main(given.work, given)
