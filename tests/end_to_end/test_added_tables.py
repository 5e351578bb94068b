"""A finished dataset gets tables that it lacks, from its own rows; its videos are gone."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from massannot.dataset import commits
from massannot.dataset.layout import Layout
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
from massannot.storage import durable
from tests.end_to_end.conftest import ALL_FRAMES, HERE, names_of
from tests.faults.tiny_run import data_files
from tests.in_process import run_massannot

OF_0_1 = Path(__file__).parents[1] / "data" / "v0_1_0" / "data"
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


def as_of_0_1(out: Path, full: Path) -> None:
    """Turn a run into one of version 0.1: its record, and `positions` and `motions` of their first
    version, whose numbers nobody may look at any more."""
    layout = Layout(out)
    record = json.loads(layout.record.read_bytes())
    sampling = ", ".join(f"{k}={v!r}" for k, v in record["spec"]["sampling"].items())
    identity = {"prompts": record["spec"]["phrases"], "recipe": record["recipe"]}
    old = {name: record[name] for name in ("digest", "notes", "starts")}
    old |= {"identity": identity | {"sampling": f"Sampling({sampling})"}, "weights": []}
    for start in old["starts"]:
        del start["other_code"]
    (layout.run / "run.json").write_text(json.dumps(old))
    layout.record.unlink()
    for commit in commits.read_all(layout):
        files = [*commit.files]
        for name in ("positions", "motions"):
            table = first_version(pq.read_table(Layout(full).published(name, commit.shard)))
            path = layout.published(name, commit.shard)
            path.parent.mkdir(exist_ok=True)
            pq.write_table(table, path)
            size, sha256 = path.stat().st_size, durable.sha256_of(path)
            files.append(commits.CommittedFile(name, table.num_rows, size, sha256))
        text = json.dumps(asdict(replace(commit, files=tuple(files))))
        layout.commit(commit.edition).write_text(text)


def first_version(table: pa.Table) -> pa.Table:
    """`positions` or `motions` with the columns that version 0.1 wrote, each number 9 m too far."""
    metadata = table.schema.metadata | {b"massannot.version": b"1"}
    kept = pq.read_schema(next((OF_0_1 / metadata[b"massannot.table"].decode()).iterdir())).names
    table = table.select([name for name in table.column_names if name in kept])
    for index, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            moved = pc.add(table[field.name], pa.scalar(9, field.type))
            table = table.set_column(index, field, moved)
    table = table.append_column("sigma", pa.nulls(table.num_rows, pa.float32()))
    return table.replace_schema_metadata(metadata)


@pytest.mark.seen("tables added to a finished dataset", "oracle")
@pytest.mark.parametrize("of_0_1", [False, True], ids=["of now", "of 0.1"])
def test_tables_from_rows_are_those_of_the_whole_recipe(
    found: Path, out: Path, of_0_1: bool
) -> None:
    full = open_dataset(found / "full")
    assert not {"positions", "motions", "events"} & {*open_dataset(out).names}
    files = data_files(out)
    if of_0_1:
        as_of_0_1(out, found / "full")
        assert list(problems(open_dataset(out))) == []
        with pytest.raises(UsageError, match=r"events reads positions, which .* in the present"):
            add_tables(out, ["events"], quiet=True)
        with pytest.raises(UsageError, match="motions reads positions; expected both"):
            add_tables(out, ["positions"], quiet=True)
    run_massannot(f"annotate --onto {out} --add-table cameras,positions,motions,events", out.parent)
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
    why = "was written by massannot 0.1.0" if of_0_1 else "events, motions, positions were added"
    with pytest.raises(UsageError, match=why):
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
    assert not (found / "short" / "_run" / "tables").exists()
