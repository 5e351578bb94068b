"""What hides a thing, from true masks of rendered scenes, against what truly stands before it.

    python -m tests.bench.bench_occluders [N]        # N scenes with a still camera

Frames are of things that are in the picture and wholly hidden. Propagators say nothing of these.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from massannot.geometry import rle
from massannot.geometry.occlusion import NOTHING, occluders_of_all
from massannot.geometry.presence import HIDDEN, MaskPath, presence_of_all
from massannot.scenes.camera_path import CameraMove
from massannot.scenes.true_answers import Answers
from massannot.scenes.world import SceneOptions, make_scene

SIZE = {"width": 160, "height": 128, "n_frames": 36}
HEIGHT, WIDTH = 96, 120
STILL_SEED, HANDHELD_SEED = 905_300, 905_420


def main(n_scenes: int) -> None:
    print("| camera | hidden frames | said to be hidden | right occluder | another | none |")
    print("|---|---|---|---|---|---|")
    cases: Sequence[tuple[CameraMove, int, int]] = (
        ("static", STILL_SEED, n_scenes),
        ("handheld", HANDHELD_SEED, n_scenes * 2 // 3),
    )
    for camera, first, n in cases:
        counts = sum(_counts(seed, camera) for seed in range(first, first + n))
        print(f"| {camera} | " + " | ".join(map(str, np.asarray(counts).tolist())) + " |")


def _counts(seed: int, camera: CameraMove) -> np.ndarray:
    """(5,) the columns of the table, of one scene."""
    scene = make_scene(seed, SceneOptions(**SIZE, camera=camera, scenario="occluding"))
    n_frames, scale = SIZE["n_frames"], np.array([SIZE["width"] / WIDTH, SIZE["height"] / HEIGHT])
    answers = Answers(scene, tuple(range(n_frames)), HEIGHT, WIDTH, scale)
    paths = {k: _path(answers, k, n_frames) for k in range(len(scene.entities))}
    paths = {k: path for k, path in paths.items() if path.area.any()}
    depth = np.stack(
        [answers.depth_m(t, height=HEIGHT // 2, width=WIDTH // 2) for t in range(n_frames)]
    )
    picture = {"height": HEIGHT, "width": WIDTH, "depth": depth}
    states = presence_of_all(paths, **picture)
    stated = occluders_of_all(paths, states, **picture)
    counts = np.zeros(5, np.int64)
    for k, path in paths.items():
        for t in np.flatnonzero(path.area == 0).tolist():
            by, said = answers.occluder(t, k), stated[k][t]
            if by in paths:
                verdicts = (said == by, said not in (by, NOTHING), said == NOTHING)
                counts += [1, states[k][t] == HIDDEN, *verdicts]
    return counts


def _path(answers: Answers, entity: int, n_frames: int) -> MaskPath:
    rows = []
    for t in range(n_frames):
        counts = rle.encode(answers.mask(t, entity))
        area = rle.area(counts)
        box = rle.box_xyxy(counts, height=HEIGHT, width=WIDTH)
        rows.append((t, counts, box, area, float(area > 0)))
    return MaskPath.of(n_frames, rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 120)
