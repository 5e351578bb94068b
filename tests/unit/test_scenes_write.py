"""Scenes on disk: films and truth that the annotator's own readers accept."""

import filecmp
from pathlib import Path

import numpy as np
import pytest

from massannot.clip import Clip
from massannot.dataset.reading import open_dataset
from massannot.errors import UsageError
from massannot.scenes.render import render
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.world import SCENE_VERSION, SceneOptions, make_scene
from massannot.scenes.write import write_scenes
from massannot.tables import _consistency as consistency
from massannot.video.reader import read_clips
from massannot.video.sampling import Sampling

OPTIONS = SceneOptions(width=64, height=48, n_frames=36, fps=24, n_bodies=3)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, seeds=[7, 8], options=OPTIONS)
    return folder


def test_a_film_shows_the_scene_at_the_scenes_times(out: Path) -> None:
    clip, _ = read_clips(str(out / "videos/scene-7.mp4"), sampling=Sampling(fps=None))
    assert isinstance(clip, Clip)
    scene = make_scene(7, OPTIONS)
    assert clip.frames.t_s.tolist() == [k / 24 for k in range(36)]
    for frame in (0, 17, 35):
        shown = clip.frames.pixels_THWC[frame].astype(float)
        errors = [np.abs(shown - render(scene, k).rgb).mean() for k in (frame, (frame + 9) % 36)]
        assert errors[0] < 6 < errors[1]


def test_the_truth_is_a_dataset(out: Path) -> None:
    dataset = open_dataset(out)
    assert dataset.shards == ("scene-7", "scene-8")
    for shard in dataset.shards:
        consistency.check(dataset.shard(shard))
    view = next(dataset.clips())
    assert view.phrases == tuple(make_scene(7, OPTIONS).phrases())
    assert view.row["scale_type"] == "metric"
    assert view.tracks().xyz.shape[0] == 36


def test_masks_in_the_tables_are_the_pictures_ids(out: Path) -> None:
    view = next(open_dataset(out).clips())
    scene = make_scene(7, OPTIONS)
    for entity in view.table("entities")["entity"].to_pylist():
        for frame in (0, 20):
            expected = render(scene, frame).ids == entity + 1
            assert np.array_equal(view.mask(entity, frame=frame), expected)


def test_rendering_twice_gives_equal_bytes(out: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    write_scenes(tmp_path / "again", seeds=[7], options=OPTIONS)
    assert filecmp.cmp(
        out / "videos/scene-7.mp4", tmp_path / "again/videos/scene-7.mp4", shallow=False
    )
    before = {p.name: p.read_bytes() for p in out.glob("data/*/scene-7.parquet")}
    write_scenes(out, seeds=[7], options=OPTIONS)
    assert {p.name: p.read_bytes() for p in out.glob("data/*/scene-7.parquet")} == before


def test_the_record_makes_the_same_scene_again(out: Path) -> None:
    library = SceneLibrary(out)
    clip, _ = read_clips(str(out / "videos/scene-8.mp4"))
    assert isinstance(clip, Clip)
    scene = library.scene(clip.video.video_id)
    assert (scene.seed, scene.options) == (8, OPTIONS)
    assert "0.5 m tiles" in library.records[clip.video.video_id].description


def test_a_record_of_another_version_is_refused(out: Path, tmp_path: Path) -> None:
    (tmp_path / "scenes").mkdir()
    text = (out / "scenes/scene-7.json").read_text()
    newer = text.replace(f'"version": {SCENE_VERSION}', '"version": 99')
    (tmp_path / "scenes/scene-7.json").write_text(newer)
    with pytest.raises(UsageError, match=f"found scene version 99, expected {SCENE_VERSION}"):
        _ = SceneLibrary(tmp_path).records


REFUSED = [
    ({"width": 65}, "even sizes"),
    ({"n_frames": 257}, "at most 256 frames"),
    ({"n_frames": 50, "fps": 2}, "20 s"),
]


@pytest.mark.parametrize(("changed", "message"), REFUSED)
def test_what_does_not_fit_one_clip_is_refused(
    changed: dict[str, int], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        write_scenes(tmp_path, seeds=[1], options=SceneOptions(**changed))
