"""Pipelines over one clip that share their stages give what each gives alone, with less work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from massannot.clip import Clip
from massannot.models.oracle import OracleDepth
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.models import NEEDED
from massannot.scenes.world import SceneOptions, make_scene
from massannot.stages._stage import Pipeline
from tests.unit.scene_clip import scene_clip, write_record
from tools.embedded.shared_stages import SharedStages

MASKS_BESIDE = {"propagate_masks.propagator.shift_x_px": "2"}
OTHER_LENS = {"estimate_cameras.model.focal_factor": "0.8"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scene")


@pytest.fixture(scope="module")
def clip(folder: Path) -> Clip:
    scene = make_scene(31, SceneOptions(width=64, height=48, n_frames=10, camera="static"))
    write_record(scene, folder)
    return scene_clip(scene)


def pipeline(folder: Path, options: Mapping[str, str] | None = None) -> Pipeline:
    flags = ModelFlags(profile="none", scenes=str(folder), oracles=NEEDED)
    built = run_spec(flags=flags, options=options, calibration="none").pipeline()
    built.setup(device="cpu")
    return built


def mixed(whole: Pipeline, other: Pipeline, stage: str) -> list[Any]:
    """The stages of `whole` with one of `other`'s."""
    pairs = zip(whole.stages, other.stages, strict=True)
    return [theirs if mine.name == stage else mine for mine, theirs in pairs]


def test_each_pipeline_gives_what_it_gives_alone(folder: Path, clip: Clip) -> None:
    whole, shared = pipeline(folder), SharedStages(clip)
    for changed in ({}, MASKS_BESIDE, OTHER_LENS, {}):
        alone = pipeline(folder, changed)
        stages = list(whole.stages)
        for name in changed:
            stages = mixed(whole, alone, name.partition(".")[0])
        together, expected = shared.process(stages), alone.process(clip)
        assert set(together.tables) == set(expected.tables)
        assert together.table("positions").num_rows > 0
        for name, table in expected.tables.items():
            assert together.table(name).equals(table), (changed, name)


def test_a_stage_runs_again_only_where_what_it_reads_is_other(
    folder: Path, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    focal_lengths: list[float | None] = []
    real = OracleDepth.estimate_depth

    def noted(self: OracleDepth, frames: Any, *, focal_px: float | None = None) -> Any:
        focal_lengths.append(focal_px)
        return real(self, frames, focal_px=focal_px)

    monkeypatch.setattr(OracleDepth, "estimate_depth", noted)
    whole, shared = pipeline(folder), SharedStages(clip)
    beside, lens = pipeline(folder, MASKS_BESIDE), pipeline(folder, OTHER_LENS)
    shared.process(whole.stages)
    shared.process(mixed(whole, beside, "propagate_masks"))
    assert len(focal_lengths) == 1
    shared.process(mixed(whole, lens, "estimate_cameras"))
    first, second = focal_lengths
    assert second == pytest.approx(0.8 * first)
