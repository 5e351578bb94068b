"""Still cameras called moving, and moving ones that are found, on rendered scenes of 96x72.

    python -m tests.bench.bench_still_camera [N]        # N scenes with either camera

The tracker is Lucas-Kanade. Only one thing is looked for, so that all others are background.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from massannot.engine.settings import ExecutorSettings
from massannot.jobs.annotate import annotate
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from massannot.video.sampling import Sampling

SIGMAS = 1.96
SIZE = {"width": 96, "height": 72, "n_frames": 24, "fps": 12}
STILL_SEED, MOVING_SEED = 904_100, 904_500
MOVES = ("pan", "orbit", "dolly")


def main(n_scenes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scenes = Path(folder) / "scenes"
        seeds = range(STILL_SEED, STILL_SEED + n_scenes)
        write_scenes(scenes, seeds=seeds, options=SceneOptions(**SIZE, camera="static"))
        for k, move in enumerate(MOVES):
            seeds = range(MOVING_SEED + k, MOVING_SEED + n_scenes, len(MOVES))
            write_scenes(scenes, seeds=seeds, options=SceneOptions(**SIZE, camera=move))
        oracles = ("detect", "masks", "depth", "cameras")
        done = annotate(
            str(scenes / "videos"),
            prompts=["a red ball"],
            out=Path(folder) / "out",
            spec=run_spec(
                flags=ModelFlags(profile="none", scenes=str(scenes), oracles=oracles),
                sampling=Sampling(fps=None),
            ),
            settings=ExecutorSettings(device="cpu", workers=0),
        )
        assert done.dataset is not None
        clips = done.dataset.table("clips").select(["video_id", "camera_static"]).to_pylist()
        said = {row["video_id"]: row["camera_static"] for row in clips}
        records = SceneLibrary(scenes).records.values()
    answers: dict[bool, list[bool | None]] = {True: [], False: []}
    for record in records:
        answers[record.make().camera.move == "static"].append(said[record.video_id])
    print("| camera | called still | called moving | not told | wrong, 95 % (Wilson) |")
    print("|---|---|---|---|---|")
    for still, given in answers.items():
        counts = [sum(answer is value for answer in given) for value in (True, False, None)]
        wrong = counts[1] if still else counts[0]
        low, high = wilson(wrong, len(given))
        name = "still" if still else "moving"
        print(f"| {name} | {' | '.join(map(str, counts))} | [{low:.3f}, {high:.3f}] |")


def wilson(count: int, total: int) -> tuple[float, float]:
    """Interval of a share whose count may be 0 (Wilson, 1927); the bootstrap's would be a point."""
    if total == 0:
        return float("nan"), float("nan")
    share, spread = count / total, SIGMAS**2 / total
    middle = (share + spread / 2) / (1 + spread)
    half = np.sqrt(spread * share * (1 - share) + spread**2 / 4) / (1 + spread)
    return max(0.0, middle - half), middle + half


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 24)
