"""Real video through the same command, with boxes, masks and depth from files a user might have."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from massannot.dataset.reading import Dataset
from massannot.engine.settings import ExecutorSettings
from massannot.jobs import annotate as job
from massannot.jobs.drawing import films_of, report_of
from massannot.models.profiles import Job
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.tables._consistency import problems
from massannot.video.reader import probe
from massannot.video.sampling import Sampling

MEDIA = Path(__file__).parents[3] / "shared" / "media"
CLIPS = sorted(MEDIA.glob("*.mp4"))
pytestmark = pytest.mark.skipif(not CLIPS, reason="no clips in ../shared/media")

FPS = 2.0
BOX_SHARE = (0.3, 0.3, 0.6, 0.8)
"""Where the recorded thing is, as shares of width and height: it stands still."""


def recorded(folder: Path) -> ModelFlags:
    """One thing per clip, in a YouTube-VIS file and one of depth a clip."""
    videos, annotations = [], []
    (folder / "depth").mkdir()
    for number, path in enumerate(CLIPS, start=1):
        header = probe(str(path))
        length = int(header.n_frames or 0)
        x0, y0, x1, y1 = (
            round(share * size)
            for share, size in zip(BOX_SHARE, (header.width, header.height) * 2, strict=True)
        )
        polygon = [x0, y0, x1, y0, x1, y1, x0, y1]
        names = [f"{path.stem}/{k:05d}.jpg" for k in range(length)]
        videos.append(
            {
                "id": number,
                "width": header.width,
                "height": header.height,
                "length": length,
                "file_names": names,
                "fps": float(header.frame_rate or 25),
            }
        )
        annotations.append(
            {
                "id": number,
                "video_id": number,
                "category_id": 1,
                "score": 0.8,
                "segmentations": [[polygon]] * length,
                "bboxes": [[x0, y0, x1 - x0, y1 - y0]] * length,
            }
        )
        n_rows = round(80 * header.height / header.width)
        ramp = np.linspace(2, 5, n_rows, dtype=np.float32)[None, :, None]
        np.savez(
            folder / "depth" / f"{path.stem}.npz",
            depth=np.broadcast_to(ramp, (length, n_rows, 80)),
            fps=float(header.frame_rate or 25),
        )
    file = folder / "things.json"
    file.write_text(
        json.dumps(
            {
                "videos": videos,
                "annotations": annotations,
                "categories": [{"id": 1, "name": "thing"}],
            }
        )
    )
    files: dict[Job, str | None] = {"masks": str(file), "depth": str(folder / "depth")}
    return ModelFlags(profile="none", files=files, hfov_deg=60.0)


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("real")
    sampling = Sampling(fps=FPS, long_side=640)
    done = job.annotate(
        [str(path) for path in CLIPS],
        prompts=["a thing", "a unicorn"],
        out=folder / "out",
        spec=run_spec(flags=recorded(folder), sampling=sampling, depth_maps=True),
        settings=ExecutorSettings(workers=0),
    )
    assert done.run.failed == 0, done.run.failures
    assert done.dataset is not None
    return done.dataset


@pytest.mark.seen("positions and motions", "files on a real clip")
@pytest.mark.seen("point tracks", "files on a real clip")
def test_every_clip_is_annotated_and_valid(annotated: Dataset) -> None:
    found = {Path(view.row["uri"]).name for view in annotated.clips()}
    assert found == {path.name for path in CLIPS}
    assert [p for shard in annotated.shards for p in problems(annotated.shard(shard))] == []


@pytest.mark.seen("boxes from phrases", "files on a real clip")
@pytest.mark.seen("masks through time", "files on a real clip")
@pytest.mark.seen("depth", "files on a real clip")
def test_the_recorded_thing_is_where_the_file_says_in_source_pixels(annotated: Dataset) -> None:
    for view in annotated.clips():
        width, height = view.row["source_width"], view.row["source_height"]
        expected = np.array(BOX_SHARE) * [width, height, width, height]
        for row in view.table("masks").to_pylist():
            box = [row[name] for name in ("x0", "y0", "x1", "y1")]
            np.testing.assert_allclose(box, expected, atol=2.5)


def test_a_phrase_that_is_not_there_is_a_result(annotated: Dataset) -> None:
    rows = annotated.table("phrases").to_pylist()
    assert {row["n_entities"] for row in rows if row["text"] == "a unicorn"} == {0}
    assert {row["n_entities"] for row in rows if row["text"] == "a thing"} == {1}


def test_times_and_pts_are_the_files_own(annotated: Dataset) -> None:
    for view in annotated.clips():
        row, frames = view.row, view.table("frames")
        t_s = frames["t_s"].to_numpy()
        pts = frames["pts"].to_numpy()
        first = annotated.table("videos").to_pylist()
        start = next(v["first_pts"] for v in first if v["video_id"] == row["video_id"])
        base = row["time_base_num"] / row["time_base_den"]
        np.testing.assert_allclose(t_s, (pts - start) * base, atol=1e-9)
        assert (np.diff(t_s) > 0.4).all()


@pytest.mark.seen("films and report", "files on a real clip")
def test_a_film_and_a_report_can_be_made_of_them(annotated: Dataset) -> None:
    first = annotated.clip_ids[0]
    (film,) = films_of(annotated, clip_ids=[first], drawn=lambda path: None)
    assert film.stat().st_size > 10_000
    index = report_of(annotated)
    assert "a unicorn" in index.read_text()
    assert len(list((index.parent / "clips").glob("*.html"))) == len(annotated.clip_ids)
