"""The shipped calibrations, and how often the intervals that they make hold the truth.

    python -m tools.make_calibrations --work DIR                  # writes massannot/calibrations
    python -m tools.make_calibrations --work DIR --check          # evaluates, on seeds of its own,
                                                                  # into docs/accuracy.md
    python -m tools.make_calibrations --work DIR --profile oracle --clips 64 --into DIR  # a trial

Scenes are rendered at 160x128, 24 frames, 12 a second; half of them with a moving camera. Asked are
six phrases a clip, true names and hard negatives; the lens and the poses are given. `embedded`
takes about 10 CPU-seconds a clip, `oracle` 4. What was interrupted goes on. `embedded_bf16` is left
out on a processor without bfloat16.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent))

from massannot.models.runtime import cpu_has_bfloat16
from massannot.recipes.calibrated import SHIPPED
from massannot.scenes.world import CALIBRATION_SEEDS, COVERAGE_SEEDS, SceneOptions, make_scene
from massannot.scenes.write import write_scenes
from tools.coverage_page import write_page
from tools.embedded.measured import phrases_of

DOCS = Path(__file__).parent.parent / "docs"
BARE = ("--calibration", "none")
OPTIONS = SceneOptions(n_frames=24, fps=12)
MODELS = {
    "embedded": ("--profile", "embedded", "--oracle", "cameras"),
    "embedded_bf16": ("--profile", "embedded", "--oracle", "cameras", "--dtype", "bf16"),
    "oracle": ("--profile", "none", "--oracle", "detect,masks,depth,tracks,cameras"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for scenes and datasets")
    parser.add_argument(
        "--profile", choices=MODELS, action="append", help="else all that this machine can run"
    )
    parser.add_argument("--clips", type=int, default=len(CALIBRATION_SEEDS))
    parser.add_argument("--into", type=Path, default=SHIPPED, help="folder of the calibrations")
    parser.add_argument("--check", action="store_true", help="evaluate instead, on other seeds")
    args = parser.parse_args()
    seeds = (COVERAGE_SEEDS if args.check else CALIBRATION_SEEDS)[: args.clips]
    scenes = args.work / ("check" if args.check else "fit")
    manifest = _rendered(scenes, seeds)
    evaluations: dict[str, dict[str, Any]] = {}
    can_run = [name for name in MODELS if "bf16" not in MODELS[name] or cpu_has_bfloat16()]
    for name in args.profile or can_run:
        out = args.work / f"{scenes.name}-{name}"
        annotate = (
            "annotate", str(manifest), "--scenes", str(scenes), *MODELS[name], "--fps", "all",
            "--no-films",
        )  # fmt: skip
        _massannot(*annotate, "-o", str(out), *(() if args.check else BARE))
        if args.check:
            picture = DOCS / f"reliability-{name}.svg"
            evaluations[f"`{name}`, calibrated"] = _evaluated(
                out, scenes, "--picture", str(picture)
            )
            _massannot(*annotate, "-o", f"{out}-internal", *BARE, "--reuse", str(out))
            internal = _evaluated(Path(f"{out}-internal"), scenes)
            evaluations[f"`{name}`, from the clip alone (internal)"] = internal
        else:
            target = args.into / f"{name}.json"
            print(_massannot("calibrate", str(out), "--truth", str(scenes), "-o", str(target)))
    if args.check:
        write_page(evaluations, seeds=f"{seeds[0]}..{seeds[-1]}")


def _evaluated(out: Path, scenes: Path, *options: str) -> dict[str, Any]:
    text = _massannot("evaluate", str(out), "--truth", str(scenes), *options, "--json")
    Path(f"{out}.json").write_text(text)
    scores: dict[str, Any] = json.loads(text)
    return scores


def _rendered(folder: Path, seeds: range) -> Path:
    """The manifest of the scenes, which are rendered where they are missing."""
    missing = [seed for seed in seeds if not (folder / "scenes" / f"scene-{seed}.json").is_file()]
    write_scenes(
        folder, seeds=missing, options=OPTIONS, progress=lambda r: print(r.seed, file=sys.stderr)
    )
    rows = [
        {
            "video": f"videos/scene-{seed}.mp4",
            "entities": phrases_of(make_scene(seed, OPTIONS)),
        }
        for seed in seeds
    ]
    manifest = folder / f"{seeds[0]}-{seeds[-1]}.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return manifest


def _massannot(*arguments: str) -> str:
    command = [sys.executable, "-m", "massannot", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
