"""A frame that two clips share counts once, whoever reads: exports, scores, calibrations."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from massannot.dataset.arrays import short_rows
from massannot.dataset.reading import Dataset, open_dataset
from massannot.dataset.touching import clips_once, lengths_once, n_frames_once, own_view
from massannot.evaluate import known_truth
from massannot.evaluate.clip_scores import score_clip
from massannot.evaluate.clip_truth import ClipTruth
from massannot.evaluate.position_scores import motion_scores
from massannot.exporters import coco, tapvid3d
from massannot.exporters import csv as csv_export
from massannot.models.recorded.json_files import read_json
from massannot.tables import spec
from tests.unit import long_film
from tests.unit.long_film import TWO_SHOTS
from tests.unit.stated_intervals import OPTIONS, stated_clips, with_tables

ONE, TWO, THREE, AFTER_CUT = TWO_SHOTS
EVERY = list(range(40))
"""Frames of the film."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return long_film.write(tmp_path_factory.mktemp("film") / "out")


def pts_of(part: long_film.Part, n_frames: int) -> list[int]:
    return list(part.frames)[:n_frames]


def test_of_clips_that_touch_the_later_one_has_the_shared_frame(film: Dataset) -> None:
    lengths = {ONE.clip_id: 9, TWO.clip_id: 10, THREE.clip_id: 11, AFTER_CUT.clip_id: 10}
    assert lengths_once(film) == lengths
    assert n_frames_once(film) == 40
    views = list(clips_once(film))
    assert [pts for view in views for pts in view.table("frames")["pts"].to_pylist()] == EVERY
    assert {view.clip_id: len(view) for view in views} == lengths


@pytest.mark.parametrize("part", TWO_SHOTS, ids=lambda part: part.clip_id)
def test_a_clip_without_its_last_frame_obeys_its_tables(
    film: Dataset, part: long_film.Part
) -> None:
    """Every table is what it was, less the frame; points that were chosen in it are gone."""
    whole = film.clip(part.clip_id)
    n = len(whole) - 1
    view = own_view(whole, n)
    assert (view.row["end_pts"], view.row["t1_s"]) == (part.last, (part.last - 1) / long_film.FPS)
    for name in film.names:
        if spec(name).of_clips:
            spec(name).check(view.table(name))
    tracks = whole.tracks()
    early = tracks.query_frame < n
    assert early.sum() == len(part.things)
    np.testing.assert_array_equal(view.tracks().xyz, tracks.xyz[:n, early])
    np.testing.assert_array_equal(view.positions().xyz_cam, whole.positions().xyz_cam[:n])
    assert set(view.table("entities")["last_frame"].to_pylist()) == {n - 1}
    assert view.table("segments")["end_frame"].to_pylist() == [n]


def test_a_thing_that_only_the_shared_frame_shows_is_the_later_clips(film: Dataset) -> None:
    whole = film.clip(ONE.clip_id)
    late = [
        row | {"first_frame": 9 * (row["entity"] == 1)}
        for row in short_rows(whole.table("entities"))
    ]
    whole._read["entities"] = spec("entities").from_rows(late)
    view = own_view(whole, 9)
    assert view.table("entities")["entity"].to_pylist() == [0, 2]
    for name in ("masks", "positions", "tracks_xy", "tracks_xyz", "motions"):
        assert set(view.table(name)["entity"].to_pylist()) == {0, 2}, name
    film.clip(ONE.clip_id)


def test_csv_has_a_row_for_each_thing_and_frame_of_the_film(film: Dataset, tmp_path: Path) -> None:
    rows = []
    for path in csv_export.export(film, tmp_path).files:
        with path.open(newline="") as file:
            rows += list(csv.DictReader(file))
    times = Counter(round(float(row["t_s"]) * long_film.FPS) for row in rows)
    assert times == dict.fromkeys(EVERY, 3)


@pytest.mark.parametrize(("shared_frames", "n_frames"), [(False, 40), (True, 42)])
def test_coco_has_the_shared_frame_twice_only_where_it_is_asked_for(
    film: Dataset, tmp_path: Path, shared_frames: bool, n_frames: int
) -> None:
    coco.export(film, tmp_path, options=coco.CocoOptions(shared_frames=shared_frames))
    content = json.loads((tmp_path / coco.FILE).read_text())
    pts = [at for video in content["videos"] for at in video["pts"]]
    assert (sorted(set(pts)), len(pts)) == (EVERY, n_frames)
    shown = [mask for each in content["annotations"] for mask in each["segmentations"] if mask]
    assert len(shown) == 3 * n_frames
    read = read_json(str(tmp_path / coco.FILE), crowd=False)
    assert sum(video.n_rows for video in read.videos) == n_frames


def test_tracks_of_a_benchmark_end_where_the_next_clips_begin(
    film: Dataset, tmp_path: Path
) -> None:
    files = {path.stem: tapvid3d.read(path) for path in tapvid3d.export(film, tmp_path).files}
    for part, n_own in zip(TWO_SHOTS, (9, 10, 11, 10), strict=True):
        found = files[part.clip_id]
        n_points = len(part.things) * (1 if part.shares_last else 2)
        assert found.tracks_xyz.shape == (n_own, n_points, 3)
        assert found.queries_xyt is not None
        assert found.queries_xyt[:, 2].max() < n_own


def without_masks_at_the_end(clip: ClipTruth) -> ClipTruth:
    """The same clip, which finds nothing in its last frame and moves everything there."""
    last = clip.n_frames - 1
    masks = [row for row in clip.view.table("masks").to_pylist() if row["frame"] < last]
    positions = [
        row | ({"z_cam": 2 * row["z_cam"]} if row["frame"] == last and row["z_cam"] else {})
        for row in clip.view.table("positions").to_pylist()
    ]
    return with_tables(
        clip,
        masks=spec("masks").from_rows(masks),
        positions=spec("positions").from_rows(positions),
    )


def test_scores_of_frames_leave_the_shared_one_out_and_motions_keep_it() -> None:
    (clip,) = stated_clips(1, scenes=[5], options=OPTIONS)
    bad = without_masks_at_the_end(clip)
    n_own = clip.n_frames - 1
    own, own_of_bad = (
        ClipTruth(each.view, each.scene, usual_depth_m=3.0, n_own=n_own) for each in (clip, bad)
    )
    assert own.n_frames == n_own
    assert scores(own) == scores(own_of_bad)
    assert scores(own)["masks", "J"] == 1.0 > scores(bad)["masks", "J"]
    motions = {(s.stage, s.metric): s.value for s in motion_scores(clip)}
    assert motions.items() <= scores(own).items()


def scores(clip: ClipTruth) -> dict[tuple[str, str], float]:
    """Those that are known."""
    found = {(s.stage, s.metric): s.value for s in score_clip(clip)}
    return {name: value for name, value in found.items() if not np.isnan(value)}


def test_a_calibration_takes_each_frame_once_from_the_clip_that_the_truth_shows(
    film: Dataset, tmp_path: Path
) -> None:
    """The truth is the film's own tables: every clip finds itself in it, at no distance."""
    truth = known_truth.truth_at(film.layout.out)
    found = list(known_truth.true_clips(open_dataset(film.layout.out), truth, limit=None))
    assert [clip.n_own for clip in found] == [9, 10, 11, 10]
    for clip in found:
        table = clip.tables.table("positions")
        in_camera = np.stack([table[f"{axis}_cam"].to_numpy() for axis in "xyz"], axis=-1)
        np.testing.assert_allclose(clip.surface, in_camera, atol=1e-6)
