"""A film of two rendered scenes, one behind the other: nothing is followed across the cut."""

from __future__ import annotations

import json
import os
import signal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from massannot.dataset.reading import Dataset
from massannot.engine.progress import ClipDone, Event, Progress, silent
from massannot.engine.settings import ExecutorSettings
from massannot.jobs import annotate as job
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.scenes.render import render
from massannot.scenes.world import SceneOptions, make_scene
from massannot.tables._consistency import problems
from massannot.video.film_encoder import FilmWriter
from massannot.video.sampling import Sampling
from massannot.video.shot_rule import ShotRule
from massannot.viewers import summary
from tests.faults.tiny_run import data_files

FPS, N_EACH = 24, 30
WIDTH, HEIGHT = 160, 128
SEEDS = {"a": (11, 12), "b": (13, 14)}
CUT_S = N_EACH / FPS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two films of two scenes, and one mask a film: a thing that stands still in all its frames."""
    folder = tmp_path_factory.mktemp("pasted")
    options = SceneOptions(width=WIDTH, height=HEIGHT, n_frames=N_EACH)
    videos, annotations = [], []
    for number, (name, seeds) in enumerate(SEEDS.items(), start=1):
        path = folder / f"{name}.mp4"
        with FilmWriter(path, width=WIDTH, height=HEIGHT, fps=Fraction(FPS)) as film:
            for seed in seeds:
                scene = make_scene(seed, options)
                for frame in range(N_EACH):
                    film.write(render(scene, frame).rgb)
        n = 2 * N_EACH
        polygon = [40, 30, 90, 30, 90, 80, 40, 80]
        videos.append(
            {
                "id": number,
                "width": WIDTH,
                "height": HEIGHT,
                "length": n,
                "file_names": [f"{name}/{k:05d}.jpg" for k in range(n)],
                "fps": FPS,
            }
        )
        annotations.append(
            {
                "id": number,
                "video_id": number,
                "category_id": 1,
                "score": 0.9,
                "segmentations": [[polygon]] * n,
                "bboxes": [[40, 30, 50, 50]] * n,
            }
        )
    content = {
        "videos": videos,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "thing"}],
    }
    (folder / "things.json").write_text(json.dumps(content))
    return folder


def annotate(
    folder: Path,
    out: str,
    *,
    shots: bool = True,
    workers: int = 0,
    progress: Progress = silent,
) -> job.Annotated:
    flags = ModelFlags(profile="none", files={"masks": str(folder / "things.json")})
    return job.annotate(
        [folder / f"{name}.mp4" for name in SEEDS],
        prompts=["a thing"],
        out=folder / out,
        spec=run_spec(
            flags=flags,
            recipe="detect_and_segment",
            sampling=Sampling(fps=None, shots=ShotRule() if shots else None),
        ),
        settings=ExecutorSettings(device="cpu", workers=workers),
        progress=progress,
    )


@pytest.fixture(scope="module")
def cut(folder: Path) -> Dataset:
    done = annotate(folder, "cut")
    assert (done.run.done, done.run.failed, done.run.remaining) == (4, 0, 0)
    assert done.dataset is not None
    return done.dataset


def spans_of_masks(dataset: Dataset) -> list[tuple[float, float]]:
    """First and last time at which each entity has a mask."""
    spans = []
    for view in dataset.clips():
        t_s = np.array(view.table("frames")["t_s"])
        for entity in view.table("entities")["entity"].to_pylist():
            frames = [r["frame"] for r in view.table("masks").to_pylist() if r["entity"] == entity]
            spans.append((t_s[min(frames)], t_s[max(frames)]))
    return spans


def test_no_entity_spans_the_cut(cut: Dataset) -> None:
    rows = sorted((view.row for view in cut.clips()), key=lambda r: (r["uri"], r["clip_index"]))
    assert [row["shot"] for row in rows] == [0, 1, 0, 1]
    assert [row["n_frames"] for row in rows] == [N_EACH] * 4
    spans = spans_of_masks(cut)
    assert len(spans) == 4
    assert all(last < CUT_S or first >= CUT_S for first, last in spans)
    assert [p for shard in cut.shards for p in problems(cut.shard(shard))] == []


def test_without_shots_the_very_same_entities_span_it(folder: Path) -> None:
    """Else the test above could not fail."""
    whole = annotate(folder, "whole", shots=False).dataset
    assert whole is not None
    spans = spans_of_masks(whole)
    assert len(spans) == 2
    assert all(first < CUT_S < last for first, last in spans)
    assert {view.row["shot"] for view in whole.clips()} == {None}


def test_the_summary_counts_shots(cut: Dataset) -> None:
    known = summary.facts(cut)
    assert known.n_shots == 4
    text = summary.as_text(known, out=cut.layout.out, models=(), notes=(), looks=())
    assert "4 clips of 4 shots, 120 frames" in text
    assert "clips lie in 4 shots" in summary.dataset_text(cut)


def test_a_run_stopped_at_a_cut_goes_on_to_the_same_bytes(cut: Dataset, folder: Path) -> None:
    def stop_once(event: Event) -> None:
        if isinstance(event, ClipDone) and event.clip_index == 0:
            os.kill(os.getpid(), signal.SIGTERM)

    stopped = annotate(folder, "again", progress=stop_once)
    assert stopped.run.interrupted
    assert 0 < stopped.run.done < 4
    assert stopped.run.remaining > 0
    done = annotate(folder, "again")
    assert (done.run.planned, done.run.done, done.run.remaining) == (4, 4, 0)
    assert data_files(folder / "again") == data_files(cut.layout.out)


def test_the_number_of_workers_changes_no_byte(cut: Dataset, folder: Path) -> None:
    annotate(folder, "two", workers=2)
    assert data_files(folder / "two") == data_files(cut.layout.out)
