"""A rolling shutter is told from the way a shaken picture leans, and never of a global one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from massannot.geometry.bundle_adjustment import rotations
from massannot.geometry.camera import inverse, project, rigid
from massannot.geometry.rolling_shutter import rolling_shutter

F64 = NDArray[np.float64]
SIZE = (160, 128)
LENS = np.array([150.0, 150.0, 80.0, 64.0])
N_FRAMES, N_POINTS = 24, 150


def poses(kind: str, times: F64, rng: np.random.Generator) -> F64:
    """(len(times), 4, 4) cam_from_world at times in frame intervals."""
    turn, way = np.zeros((2, len(times), 3))
    if kind == "pan":
        turn = times[:, None] * [0.002, 0.02, 0.0]
    elif kind == "walk":
        way = times[:, None] * [0.01, 0.0, 0.04]
        way[:, 1] += 0.02 * np.sin(0.4 * np.pi * times)
        turn[:, 1] += 0.01 * np.sin(0.2 * np.pi * times)
    else:
        for rate in (0.11, 0.19, 0.31):
            wave = np.sin(2 * np.pi * rate * times[:, None] + rng.uniform(0, 6, 3))
            turn += rng.normal(0, 0.008, 3) * wave
            way += rng.normal(0, 0.015, 3) * wave
    return inverse(rigid(rotations(turn), way))


def told(kind: str, seed: int, *, readout: float, along: int = 1) -> bool | None:
    """What is said of a room with a floor, a tenth of whose points move on their own."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(2.3, 6, N_POINTS)
    floor = rng.random(N_POINTS) < 0.5
    room = np.column_stack(
        [
            rng.uniform(-0.7, 0.7, N_POINTS) * z,
            np.where(floor, 1.0, rng.uniform(-0.4, 0.4, N_POINTS) * z),
            z,
        ]
    )
    speed = (rng.random(N_POINTS) < 0.1)[:, None] * np.array([0.03, -0.01, 0.0])
    xy = np.zeros((N_FRAMES, N_POINTS, 2))
    for frame in range(N_FRAMES):
        times = np.full(N_POINTS, float(frame))
        for _ in range(3):  # a point's row says when it is seen, and that its row
            camera = poses(kind, times, np.random.default_rng(seed))
            places = room + speed * times[:, None]
            seen = np.einsum("nij,nj->ni", camera[:, :3, :3], places) + camera[:, :3, 3]
            xy[frame] = project(seen, LENS)
            times = frame + readout * (xy[frame, :, along] - LENS[2 + along]) / SIZE[along]
    xy += rng.normal(0, 0.1, xy.shape)
    visible = ((xy > 0) & (xy < SIZE)).all(axis=-1)
    lenses = np.tile(LENS, (N_FRAMES, 1))
    return rolling_shutter(xy, visible, picture_size=SIZE, intrinsics=lenses)


@pytest.mark.parametrize("kind", ["shake", "walk"])
@pytest.mark.parametrize(("along", "readout"), [(1, 0.3), (1, 0.7), (1, -0.5), (0, 0.5), (0, -0.5)])
def test_a_rolling_shutter_is_told_whatever_way_the_camera_is_held(
    kind: str, along: int, readout: float
) -> None:
    assert [told(kind, seed, readout=readout, along=along) for seed in range(4)].count(True) >= 3


@pytest.mark.parametrize("kind", ["shake", "walk", "pan"])
def test_a_global_shutter_is_never_called_rolling(kind: str) -> None:
    said = [told(kind, seed, readout=0.0) for seed in range(8)]
    assert True not in said
    assert kind == "pan" or said.count(False) >= 3


def test_of_a_camera_that_turns_evenly_nothing_is_said() -> None:
    assert {told("pan", seed, readout=0.7) for seed in range(4)} == {None}
