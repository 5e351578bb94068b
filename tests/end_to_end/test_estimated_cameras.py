"""Poses estimated from the pictures of rendered scenes, all the way to motions in the world."""

from __future__ import annotations

import re

import numpy as np
import pytest

from massannot.dataset.reading import Dataset, open_dataset
from massannot.engine.settings import ExecutorSettings
from massannot.evaluate.dataset_scores import Row, evaluate
from massannot.geometry.ego_motion import ego_motion, level_down
from massannot.jobs import annotate as job
from massannot.recipes.calibrated import key_of
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.spec import RunSpec
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from massannot.video.sampling import Sampling
from massannot.viewers.summary import profile
from tests.end_to_end.conftest import names_of
from tools.measure_cameras import write_lenses

SIZE = {"width": 160, "height": 128, "n_frames": 16, "fps": 8}


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


@pytest.fixture(scope="module")
def estimated(moving: SceneLibrary, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    out = tmp_path_factory.mktemp("estimated") / "out"
    done = job.annotate(
        str(moving.folder / "videos"),
        prompts=names_of(moving),
        out=out,
        spec=spec(moving, "estimate"),
        settings=ExecutorSettings(device="cpu"),
    )
    assert done.run.failed == 0
    return open_dataset(out)


@pytest.fixture(scope="module")
def scores(moving: SceneLibrary, estimated: Dataset) -> dict[str, Row]:
    return {row.metric: row for row in evaluate(estimated, moving).scores}


@pytest.mark.seen("moving camera", "oracle")
def test_estimated_cameras_are_right(estimated: Dataset, scores: dict[str, Row]) -> None:
    assert set(estimated.table("cameras")["pose_origin"].to_pylist()) == {"estimated"}
    assert scores["ate_from_first_m"].value.value < 0.01
    assert scores["ate_from_first_m"].baseline.value > 0.1
    assert scores["rpe_deg"].value.value < 0.05
    assert scores["kind_right"].value.value == 1.0
    assert scores["region_90_share"].value.value > 0.5


def test_places_and_motions_in_the_world_are_filled(
    estimated: Dataset, scores: dict[str, Row]
) -> None:
    motions = estimated.table("motions").to_pylist()
    assert {row["reference"] for row in motions} == {"camera", "world"}
    positions = estimated.table("positions")
    assert positions["x_world"].null_count == positions["x_cam"].null_count
    assert scores["median_error_world_m"].value.value < 0.05


@pytest.mark.seen("moving camera", "oracle")
def test_profiles_are_in_the_world_and_say_what_the_camera_truly_does(
    estimated: Dataset, moving: SceneLibrary
) -> None:
    for view in estimated.clips():
        text = profile(view)
        assert "Frame of reference: the world" in text
        scene = moving.scene(view.row["video_id"])
        true = np.array([scene.cam_from_room(k) for k in range(scene.n_frames)])
        motion = ego_motion(true, np.full((len(true), 6, 6), np.nan), down=level_down(true))
        turn, way = motion.farthest_turn_deg[0], motion.length
        (line,) = (line for line in text.splitlines() if line.startswith("  Camera: "))
        if scene.camera.move == "pan":
            (side, degrees) = re.findall(r"pans (\w+) (\d+) degree", line)[0]
            assert side == ("right" if turn > 0 else "left")
            assert float(degrees) == pytest.approx(abs(turn), abs=1)
            assert "moves" not in line
        else:
            (metres, low, high) = re.findall(r"moves ([\d.]+) m \(([\d.]+) to ([\d.]+), 68", line)[
                0
            ]
            assert float(metres) == pytest.approx(way, abs=0.03)
            assert float(low) <= float(metres) <= float(high)


def test_only_estimate_adds_the_stage_and_the_calibration_is_that_of_given_poses(
    moving: SceneLibrary,
) -> None:
    specs = [spec(moving, poses) for poses in ("assume", "estimate")]
    assume, estimate = ([stage.name for stage in s.pipeline().stages] for s in specs)
    assert [name for name in estimate if name not in assume] == ["estimate_poses"]
    assert estimate.index("estimate_poses") == assume.index("lift_tracks")
    keys = [key_of(s.pipeline(), s) for s in specs]
    assert keys[0] == keys[1]


def test_the_stated_covariance_is_one(estimated: Dataset) -> None:
    upper = np.array(estimated.table("cameras")["pose_cov"].to_pylist())
    assert upper.shape == (32, 21)
    assert (upper[::16] == 0).all()
    full = np.zeros((30, 6, 6))
    rows, columns = np.triu_indices(6)
    full[:, rows, columns] = full[:, columns, rows] = np.delete(upper, [0, 16], axis=0)
    assert (np.linalg.eigvalsh(full) > -1e-15).all()
