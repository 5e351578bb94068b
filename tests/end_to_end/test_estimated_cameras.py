"""Poses estimated from the pictures of rendered scenes, all the way to motions in the world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from massannot.dataset.reading import Dataset, open_dataset
from massannot.engine.settings import ExecutorSettings
from massannot.evaluate.dataset_scores import evaluate
from massannot.jobs import annotate as job
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.spec import RunSpec
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from massannot.video.sampling import Sampling
from tests.end_to_end.conftest import names_of
from tools.measure_cameras import write_lenses

SIZE = {"width": 160, "height": 128, "n_frames": 24, "fps": 12}


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> SceneLibrary:
    """A camera that pans and one that comes nearer."""
    folder = tmp_path_factory.mktemp("moving")
    for seed, move in ((21, "pan"), (22, "dolly")):
        write_scenes(folder, seeds=[seed], options=SceneOptions(**SIZE, camera=move))
    return SceneLibrary(folder)


def spec(moving: SceneLibrary, poses: str) -> RunSpec:
    lenses = write_lenses(moving, moving.folder / "lenses")
    return run_spec(
        flags=ModelFlags(
            profile="none",
            files={"cameras": str(lenses)},
            scenes=str(moving.folder),
            oracles=("detect", "masks", "depth"),
            poses=poses,  # type: ignore[arg-type]
        ),
        sampling=Sampling(fps=None),
    )


def annotated(moving: SceneLibrary, out: Path, poses: str) -> Dataset:
    done = job.annotate(
        str(moving.folder / "videos"),
        prompts=names_of(moving),
        out=out,
        spec=spec(moving, poses),
        settings=ExecutorSettings(device="cpu"),
    )
    assert done.run.failed == 0
    return open_dataset(out)


@pytest.fixture(scope="module")
def estimated(moving: SceneLibrary, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return annotated(moving, tmp_path_factory.mktemp("estimated") / "out", "estimate")


@pytest.mark.seen("moving camera", "oracle")
def test_estimated_cameras_are_right(moving: SceneLibrary, estimated: Dataset) -> None:
    assert set(estimated.table("cameras")["pose_origin"].to_pylist()) == {"estimated"}
    scores = {
        row.metric: row for row in evaluate(estimated, moving).scores if row.stage == "cameras"
    }
    assert scores["ate_from_first_m"].value.value < 0.01
    assert scores["ate_from_first_m"].baseline.value > 0.1
    assert scores["rpe_deg"].value.value < 0.05
    assert scores["kind_right"].value.value == 1.0
    assert scores["region_90_share"].value.value > 0.5


def test_places_and_motions_in_the_world_are_filled(
    moving: SceneLibrary, estimated: Dataset
) -> None:
    motions = estimated.table("motions").to_pylist()
    assert {row["reference"] for row in motions} == {"camera", "world"}
    positions = estimated.table("positions")
    assert positions["x_world"].null_count == positions["x_cam"].null_count
    errors = [row for row in evaluate(estimated, moving).scores
              if row.metric == "median_error_world_m"]  # fmt: skip
    assert errors[0].value.value < 0.05


def test_assumed_poses_leave_the_world_unknown_and_no_stage_behind(
    moving: SceneLibrary, tmp_path: Path
) -> None:
    names = [stage.name for stage in spec(moving, "assume").pipeline().stages]
    assert "estimate_poses" not in names
    dataset = annotated(moving, tmp_path / "out", "assume")
    assert {row["reference"] for row in dataset.table("motions").to_pylist()} == {"camera"}
    cameras = dataset.table("cameras")
    assert set(cameras["pose_origin"].to_pylist()) == {"assumed"}
    assert cameras["pose_cov"].null_count == cameras.num_rows


def test_the_stated_covariance_is_one(estimated: Dataset) -> None:
    upper = np.array(estimated.table("cameras")["pose_cov"].to_pylist())
    assert upper.shape == (48, 21)
    assert (upper[::24] == 0).all()
    full = np.zeros((46, 6, 6))
    rows, columns = np.triu_indices(6)
    full[:, rows, columns] = full[:, columns, rows] = np.delete(upper, [0, 24], axis=0)
    assert (np.linalg.eigvalsh(full) > -1e-15).all()
