"""A zoom is told from a camera that moves by the parallax that it does not leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from massannot.geometry.camera import project
from massannot.geometry.zoom import zooms
from tests.unit.test_camera_adjustment import LENS, N_FRAMES, N_POINTS, SIZE, tracks, truth

INTRINSICS = np.tile(LENS, (N_FRAMES, 1))
SHARE = np.linspace(0, 1, N_FRAMES)


def told(
    move: str,
    *,
    factor: np.ndarray | None = None,
    flat: bool = False,
    noise_px: float = 0.1,
    depth_error: float = 0.0,
    **options: Any,
) -> bool | None:
    """What is said of points that a camera sees; `factor` (T,): of its focal length in each frame.
    `flat`: all of them are equally far. `depth_error`: of the logarithm of a point's depth."""
    xy, visible, z = tracks(truth(move), noise_px=noise_px, **options)
    z = z * np.exp(np.random.default_rng(5).normal(0, depth_error, N_POINTS))
    if flat:
        z = np.full_like(z, 4.0)
        rng = np.random.default_rng(3)
        at = np.column_stack([rng.uniform(-2, 2, N_POINTS), rng.uniform(-1.6, 1.6, N_POINTS)])
        here = np.column_stack([at, np.full(N_POINTS, 4.0)])[None] - SHARE[:, None, None] * [
            0,
            0,
            0.8,
        ]
        z = here[..., 2]
        xy = project(here, LENS)
    if factor is not None:
        xy = LENS[2:] + factor[:, None, None] * (xy - LENS[2:])
    visible &= ((xy > 0) & (xy < SIZE)).all(axis=-1)
    return zooms(xy, visible, z, intrinsics=INTRINSICS)


ZOOMS = [
    pytest.param("static", 1 + 0.3 * SHARE, id="in"),
    pytest.param("static", 1.4 - 0.3 * SHARE, id="out"),
    pytest.param("static", 1 + 0.2 * SHARE, id="slowly"),
    pytest.param("pan", 1 + 0.3 * SHARE, id="while it turns"),
]


@pytest.mark.parametrize(("move", "factor"), ZOOMS)
@pytest.mark.parametrize("astray", [0.0, 0.2])
def test_a_zoom_is_told(move: str, factor: np.ndarray, astray: float) -> None:
    assert told(move, factor=factor, astray=astray) is True


@pytest.mark.parametrize("move", ["static", "pan", "sideways", "forward", "orbit"])
@pytest.mark.parametrize("seed", range(4))
def test_a_camera_that_turns_or_moves_does_not_zoom(move: str, seed: int) -> None:
    assert told(move, seed=seed) is False
    assert told(move, seed=seed, astray=0.2) is not True


@pytest.mark.parametrize(("move", "factor"), ZOOMS)
def test_a_zoom_is_told_of_points_that_are_followed_badly(move: str, factor: np.ndarray) -> None:
    assert told(move, factor=factor, noise_px=0.5) is True


@pytest.mark.parametrize("seed", range(4))
def test_wrong_depth_makes_no_zoom_of_a_way_forward(seed: int) -> None:
    assert told("forward", seed=seed, depth_error=0.3) is not True


def test_before_a_wall_nobody_can_tell_a_zoom_from_a_step() -> None:
    assert told("static", flat=True) is None


def test_few_points_tell_nothing() -> None:
    xy, visible, z = tracks(truth("static"), noise_px=0.1)
    visible[:, 11:] = False
    assert zooms(xy, visible, z, intrinsics=INTRINSICS) is None
