"""A clip's scale from things of known size."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.cli.flag_texts import known_sizes
from massannot.errors import UsageError
from massannot.stages.state_intervals import stated
from tests.unit.plane_world import PlaneWorld

N = 12
SIDE = 0.8
DISTANCE = 3.0
SIZE = SIDE * (1 + SIDE / np.sqrt(2 * np.pi) / DISTANCE)
"""What a square board measures: it is taken for a ball, whose centre lies deeper."""
FACTOR = 2.5
"""Of the true depth over the depth that is told."""


def boards(**options: object) -> PlaneWorld:
    """Board a goes to the right, board b stands at the left, cut by the border; depth is told
    too small."""
    start = np.array([[-0.2, 0.2, DISTANCE], [-1.7, 0.0, DISTANCE]])
    paths = np.tile(start[:, None], (1, N, 1))
    paths[0] += np.linspace(0, 1, N)[:, None] * [0.5, 0.0, 0.0]
    return PlaneWorld(paths, flicker=np.full(N, 1 / FACTOR), **options)  # type: ignore[arg-type]


def z_of_board_a(world: PlaneWorld) -> float:
    positions = world.annotated().table("positions").slice(0, N)
    return float(np.median(positions["z_cam"].to_numpy()))


@pytest.mark.parametrize("kind", ["metric", "relative"])
def test_positions_are_in_metres_by_a_known_size(kind: str) -> None:
    world = boards(kind=kind, known_sizes={"board a": SIZE})
    row = world.annotated().table("clips").to_pylist()[0]
    assert row["scale_type"] == "metric"
    assert abs(np.log(row["size_scale"] / FACTOR)) < row["size_scale_rel_sd"] < 0.03
    assert z_of_board_a(world) == pytest.approx(DISTANCE, rel=row["size_scale_rel_sd"])


@pytest.mark.parametrize("phrase", ["board c", "board b"], ids=["not there", "cut by the border"])
def test_a_thing_that_is_not_seen_whole_tells_no_scale(phrase: str) -> None:
    world = boards(kind="relative", known_sizes={phrase: SIZE})
    row = world.annotated().table("clips").to_pylist()[0]
    assert (row["scale_type"], row["size_scale"], row["size_scale_rel_sd"]) == (
        "relative",
        None,
        None,
    )
    assert z_of_board_a(world) == pytest.approx(DISTANCE / FACTOR, rel=1e-3)


def test_shifts_of_given_poses_keep_their_own_unit_and_estimated_ones_take_the_factor() -> None:
    way = np.tile(np.eye(4), (N, 1, 1))
    way[:, 0, 3] = np.linspace(0, -0.1, N)
    for origin, factor in (("given", 1.0), ("estimated", FACTOR)):
        world = boards(known_sizes={"board a": SIZE}, cam_from_world=way, pose_origin=origin)
        poses = np.array(world.annotated().table("cameras")["cam_from_world"].to_pylist())
        assert poses[-1].reshape(4, 4)[0, 3] == pytest.approx(-0.1 * factor, rel=0.02)


def test_the_error_of_the_scale_is_that_of_the_whole_clip() -> None:
    clip = boards(known_sizes={"board a": SIZE}).annotated()
    row = clip.table("clips").to_pylist()[0]
    tables = stated(clip, None)
    assert tables["clips"]["range_rel_sd"][0].as_py() == pytest.approx(row["size_scale_rel_sd"])


@pytest.mark.parametrize(
    "text", ["a ball", "a ball=", "a ball=0", "a ball=24cm", "=1", "a ball=nan"]
)
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="known-size"):
        known_sizes([text])


def test_two_sizes_of_one_phrase_are_refused() -> None:
    assert known_sizes(["a ball=0.24", "a box=1"]) == {"a ball": 0.24, "a box": 1.0}
    with pytest.raises(UsageError, match="two sizes"):
        known_sizes(["a ball=0.24", "a ball=0.3"])
