"""Quality: one number from parts, and whether it ranks clips by how wrong they are."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from massannot.geometry.quality import QualityParts, quality
from tests.bench.calibrate_quality import clip_spearman, samples_of

GOOD = QualityParts(
    fb_error=0.0,
    in_mask_share=1.0,
    depth_valid_share=1.0,
    points_alive_share=1.0,
    mask_score=1.0,
    jitter=1e-4,
)
WORSE = [
    ("points do not find back", {"fb_error": 0.05}),
    ("points lie beside the mask", {"in_mask_share": 0.5}),
    ("depth is invalid or on edges", {"depth_valid_share": 0.3}),
    ("points are lost", {"points_alive_share": 0.3}),
    ("the mask is doubtful", {"mask_score": 0.3}),
    ("the position trembles", {"jitter": 0.02}),
]


def test_nothing_wrong_is_nearly_one() -> None:
    assert quality(GOOD) > 0.98


@pytest.mark.parametrize(("what", "changes"), WORSE, ids=[w[0] for w in WORSE])
def test_whatever_is_wrong_lowers_it(what: str, changes: dict[str, float]) -> None:
    assert quality(dataclasses.replace(GOOD, **changes)) < quality(GOOD) - 0.002


def test_what_is_unknown_costs() -> None:
    assert quality(QualityParts()) < quality(GOOD) - 0.1
    assert quality(dataclasses.replace(GOOD, fb_error=None)) < quality(GOOD)
    assert quality(dataclasses.replace(GOOD, jitter=float("nan"))) < quality(GOOD)


def test_frames_without_a_position_cost_their_share() -> None:
    half = dataclasses.replace(GOOD, measured_share=0.5)
    assert quality(half) == pytest.approx(0.5 * quality(GOOD))
    assert quality(dataclasses.replace(GOOD, measured_share=0.0)) == 0


@pytest.mark.parametrize("jitter", [0.0, 1e-9, 1e-4])
def test_tiny_jitter_means_nothing(jitter: float) -> None:
    assert quality(dataclasses.replace(GOOD, jitter=jitter)) == pytest.approx(quality(GOOD))


@pytest.mark.slow
def test_clips_are_ranked_by_their_true_error(tmp_path: Path) -> None:
    """Scenes with odd seeds, which no weight was fitted on."""
    samples = [sample for seed in range(1, 25, 2) for sample in samples_of(seed, tmp_path)]
    assert clip_spearman(samples, np.array([s.quality for s in samples])) >= 0.6
