"""Long scenes, cut into clips that share frames: one story, however the run went."""

from __future__ import annotations

import os
import signal

import pytest

from massannot.dataset.reading import Dataset
from massannot.dataset.validate import problems
from massannot.engine.progress import ClipDone, Event, Progress, silent
from massannot.engine.settings import ExecutorSettings
from massannot.evaluate.clip_truth import ClipTruth
from massannot.jobs import annotate as job
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from massannot.video.sampling import Sampling
from massannot.viewers.video_story import video_story
from tests.faults.tiny_run import data_files
from tools.measure_long_films import score

SEEDS = (71, 72)
OPTIONS = SceneOptions(long=True, width=96, height=80, n_frames=40, fps=2, camera="orbit")
N_CLIPS = 8
"""20 s a film, cut every 5 s."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> SceneLibrary:
    folder = tmp_path_factory.mktemp("long")
    write_scenes(folder, seeds=SEEDS, options=OPTIONS)
    return SceneLibrary(folder)


def annotate(
    library: SceneLibrary, out: str, *, workers: int = 0, progress: Progress = silent
) -> job.Annotated:
    scenes = [library.scene(video_id) for video_id in library.records]
    return job.annotate(
        sorted((library.folder / "videos").glob("*.mp4")),
        prompts=sorted({name for scene in scenes for name in scene.phrases()}),
        out=library.folder / out,
        spec=run_spec(
            flags=ModelFlags(
                profile="none", scenes=str(library.folder), oracles=("detect", "masks")
            ),
            recipe="detect_and_segment",
            sampling=Sampling(fps=None, clip_s=5, shared_frames=True),
        ),
        settings=ExecutorSettings(device="cpu", workers=workers),
        progress=progress,
    )


@pytest.fixture(scope="module")
def whole(library: SceneLibrary) -> Dataset:
    done = annotate(library, "whole")
    assert (done.run.done, done.run.failed) == (N_CLIPS, 0)
    assert done.dataset is not None
    return done.dataset


def test_look_alikes_keep_their_identity_from_clip_to_clip(
    library: SceneLibrary, whole: Dataset
) -> None:
    """Every link leads to the same true thing."""
    assert list(problems(whole)) == []
    for video_id in library.records:
        video, scene = whole.video(video_id), library.scene(video_id)
        rows = {(r["clip_id"], r["entity"]): r for r in video.entities().to_pylist()}
        true = {
            (view.clip_id, entity): thing
            for view in video.clips()
            for thing, entity in ClipTruth(view, scene, usual_depth_m=4.0).pairs
        }
        links = {
            key: (row["linked_from_clip_id"], row["linked_from_entity"])
            for key, row in rows.items()
            if row["how"] != "first"
        }
        assert len(links) >= 8
        assert all(true[key] == true[before] for key, before in links.items())
        plain = {key: row["identity"] for key, row in rows.items()}
        alone = {key: number for number, key in enumerate(rows)}
        assert score(video, scene, plain) > 0.7 > 0.5 > score(video, scene, alone)


def test_a_run_that_was_stopped_and_other_workers_give_the_same_bytes(
    library: SceneLibrary, whole: Dataset
) -> None:
    def stop_once(event: Event) -> None:
        if isinstance(event, ClipDone) and event.clip_index == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    assert annotate(library, "again", progress=stop_once).run.interrupted
    annotate(library, "again")
    annotate(library, "two", workers=2)
    for out in ("again", "two"):
        assert data_files(library.folder / out) == data_files(whole.layout.out)


def test_a_clip_says_where_else_in_the_video_its_things_are(whole: Dataset) -> None:
    first, second = (
        view.clip_id
        for view in whole.video(whole.clip(whole.clip_ids[0]).row["video_id"]).clips()[:2]
    )
    story = video_story(whole, second, link=lambda other: f"../clips/{other}.html")
    assert story is not None
    assert [clip["here"] for clip in story["clips"]] == [False, True, False, False]
    assert [clip["link"] is None for clip in story["clips"]] == [False, True, False, False]
    assert story["clips"][0]["link"] == f"../clips/{first}.html"
    kept = [row for row in whole.table("identities").to_pylist() if row["clip_id"] == second]
    assert {int(e): t["identity"] for e, t in story["things"].items()} == {
        row["entity"]: row["identity"] for row in kept
    }
    linked = {row["entity"] for row in kept if row["linked_from_clip_id"] == first}
    assert linked == {int(e) for e, t in story["things"].items() if 0 in t["clips"]} != set()
