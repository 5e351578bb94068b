"""The camera's own motion against turns and ways that are known."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.geometry.bundle_adjustment import rotations
from massannot.geometry.camera import compose, inverse, relative_to_first, rigid
from massannot.geometry.ego_motion import ego_motion, level_down

T = 13
OWN_DOWN = np.array([0.0, 1.0, 0.0])
UNKNOWN = np.full((T, 6, 6), np.nan)


def turned(axis: tuple[float, float, float], degrees: np.ndarray) -> np.ndarray:
    """cam_from_world of a camera that turns about an axis of its first frame."""
    vectors = np.radians(degrees)[:, None] * np.array(axis)
    return inverse(rigid(rotations(vectors), np.zeros((len(degrees), 3))))


RAMP = np.linspace(0, 1, T)
TURNS = [
    ("pan right", turned((0, 1, 0), 31 * RAMP), (31, 0, 0), (31, 0, 0)),
    ("pan left once around", turned((0, 1, 0), -370 * RAMP), (-370, 0, 0), (-370, 0, 0)),
    ("tilt up", turned((1, 0, 0), 20 * RAMP), (0, 20, 0), (0, 20, 0)),
    ("roll clockwise", turned((0, 0, 1), 9 * RAMP), (0, 0, 9), (0, 0, 9)),
    (
        "pan right and most of the way back",
        turned((0, 1, 0), 40 * np.sin(np.pi * 0.9 * RAMP)),
        (40 * np.sin(np.pi * 0.9), 0, 0),
        (39.96, 0, 0),
    ),
]


@pytest.mark.parametrize(("what", "poses", "turn", "farthest"), TURNS, ids=[t[0] for t in TURNS])
def test_turns_are_those_of_a_film_crew(
    what: str, poses: np.ndarray, turn: tuple[float, ...], farthest: tuple[float, ...]
) -> None:
    motion = ego_motion(poses, UNKNOWN, down=OWN_DOWN)
    np.testing.assert_allclose(motion.turn_deg, turn, atol=1e-9)
    np.testing.assert_allclose(motion.farthest_turn_deg, farthest, atol=0.1)
    assert motion.length == motion.farthest == 0
    assert np.isnan(motion.turn_sd_deg).all()
    assert np.isnan(motion.length_sd)


def test_a_camera_that_looks_down_and_pans_does_not_roll() -> None:
    looking_down = rigid(rotations(np.radians([[-20.0, 0, 0]])), np.zeros((1, 3)))
    poses = relative_to_first(compose(inverse(looking_down), turned((0, 1, 0), 40 * RAMP)))
    motion = ego_motion(poses, UNKNOWN, down=level_down(poses))
    np.testing.assert_allclose(motion.turn_deg, (40, 0, 0), atol=0.4)
    in_own_axes = ego_motion(poses, UNKNOWN, down=OWN_DOWN)
    assert abs(in_own_axes.turn_deg[2]) > 10


@pytest.mark.parametrize(
    "poses",
    [turned((0, 0, 1), 30 * RAMP), turned((0.6, 0, 0.8), 30 * RAMP), turned((1, 0, 0), 0 * RAMP)],
    ids=["it rolls", "it tilts and rolls", "it stands still"],
)
def test_without_a_level_axis_down_is_the_cameras_own(poses: np.ndarray) -> None:
    np.testing.assert_allclose(level_down(poses), OWN_DOWN, atol=1e-9)


def test_the_way_is_in_the_axes_of_the_first_frame_and_the_farthest_point_is_known() -> None:
    places = np.stack([0 * RAMP, -0.3 * np.sin(np.pi * RAMP), 0.4 * RAMP], axis=1)
    poses = compose(turned((0, 1, 0), 90 * RAMP), inverse(rigid(np.eye(3), places)))
    start = rigid(rotations(np.array([[0.1, -0.2, 0.3]])), np.array([[1.0, 2.0, 3.0]]))
    motion = ego_motion(compose(poses, start), UNKNOWN, down=OWN_DOWN)
    np.testing.assert_allclose(motion.shift, (0, 0, 0.4), atol=1e-9)
    assert motion.farthest == pytest.approx(0.4) == motion.length
    back = ego_motion(compose(poses, start)[::-1], UNKNOWN, down=OWN_DOWN)
    assert back.length == pytest.approx(0.4)


def test_stated_errors_are_those_of_drawn_poses() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(0, 2e-3, (6, 6))
    cov = np.zeros((T, 6, 6))
    cov[-1] = root @ root.T
    places = np.array([0.3, -0.1, 0.5]) * RAMP[:, None]
    poses = compose(turned((0.2, 1, -0.1), 30 * RAMP), inverse(rigid(np.eye(3), places)))
    motion = ego_motion(poses, cov, down=OWN_DOWN)
    drawn = rng.multivariate_normal(np.zeros(6), cov[-1], 1500)
    ends = compose(rigid(rotations(drawn[:, :3]), drawn[:, 3:]), poses[-1])
    found = [ego_motion(np.stack([poses[0], end]), UNKNOWN[:2], down=OWN_DOWN) for end in ends]
    turns = np.array([one.turn_deg for one in found])
    np.testing.assert_allclose(motion.turn_sd_deg, turns.std(axis=0), rtol=0.08)
    np.testing.assert_allclose(
        motion.shift_cov, np.cov(np.array([one.shift for one in found]).T), rtol=0.15, atol=5e-7
    )
    lengths = np.array([one.length for one in found])
    assert motion.length_sd == pytest.approx(lengths.std(), rel=0.08)
