"""`annotate --profile embedded` against the plain script of the same weights, clips and boxes:
CPU seconds (user and system, all processes, one thread each), alternating, and their ratios; the
peak memory of the largest process, which is the worker or the script.

    python -m tests.bench.bench_plain [N_RUNS [N_CLIPS [N_FRAMES [ROW...]]]]

ROW: a part of a row's name; the plain script is always run. A row in bfloat16 is there where the
processor multiplies it. MASSANNOT_BENCH_BASE: the source tree of another build, whose rows
alternate with this one's.

The script (plain_script.py) is the shortest honest one with transformers; it follows, forwards
only, what `annotate` found, from the boxes with which `annotate` began.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from massannot.dataset.reading import open_dataset
from massannot.models.runtime import cpu_has_bfloat16
from massannot.models.weights import SHIPPED
from massannot.scenes.world import TEST_SEEDS, SceneOptions, make_scene
from massannot.scenes.write import write_scenes

ROOT = Path(__file__).parents[2]
BASE = os.environ.get("MASSANNOT_BENCH_BASE")
PLAINEST = ("--cameras", "assume", "--no-films")
ANNOTATE = {
    "--cameras assume, no films": PLAINEST,
    "all defaults, no films": ("--no-films",),
    "all defaults, films and report": (),
}
if cpu_has_bfloat16():
    ANNOTATE["--dtype bf16, --cameras assume, no films"] = (*PLAINEST, "--dtype", "bf16")


def main(n_runs: int = 5, n_clips: int = 4, n_frames: int = 48, *wanted: str) -> None:
    rows = {k: v for k, v in ANNOTATE.items() if not wanted or any(word in k for word in wanted)}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        manifest = write_manifest(work, n_clips, n_frames)
        prompts = work / "prompts.json"
        for tree in (ROOT, *([Path(BASE)] if BASE else [])):
            cost(tree, work, sys.executable, "-m", "compileall", "-q", str(tree / "massannot"))
        annotate(work, manifest, PLAINEST)
        prompts.write_text(json.dumps(prompts_of(work / "out", manifest)))
        script = (
            sys.executable,
            str(ROOT / "tests/bench/plain_script.py"),
            str(SHIPPED / "embedded"),
        )
        cost(ROOT, work, *script, str(prompts))  # from here on both find their modules compiled
        costs: dict[str, list[Cost]] = defaultdict(list)
        for _ in range(n_runs):
            costs["plain script"].append(cost(ROOT, work, *script, str(prompts)))
            for name, flags in rows.items():
                costs[name].append(annotate(work, manifest, flags))
                if BASE:
                    before = annotate(work, manifest, flags, tree=Path(BASE))
                    costs[f"{name}, the build before"].append(before)
    print(
        "| command | CPU-s, median | to the plain script, median of pairs | all pairs | peak, MB |"
    )
    print("|---|---|---|---|---|")
    for name, runs in costs.items():
        pairs = zip(runs, costs["plain script"], strict=True)
        ratios = [run.cpu_s / plain.cpu_s for run, plain in pairs]
        seconds = statistics.median(run.cpu_s for run in runs)
        peak = statistics.median(run.peak_mb for run in runs)
        print(
            f"| {name} | {seconds:.1f} | {statistics.median(ratios):.2f} | "
            f"{' '.join(f'{ratio:.2f}' for ratio in ratios)} | {peak:.0f} |"
        )


def write_manifest(work: Path, n_clips: int, n_frames: int) -> Path:
    """Rendered films and the things to look for in each."""
    seeds = list(TEST_SEEDS)[:n_clips]
    options = SceneOptions(width=160, height=128, n_frames=n_frames)
    records = write_scenes(work / "scenes", seeds=seeds, options=options)
    manifest = work / "clips.csv"
    with manifest.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("video", "entities"))
        for record, seed in zip(records, seeds, strict=True):
            phrases = make_scene(seed, options).phrases()
            rows.writerow((str(work / "scenes" / record.video), ";".join(phrases)))
    return manifest


def prompts_of(out: Path, manifest: Path) -> list[dict[str, object]]:
    """The text and the first box of each entity, by video."""
    dataset = open_dataset(out)
    uris = {row["clip_id"]: row["uri"] for row in dataset.table("clips").to_pylist()}
    boxes: dict[tuple[str, int], tuple[int, list[float]]] = {}
    for row in dataset.table("detections").to_pylist():
        key = Path(uris[row["clip_id"]]).name, row["entity"]
        if row["entity"] is not None and (key not in boxes or row["frame"] < boxes[key][0]):
            boxes[key] = row["frame"], [row[name] for name in ("x0", "y0", "x1", "y1")]
    with manifest.open(newline="") as file:
        return [
            {
                "video": row["video"],
                "text": " . ".join(row["entities"].split(";")) + " .",
                "boxes": [box for key, box in boxes.items() if key[0] == Path(row["video"]).name],
            }
            for row in csv.DictReader(file)
        ]


def annotate(work: Path, manifest: Path, flags: tuple[str, ...], *, tree: Path = ROOT) -> Cost:
    shutil.rmtree(work / "out", ignore_errors=True)
    command = (sys.executable, "-m", "massannot", "annotate", str(manifest), "-o")
    common = ("--profile", "embedded", "--fps", "all", "--device", "cpu", "--workers", "1", "-q")
    return cost(tree, work, *command, str(work / "out"), *common, *flags)


@dataclass(frozen=True)
class Cost:
    """Of a command and all its processes."""

    cpu_s: float
    peak_mb: float
    """Of the largest process: resident, in MB of 2**20 bytes."""


def cost(tree: Path, work: Path, *command: str) -> Cost:
    """What a command costs, with the code of `tree`. Modules are read as bytecode, as wherever a
    command has run before, though this shell may forbid to write it."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(tree)}
    environment |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(work / "bytecode")}
    log = work / "log.txt"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=work, env=environment, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}\n{log.read_text()}")
    found = Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
    print(f"{found}: {Path(tree).name} {command[1:4]}", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:4]), *sys.argv[4:])  # type: ignore[arg-type]
