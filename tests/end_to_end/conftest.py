"""A rendered world to annotate: two still clips and a moving one, written once a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from massannot.engine.settings import ExecutorSettings
from massannot.jobs import annotate as job
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.models import NEEDED
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from massannot.video.sampling import Sampling

SIZE = {"width": 160, "height": 128, "n_frames": 24}
ALL_FRAMES = Sampling(fps=None)
ONE = "videos/scene-11.mp4"
FINER = 6
FINE_DEPTH = {"depth.height": str(FINER * 128), "depth.width": str(FINER * 160)}
"""Depth six times finer than the picture: what is left is lifting's own error."""


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> SceneLibrary:
    """A folder of scenes."""
    folder = tmp_path_factory.mktemp("world")
    write_scenes(folder, seeds=[11, 12], options=SceneOptions(**SIZE, camera="static"))
    write_scenes(folder, seeds=[13], options=SceneOptions(**SIZE, camera="pan"))
    return SceneLibrary(folder)


def names_of(world: SceneLibrary) -> list[str]:
    """Every name in the world, once."""
    scenes = [record.make() for record in world.records.values()]
    return sorted({name for scene in scenes for name in scene.phrases()})


def annotate(
    world: SceneLibrary,
    out: Path,
    options: Mapping[str, str] | None = None,
    *,
    videos: str = "videos",
    workers: int = 0,
) -> job.Annotated:
    """Everything answered by the truth, every frame annotated."""
    return job.annotate(
        str(world.folder / videos),
        prompts=names_of(world),
        out=out,
        spec=run_spec(
            flags=ModelFlags(profile="none", scenes=str(world.folder), oracles=NEEDED),
            options=options,
            sampling=ALL_FRAMES,
        ),
        settings=ExecutorSettings(device="cpu", workers=workers),
    )


@pytest.fixture(scope="session")
def exact(world: SceneLibrary, tmp_path_factory: pytest.TempPathFactory) -> job.Annotated:
    """The world annotated by oracles that are right, with fine depth."""
    return annotate(world, tmp_path_factory.mktemp("exact") / "out", FINE_DEPTH)


@pytest.fixture(scope="session")
def plain(world: SceneLibrary, tmp_path_factory: pytest.TempPathFactory) -> job.Annotated:
    """One clip annotated by oracles that are right, depth as fine as the picture."""
    return annotate(world, tmp_path_factory.mktemp("plain") / "out", videos=ONE)


HERE = ExecutorSettings(device="cpu", workers=0)


def small_run(folder: Path, *, but: Sequence[str] = ()) -> Path:
    """The output folder of two small clips in one shard, asked for all names but some, answered by
    the truth."""
    options = SceneOptions(width=96, height=80, n_frames=10, camera="static")
    write_scenes(folder / "world", seeds=[11, 12], options=options)
    world = SceneLibrary(folder / "world")
    flags = ModelFlags(profile="none", scenes=str(world.folder), oracles=NEEDED)
    job.annotate(
        str(world.folder / "videos"),
        prompts=[name for name in names_of(world) if name not in but],
        out=folder / "out",
        spec=replace(run_spec(flags=flags, sampling=ALL_FRAMES), shard_pixels=1e12),
        settings=HERE,
    )
    return folder / "out"
