"""The official sizes on the CPU: `annotate --profile small` on the first 16 frames of real clips,
and a forward pass of every model of another profile. Weights are random: they cost what published
ones do, and a detector that knows nothing answers everywhere, so the limits are put to the test.

    python -m tests.bench.bench_official_sizes [small [CLIP...] | PROFILE [JOB...]]

Without words: small, then mass. CLIP: a part of the file's name. Masks cost 5 to 9 CPU-s a thing
and frame, so at most two things are followed, or as many as MASSANNOT_BENCH_THINGS says; the usual
limit of twenty is put to the test with tiny random models
(tests/end_to_end/test_random_models_on_real_clips.py). Weights are written once into the folder
that MASSANNOT_BENCH_WEIGHTS names (5 GB for mass, 10 for frontier), else into a temporary one. CPU
time is that of one thread.
"""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from massannot.clip import Clip, Frames
from massannot.inputs.span import Span, VideoSource
from massannot.models.profiles import named
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.spec import RunSpec
from massannot.stages._stage import Pipeline, StageTime
from massannot.video.reader import probe, read_clips
from massannot.video.sampling import Sampling

MEDIA = Path(__file__).parents[3] / "shared" / "media"
N_FRAMES = 16
PHRASES = ("a ball", "a person", "a hand")
MOST_ENTITIES = int(os.environ.get("MASSANNOT_BENCH_THINGS", "2"))
MOST_PER_PHRASE = 10
WEIGHTS = "MASSANNOT_BENCH_WEIGHTS"


def main(wanted: list[str]) -> None:
    clips = sorted(MEDIA.glob("*.mp4"))
    if not clips:
        print(f"no clips in {MEDIA}")
        return
    parts = wanted[1:]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(os.environ.get(WEIGHTS, folder))
        for profile in wanted[:1] or ["small", "mass"]:
            if profile == "small":
                write_weights(profile, home, named(profile).jobs)
                print("| clip | step | models, parameters | CPU-s | peak RSS so far, MB |")
                print("|---|---|---|---|---|", flush=True)
                for clip in clips:
                    if not parts or any(part in clip.name for part in parts):
                        alone(home, "annotate_small", str(clip))
            else:
                print("| model | parameters | loading, CPU-s | frames | CPU-s a frame | peak MB |")
                print("|---|---|---|---|---|---|", flush=True)
                for job in parts or [job for job in named(profile).jobs if job in FORWARD]:
                    write_weights(profile, home, [job])
                    alone(home, "forward", profile, job, str(clips[0]))


def write_weights(profile: str, home: Path, jobs: Sequence[str]) -> None:
    """The models of these jobs with random weights under `home` (HF_HOME), unless they are there.
    In a process of its own, whose memory is given back."""
    for job in jobs:
        weights = named(profile).model(job).weights  # type: ignore[arg-type]
        marker = home / f"{str(weights).replace('/', '--')}.written"
        if weights is None or not weights.on_hub or marker.exists():
            continue
        program = (
            "from pathlib import Path\n"
            "from tests.timm_here import let_torchvision_import\n"
            "let_torchvision_import()\n"
            "from massannot.models.profiles import named\n"
            "from tests.random_weights import write_cache\n"
            f"weights = named({profile!r}).model({job!r}).weights\n"
            f"write_cache(weights, Path({str(home / 'hub')!r}))"
        )
        subprocess.run([sys.executable, "-c", program], check=True)
        marker.touch()


def alone(home: Path, function: str, *arguments: str) -> None:
    """In a process of its own, so that peak memory is its own too."""
    program = (
        "from tests.timm_here import let_torchvision_import; let_torchvision_import(); "
        f"from tests.bench.bench_official_sizes import {function}; {function}(*{arguments!r})"
    )
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    environment["OMP_NUM_THREADS"] = "1"
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


