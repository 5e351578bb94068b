"""How long a story holds: films of 90 s with five things, absences and look-alikes.

    python tools/measure_long_films.py --work DIR [--first-seed 904000] [--films 4]
                                       [--models oracle|embedded] [--cameras oracle|estimate]

Detection, masks, depth and tracks are the truth's, or those of the embedded models; the cameras are
the truth's, or their poses are estimated with the true lens. For each film: IDF1 over the whole
film with the identities as they are, with the proposals taken over as well, and without any link
between clips; and the world error: how far positions in the composed world are from the true ones,
as a share of the thing's true way.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from massannot.dataset.reading import Dataset, open_dataset
from massannot.dataset.touching import own_lengths
from massannot.dataset.video_view import VideoView
from massannot.engine.settings import ExecutorSettings
from massannot.evaluate.clip_truth import ClipTruth
from massannot.evaluate.identity_scores import idf1
from massannot.evaluate.position_scores import surface_centres
from massannot.geometry.camera import apply, inverse
from massannot.jobs import annotate
from massannot.jobs.run import RunOptions
from massannot.models.profiles import Job
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.world import Scene, SceneOptions
from massannot.scenes.write import write_scenes
from massannot.video.sampling import Sampling
from massannot.video.shot_rule import ShotRule
from tools.measure_cameras import write_lenses

SECONDS, FPS = 90, 4
CAMERAS = ("static", "orbit", "handheld", "dolly")
JOBS: tuple[Job, ...] = ("detect", "masks", "depth", "tracks")


def main(work: Path, given: argparse.Namespace) -> None:
    scenes = work / "scenes"
    for number in range(given.films):
        camera = CAMERAS[number % len(CAMERAS)]
        options = SceneOptions(long=True, camera=camera, n_frames=SECONDS * FPS, fps=FPS)  # type: ignore[arg-type]
        seed = given.first_seed + number
        if not (scenes / "videos" / f"scene-{seed}.mp4").exists():
            write_scenes(scenes, seeds=[seed], options=options)
    library = SceneLibrary(scenes)
    phrases = sorted(
        {name for video_id in library.records for name in library.scene(video_id).phrases()}
    )
    out = work / f"out-{int(time.time())}"
    sampling = Sampling(fps=None, clip_s=given.clip_seconds, shots=ShotRule(), shared_frames=True)
    flags = model_flags(library, given, work / "lenses")
    spec = run_spec([str(scenes / "videos")], phrases, flags=flags, sampling=sampling)
    annotate.run(spec, out, ExecutorSettings(), RunOptions(max_failed=0.0), films=False, quiet=True)
    print_table(open_dataset(out), library)


def model_flags(library: SceneLibrary, given: argparse.Namespace, lenses: Path) -> ModelFlags:
    """Who does which job, by `given.models` and `given.cameras`."""
    is_estimated, is_oracle = given.cameras == "estimate", given.models == "oracle"
    told: dict[Job, str | None] = {"cameras": str(write_lenses(library, lenses))}
    by_truth = (JOBS if is_oracle else ()) + (() if is_estimated else ("cameras",))
    return ModelFlags(
        profile="none" if is_oracle else "embedded",
        files=told if is_estimated else {},
        scenes=str(lenses.parent / "scenes"),
        oracles=by_truth,
        poses="estimate" if is_estimated else "auto",
    )


def print_table(dataset: Dataset, library: SceneLibrary) -> None:
    print("| film | camera | clips | things, found | IDF1 | with proposals | no links | world, % |")
    print("|---|---|---|---|---|---|---|---|")
    for video_id, record in sorted(library.records.items(), key=lambda pair: pair[1].seed):
        video, scene = dataset.video(video_id), library.scene(video_id)
        number = {(row["clip_id"], row["entity"]): row for row in video.entities().to_pylist()}
        plain = {key: row["identity"] for key, row in number.items()}
        alone = {key: n for n, key in enumerate(number)}
        accepted = with_proposals(number)
        scores = [score(video, scene, names) for names in (plain, accepted, alone)]
        n_true, n_found = len(scene.entities), len(set(plain.values()))
        print(
            f"| {record.seed} | {scene.camera.move} | {len(video.clips())} | {n_true}, {n_found} | "
            + " | ".join(f"{value:.3f}" for value in scores)
            + f" | {100 * world_error(video, scene):.2f} |"
        )


def with_proposals(rows: dict[tuple[str, int], dict[str, object]]) -> dict[tuple[str, int], int]:
    """Identities as somebody has them who accepts every proposal."""
    same: dict[int, int] = {}
    for row in sorted(rows.values(), key=lambda row: int(str(row["identity"]))):
        proposed = row.get("proposed_identity")
        if proposed is not None:
            same[int(str(row["identity"]))] = same.get(int(str(proposed)), int(str(proposed)))
    return {
        key: same.get(int(str(row["identity"])), int(str(row["identity"])))
        for key, row in rows.items()
    }


def score(video: VideoView, scene: Scene, names: dict[tuple[str, int], int]) -> float:
    """IDF1 over the whole film, shared frames once."""
    column = {name: n for n, name in enumerate(sorted(set(names.values())))}
    overlaps, presents = [], []
    for view, length in zip(video.clips(), own_lengths(video.clips()), strict=True):
        truth = ClipTruth(view, scene, usual_depth_m=4.0)
        overlap = np.full((length, len(scene.entities), len(column)), np.nan)
        for m, entity in enumerate(truth.entities):
            there = [
                f for f in range(length)
                if (entity, f) in truth.found_masks and truth.found_masks[entity, f].any()
            ]  # fmt: skip
            overlap[there, :, column[names[view.clip_id, entity]]] = truth.overlap[there, :, m]
        overlaps.append(overlap)
        presents.append(truth.present[:length])
    return idf1(np.concatenate(overlaps), np.concatenate(presents))


def world_error(video: VideoView, scene: Scene) -> float:
    """The largest, over things, of the median distance between a thing's places in the composed
    world and the true ones, as a share of its true way through that world."""
    world_from_room = scene.cam_from_room(0)
    shares = []
    found = {
        (row["clip_id"], row["entity"], row["frame"]): [row[axis] for axis in "xyz"]
        for row in video.tracks(reference="world").to_pylist()
        if row["state"] == "measured"
    }
    errors: dict[int, list[float]] = {k: [] for k in range(len(scene.entities))}
    for view in video.clips():
        truth = ClipTruth(view, scene, usual_depth_m=4.0)
        for true, entity in truth.pairs:
            centres = surface_centres(truth, true)
            for frame, scene_frame in enumerate(truth.answers.scene_frames):
                place = found.get((view.clip_id, entity, frame))
                if place is None or np.isnan(centres[frame]).any():
                    continue
                room = apply(inverse(scene.cam_from_room(scene_frame)), centres[frame])
                expected = apply(world_from_room, room)
                known = np.array(place, np.float64)
                errors[true].append(float(np.linalg.norm(known - expected)))
    for true, of_thing in errors.items():
        way = np.linalg.norm(np.diff(scene.motion.position[:, true], axis=0), axis=1).sum()
        if of_thing:
            shares.append(float(np.median(of_thing)) / float(way))
    return max(shares, default=float("nan"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--first-seed", type=int, default=904000)
    parser.add_argument("--films", type=int, default=4)
    parser.add_argument("--clip-seconds", type=float, default=20.0)
    parser.add_argument("--models", choices=["oracle", "embedded"], default="oracle")
    parser.add_argument("--cameras", choices=["oracle", "estimate"], default="oracle")
    given = parser.parse_args()
    main(given.work, given)
