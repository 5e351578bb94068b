"""Every recipe of pipelines/ gives its tables, sound, and is short enough to be read at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from massannot.dataset.reading import open_dataset
from massannot.dataset.validate import problems
from massannot.engine.settings import ExecutorSettings
from massannot.errors import BadRecipe
from massannot.jobs.annotate import annotate
from massannot.recipes import registry
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.models import NEEDED
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from massannot.video.sampling import Sampling

SEEN = {"detections", "entities", "looks", "masks", "phrases"}
SPACE = {"cameras", "tracks_xy", "tracks_xyz"}
MOVING = {"positions", "motions", "segments"}
TABLES = {
    "annotate": SEEN | SPACE | MOVING | {"events"},
    "depth_and_cameras": {"cameras", "depth_maps"},
    "detect_and_segment": SEEN,
    "lift_recorded": SEEN | SPACE | MOVING,
    "track_grid": SPACE,
}
ALWAYS = {"clips", "failures", "frames", "identities", "questions", "videos"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_scenes(folder, seeds=[3], options=SceneOptions(width=64, height=48, n_frames=8))
    return folder


def test_the_table_above_names_every_recipe() -> None:
    assert set(TABLES) == set(registry().names())


@pytest.mark.parametrize("name", TABLES)
def test_a_recipe_gives_its_tables(world: Path, tmp_path: Path, name: str) -> None:
    flags = ModelFlags(profile="none", scenes=str(world), oracles=NEEDED)
    needs_phrases = "phrases" in TABLES[name]
    done = annotate(
        str(world / "videos"),
        prompts=["a ball"] if needs_phrases else [],
        out=tmp_path / "out",
        spec=run_spec(recipe=name, flags=flags, sampling=Sampling(fps=None), grid_size=3),
        settings=ExecutorSettings(device="cpu", workers=0),
    )
    assert (done.run.done, done.run.failed) == (1, 0)
    dataset = open_dataset(tmp_path / "out")
    assert set(dataset.names) == TABLES[name] | ALWAYS
    assert list(problems(dataset)) == []
    if name == "track_grid":
        tracks = dataset.table("tracks_xy")
        assert tracks.num_rows == 9
        assert tracks["x"].to_pylist()[0][0] == pytest.approx(64 / 6)


@pytest.mark.parametrize("name", TABLES)
def test_a_recipe_fits_the_screen(name: str) -> None:
    lines = (registry().folder / f"{name}.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 45


def test_a_recipe_without_clips_is_refused_before_anything_is_written(
    world: Path, tmp_path: Path
) -> None:
    file = tmp_path / "bare.py"
    file.write_text(
        "from massannot.recipes.models import pipeline_of\n"
        "from massannot.stages.split_segments import SplitSegments\n"
        "def pipeline(spec):\n"
        "    return pipeline_of('bare', spec, SplitSegments())\n"
    )
    spec = run_spec(recipe=str(file), flags=ModelFlags(profile="none"))
    with pytest.raises(BadRecipe, match="'clips'"):
        annotate(str(world / "videos"), out=tmp_path / "out", spec=spec)
    assert not (tmp_path / "out").exists()
