"""Still cameras called moving and moving ones that are found, on annotated rendered scenes.

    massannot scenes render SCENES --seed 904100 --count 80 --width 96 --height 72 --frames 24 \\
        --fps 12 --camera static
    massannot annotate SCENES/videos -p "a red ball" -o OUT --profile none --scenes SCENES \\
        --oracle detect,masks,depth,cameras
    python -m tests.bench.bench_still_camera OUT SCENES

The tracker is Lucas-Kanade. Only one thing is looked for, so that all others are background.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset
from massannot.scenes.scene_record import SceneRecord

SIGMAS = 1.96


def main(out: Path, scenes: Path) -> None:
    clips = Dataset(Layout(out)).table("clips").select(["video_id", "camera_static"]).to_pylist()
    said = {row["video_id"]: row["camera_static"] for row in clips}
    records = [SceneRecord.from_json(p) for p in (scenes / "scenes").glob("*.json")]
    answers: dict[bool, list[bool | None]] = {True: [], False: []}
    for record in records:
        still = record.make().camera.move == "static"
        if record.video_id in said:
            answers[still].append(said[record.video_id])
    print("| camera | called still | called moving | not told | wrong, 95 % (Wilson) |")
    print("|---|---|---|---|---|")
    for still, given in answers.items():
        if not given:
            continue
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
    main(Path(sys.argv[1]), Path(sys.argv[2]))
