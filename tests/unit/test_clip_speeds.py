"""The band around a speed on a clip's page holds the true speed as often as it says, whatever the
errors of neighbouring frames have in common."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from massannot.evaluate.position_scores import surface_centres
from massannot.viewers.clip_speeds import ClipSpeeds, speeds
from tests.unit.stated_intervals import (
    CLIP_SD,
    ENTITY_SD,
    FRAME_SD,
    changed,
    stated_clips,
)

N, FPS = 48, 24
T_S = np.arange(N) / FPS
WAY = np.stack([0.4 * T_S, 0 * T_S, 3 + 0.3 * T_S], axis=1)
"""0.5 m a second, away from the camera."""
SD_M, FACTOR_SD = 0.05, 0.1
DRAWS = 150


def white(chance: np.random.Generator) -> np.ndarray:
    return WAY + SD_M * chance.standard_normal((N, 3))


def walk(chance: np.random.Generator) -> np.ndarray:
    """Over the clip it comes to as much as two frames with errors of their own."""
    steps = SD_M * np.sqrt(2 / (N - 1)) * chance.standard_normal((N, 3))
    return WAY + np.cumsum(steps, axis=0)


def factor(chance: np.random.Generator) -> np.ndarray:
    return WAY * (1 + FACTOR_SD * chance.standard_normal())


@pytest.mark.parametrize(("error", "shared", "width"), [
    pytest.param(white, 0.0, (2.0, 3.6), id="noise of single frames"),
    pytest.param(walk, 0.0, (0.3, 0.8), id="errors that grow with time"),
    pytest.param(factor, FACTOR_SD, (0.1, 0.2), id="a factor on all distances"),
])  # fmt: skip
def test_the_band_is_as_wide_as_the_errors_make_it(
    error: Callable[[np.random.Generator], np.ndarray], shared: float, width: tuple[float, float]
) -> None:
    chance = np.random.default_rng(3)
    variance = 0 if error is factor else 2 * SD_M**2
    way_cov = np.tile(variance * np.eye(3), (N, 1, 1))
    measured, lasting_s = np.ones(N, np.bool_), np.full(N, T_S[-1])
    found = np.stack([
        speeds(error(chance), measured, T_S, way_cov, lasting_s, shared=shared)
        for _ in range(DRAWS)
    ])  # fmt: skip
    assert np.isnan(found[:, [0, -1]]).all()
    low, high = found[:, 1:-1, 1], found[:, 1:-1, 2]
    held = (low <= 0.5 + 1e-9) & (high >= 0.5 - 1e-9)
    assert 0.86 <= held.mean() <= 0.985
    assert width[0] <= np.median(high - low) <= width[1]


def test_the_band_of_a_clips_tables_holds_the_scenes_truth() -> None:
    held = []
    for clip in stated_clips(6, scenes=(5,)):
        known = changed(clip, "positions", lambda r: {"range_rel_sd": r["cov"] and FRAME_SD})
        known = changed(known, "entities", lambda r: {"range_rel_sd": ENTITY_SD})
        known = changed(known, "clips", lambda r: {"range_rel_sd": CLIP_SD})
        of_clip, rows = ClipSpeeds(known.view.table), known.view.table("positions").to_pylist()
        for thing, _ in clip.pairs:
            true = surface_centres(clip, thing)
            apart_s = of_clip.t_s[2:] - of_clip.t_s[:-2]
            true_speed = np.linalg.norm(true[2:] - true[:-2], axis=1) / apart_s
            _, low, high = of_clip.of(thing, [r for r in rows if r["entity"] == thing])[1:-1].T
            known_too = np.isfinite(true_speed) & np.isfinite(low)
            held += ((low <= true_speed + 1e-6) & (true_speed <= high))[known_too].tolist()
    assert len(held) > 60
    assert 0.86 <= np.mean(held) <= 0.99
