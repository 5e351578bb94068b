"""Per-frame scale and shift of depth from a background that stands still."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.geometry.background_fit import BackgroundFitRule, fit_background

N_FRAMES, N_POINTS = 41, 64


def background(seed: int = 0) -> np.ndarray:
    """(N,) true depths from 2 to 8."""
    return np.random.default_rng(seed).uniform(2, 8, N_POINTS)


def flicker(sigma: float, seed: int = 1) -> np.ndarray:
    """(T,) factors with median 1."""
    factors = np.exp(sigma * np.random.default_rng(seed).standard_normal(N_FRAMES))
    return factors / np.median(factors)


def everything() -> np.ndarray:
    return np.ones((N_FRAMES, N_POINTS), bool)


def test_exact_flicker_of_scale_is_taken_out_exactly() -> None:
    factor = flicker(0.05)
    fit = fit_background(factor[:, None] * background(), everything())
    np.testing.assert_allclose(fit.scale, 1 / factor, rtol=1e-9)
    np.testing.assert_array_equal(fit.shift, 0)
    assert fit.fitted.all()


def test_exact_flicker_of_scale_and_shift_is_taken_out_but_for_the_middle_frame() -> None:
    rng = np.random.default_rng(2)
    scale, shift = flicker(0.05), 0.2 * rng.standard_normal(N_FRAMES)
    z = (background() - shift[:, None]) / scale[:, None]
    fit = fit_background(z, everything())
    placed = fit.scale[:, None] * z + fit.shift[:, None]
    assert np.abs(placed - placed[0]).max() < 1e-4
    slope, offset = np.polyfit(background(), placed[0], 1)
    assert slope == pytest.approx(1, abs=0.05)
    assert offset == pytest.approx(0, abs=0.2)


def test_a_shift_is_not_invented_where_a_scale_explains_all() -> None:
    rng = np.random.default_rng(3)
    z = flicker(0.05)[:, None] * background() * (1 + 0.01 * rng.standard_normal((1, N_POINTS)))
    z = z * (1 + 0.005 * rng.standard_normal(z.shape))
    fit = fit_background(z, everything())
    np.testing.assert_array_equal(fit.shift, 0)


def test_a_third_of_moving_points_does_not_matter() -> None:
    factor = flicker(0.05)
    z = factor[:, None] * background()
    z[:, :20] *= np.linspace(1, 2, N_FRAMES)[:, None]
    fit = fit_background(z, everything(), rule=BackgroundFitRule(kind="scale"))
    np.testing.assert_allclose(fit.scale * factor, 1, atol=0.005)


def test_points_that_come_and_go_do_not_matter() -> None:
    factor = flicker(0.05)
    known = np.random.default_rng(4).random((N_FRAMES, N_POINTS)) < 0.5
    fit = fit_background(np.where(known, factor[:, None] * background(), np.nan), known)
    np.testing.assert_allclose(fit.scale * factor, 1, rtol=1e-5)


def test_frames_with_too_few_points_stay_as_they_are() -> None:
    known = everything()
    known[3, 7:] = False
    fit = fit_background(flicker(0.05)[:, None] * background(), known)
    assert fit.scale[3] == 1
    assert np.flatnonzero(~fit.fitted).tolist() == [3]


NOTHING = [
    ("no points", np.ones((5, 0)), np.ones((5, 0), bool)),
    ("nothing known", np.ones((5, 20)), np.zeros((5, 20), bool)),
    ("one frame", np.ones((1, 20)), np.ones((1, 20), bool)),
    ("no frames", np.ones((0, 20)), np.ones((0, 20), bool)),
]


@pytest.mark.parametrize(("what", "z", "known"), NOTHING, ids=[n[0] for n in NOTHING])
def test_nothing_to_compare_is_nothing_fitted(what: str, z: np.ndarray, known: np.ndarray) -> None:
    fit = fit_background(z, known)
    assert not fit.fitted.any()
    np.testing.assert_array_equal(fit.scale, 1)


def test_points_at_one_depth_give_no_shift() -> None:
    rng = np.random.default_rng(5)
    z = 3 + 0.2 * rng.standard_normal(N_FRAMES)[:, None] + 0.01 * rng.random(N_POINTS)
    assert not fit_background(z, everything()).shift.any()


def test_noise_of_single_points_averages_out() -> None:
    rng = np.random.default_rng(6)
    factor = flicker(0.05)
    z = factor[:, None] * background() * (1 + 0.02 * rng.standard_normal((N_FRAMES, N_POINTS)))
    fit = fit_background(z, everything())
    left = np.log(fit.scale * factor)
    assert np.std(left - np.median(left)) < 0.005
