"""A finished dataset gets tables that it lacks, from its own rows; its videos are gone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from massannot.dataset.reading import open_dataset
from massannot.dataset.validate import problems
from massannot.errors import UsageError
from massannot.jobs import annotate as job
from massannot.jobs.onto_tables import add_tables
from massannot.jobs.run import RunOptions, retry
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.models import NEEDED
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from tests.end_to_end.conftest import ALL_FRAMES, HERE, names_of
from tests.faults.tiny_run import data_files
from tests.in_process import run_massannot

SHORT = '''
from massannot.recipes.models import cameras, depth, detector, pipeline_of, propagator, tracker
from massannot.stages.detect_phrases import DetectPhrases
from massannot.stages.estimate_cameras import EstimateCameras
from massannot.stages.estimate_depth import EstimateDepth
from massannot.stages.lift_tracks import LiftTracks
from massannot.stages.propagate_masks import PropagateMasks
from massannot.stages.split_segments import SplitSegments
from massannot.stages.stabilize_depth import StabilizeDepth
from massannot.stages.store_depth import StoreDepth
from massannot.stages.summarize_clip import SummarizeClip
from massannot.stages.track_points import TrackPoints


def pipeline(spec):
    """The annotation without what is made of rows alone."""
    return pipeline_of(
        "short", spec, SplitSegments(), DetectPhrases(detector(spec)),
        PropagateMasks(propagator=propagator(spec)),
        TrackPoints(tracker(spec), max_per_entity=spec.grid_size**2),
        EstimateCameras(cameras(spec)), EstimateDepth(depth(spec)), StabilizeDepth(),
        StoreDepth(), LiftTracks(), SummarizeClip(),
    )
'''


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`full` by the whole recipe, `short` by one that ends before positions."""
    folder = tmp_path_factory.mktemp("found")
    options = SceneOptions(width=96, height=80, n_frames=16, camera="static")
    write_scenes(folder / "world", seeds=[11, 12], options=options)
    world = SceneLibrary(folder / "world")
    (folder / "short.py").write_text(SHORT)
    flags = ModelFlags(profile="none", scenes=str(world.folder), oracles=NEEDED)
    spec = run_spec(flags=flags, sampling=ALL_FRAMES)
    for out, recipe in (("full", "annotate"), ("short", str(folder / "short.py"))):
        job.annotate(
            str(world.folder / "videos"),
            prompts=list(names_of(world)),
            out=folder / out,
            spec=replace(spec, recipe=recipe, depth_maps=recipe == "annotate", calibration="none"),
            settings=HERE,
        )
    shutil.rmtree(world.folder / "videos")
    return folder


@pytest.fixture
def out(found: Path, tmp_path: Path) -> Path:
    shutil.copytree(found / "short", tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.seen("tables added to a finished dataset", "oracle")
def test_tables_from_rows_are_those_of_the_whole_recipe(found: Path, out: Path) -> None:
    full, before = open_dataset(found / "full"), open_dataset(out)
    assert not {"positions", "motions", "events"} & {*before.names}
    files = data_files(out)
    run_massannot(f"annotate --onto {out} --add-table positions,motions,events", out.parent)
    after = open_dataset(out)
    assert list(problems(after)) == []
    assert {path: data for path, data in data_files(out).items() if path in files} == files
    for name in ("positions", "motions", "events"):
        mine, other = after.table(name), full.table(name)
        assert mine.num_rows == other.num_rows > 0, name
        for column in mine.column_names:
            here, there = mine[column].to_pylist(), other[column].to_pylist()
            if column in ("state", "basis", "kind", "entities", "reference", "frame", "entity"):
                assert here == there, (name, column)
    for column in ("x_cam", "y_cam", "z_cam", "x_world", "x_half_90"):
        here, there = (t.table("positions")[column].to_numpy() for t in (after, full))
        np.testing.assert_allclose(here, there, atol=2e-3, rtol=2e-2)  # depth of 16 bits
    here, there = (t.table("motions")["length"].to_numpy() for t in (after, full))
    np.testing.assert_allclose(here, there, atol=2e-3)
    card = (out / "README.md").read_text()
    assert "* `motions`, by `massannot annotate --onto" in card
    stands = data_files(out)
    add_tables(out, ["events"], quiet=True)
    assert data_files(out) == stands
    with pytest.raises(UsageError, match="positions, motions, events were added"):
        retry(out, ("failed",), HERE, RunOptions(), quiet=True)


WRONG = {
    "masks": "found .'masks'., expected segments, cameras",
    "": "found none, expected",
    "tracks_xyz": "has tracks_xyz; what stands is not made again",
    "motions": "motions reads positions, which .* does not have",
    "events": "events reads positions",
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_what_stands_or_cannot_be_made_is_refused_by_name(found: Path, name: str) -> None:
    files = data_files(found / "short")
    with pytest.raises(UsageError, match=WRONG[name]):
        add_tables(found / "short", [name], quiet=True)
    assert data_files(found / "short") == files
    assert not (found / "short" / "_run" / "tables.json").exists()