def annotate_small(clip: str) -> None:
    """The whole command on one clip, every box believed; prints a row a step and checks limits."""
    from massannot.dataset.reading import open_dataset
    from massannot.dataset.validate import problems
    from massannot.engine.settings import ExecutorSettings
    from massannot.jobs import annotate as job
    from massannot.jobs.run import RunOptions

    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "first_frames.csv"
        rate = float(probe(clip).frame_rate or 25)
        with manifest.open("w", newline="") as file:
            csv.writer(file).writerows(
                [
                    ("video", "start_s", "end_s", "entities"),
                    (clip, 0, (N_FRAMES - 0.5) / rate, ";".join(PHRASES)),
                ]
            )
        spec = run_spec(
            [str(manifest)],
            flags=ModelFlags(profile="small", box_threshold=0.0, text_threshold=0.0),
            options={"propagate_masks.max_entities": str(MOST_ENTITIES)},
            sampling=Sampling(fps=None),
        )
        outcome = job.run(
            TimedSpec(**{part.name: getattr(spec, part.name) for part in fields(spec)}),
            Path(folder) / "out",
            ExecutorSettings(device="cpu", workers=0),
            RunOptions(max_failed=0.0),
            quiet=True,
        )
        if outcome.code != 0:
            raise SystemExit(f"{clip}: {outcome.text}")
        dataset = open_dataset(Path(folder) / "out")
        wrong = list(problems(dataset))
        kept = [row for row in dataset.table("detections").to_pylist() if accepted(row)]
        most = max(Counter((row["frame"], row["phrase"]) for row in kept).values(), default=0)
        n_entities = dataset.table("entities").num_rows
        reasons = Counter(row["rejected"] for row in dataset.table("detections").to_pylist())
        n_frames = dataset.table("frames").num_rows
        print(
            f"| {Path(clip).name} | **all**, {n_frames} frames | {n_entities} entities (limit "
            f"{MOST_ENTITIES}), at most {most} boxes a phrase and frame (limit {MOST_PER_PHRASE}); "
            f"rejected {dict(reasons)} | {time.process_time():.0f} | {peak_mb():.0f} |",
            flush=True,
        )
        if wrong or n_frames != N_FRAMES or n_entities > MOST_ENTITIES or most > MOST_PER_PHRASE:
            raise SystemExit(f"{clip}: a limit was passed, or tables are wrong: {wrong[:3]}")


def accepted(row: dict[str, Any]) -> bool:
    return row["rejected"] != "over_phrase_limit"


class TimedSpec(RunSpec):
    """Builds the same pipeline, which prints what each stage cost."""

    def pipeline(self) -> Pipeline:
        built = super().pipeline()
        return TimedPipeline(built.name, built.stages, built.profile, built.notes)


@dataclass(frozen=True)
class TimedPipeline(Pipeline):
    def process(self, clip: Clip, *, times: list[StageTime] | None = None) -> Clip:
        for stage in self.stages:
            started = time.process_time()
            clip = stage.process(clip)
            took = time.process_time() - started
            models = ", ".join(f"{c.name} {c.n_parameters:,}" for c in stage.cards())
            print(
                f"| {Path(clip.frames.source_id).name} | {stage.name} | {models} | {took:.2f} | "
                f"{peak_mb():.0f} |",
                flush=True,
            )
        return clip


def forward(profile: str, job: str, clip: str) -> None:
    """One model of the profile on the first frames of a clip; prints its row."""
    model = named(profile).model(job).build()  # type: ignore[arg-type]
    started = time.process_time()
    model.setup(device="cpu")
    loading = time.process_time() - started
    span = Span(0, 3)
    frames = next(
        read.frames
        for read in read_clips(VideoSource(clip, (span,)), sampling=Sampling(fps=None))
        if isinstance(read, Clip)
    )
    pass_ = FORWARD[job]
    started = time.process_time()
    pass_.run(model, first(frames, pass_.n_frames))
    took = (time.process_time() - started) / pass_.n_frames
    card = model.card()
    print(
        f"| {card.weights}, {pass_.what} | {card.n_parameters:,} | {loading:.1f} | "
        f"{pass_.n_frames} | {took:.1f} | {peak_mb():.0f} |",
        flush=True,
    )


def first(frames: Frames, n_frames: int) -> Frames:
    return Frames(
        frames.pixels(0, n_frames),
        video_id=frames.video_id,
        source_id=frames.source_id,
        pts=frames.pts[:n_frames],
        t_s=frames.t_s[:n_frames],
        time_base=frames.time_base,
        source_width=frames.source_width,
        source_height=frames.source_height,
    )


def detect(model: Any, frames: Frames) -> None:
    model.detect(frames, at=range(len(frames)), phrases=PHRASES)


def two_objects(model: Any, frames: Frames) -> None:
    session = model.session(frames)
    width, height = frames.width, frames.height
    for number, (left, right) in enumerate([(0.2, 0.4), (0.6, 0.8)]):
        box = np.array([left * width, 0.3 * height, right * width, 0.7 * height], np.float32)
        session.add_box(number, frame=0, box_xyxy=box)
    for _ in session.propagate(first=1, end=len(frames)):
        pass


def depth(model: Any, frames: Frames) -> None:
    model.estimate_depth(frames)


def hundred_points(model: Any, frames: Frames) -> None:
    points = np.random.default_rng(0).random((100, 3))
    model.track(frames, queries_txy=points * [len(frames), frames.width, frames.height])


@dataclass(frozen=True)
class ForwardPass:
    run: Callable[[Any, Frames], None]
    n_frames: int = 1
    what: str = field(default="one frame")


FORWARD = {
    "detect": ForwardPass(detect),
    "masks": ForwardPass(two_objects, 2, "2 objects"),
    "depth": ForwardPass(depth),
    "tracks": ForwardPass(hundred_points, N_FRAMES, "100 points, both directions"),
}


def peak_mb() -> float:
    """Highest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main(sys.argv[1:])
