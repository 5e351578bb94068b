"""The ruler of intervals has teeth: intervals that are true by construction keep their promise, and
three mistakes about them, made one at a time, each show as coverage that does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from massannot.evaluate import clip_truth
from massannot.evaluate.clip_truth import ClipTruth
from massannot.evaluate.coverage import (
    KINDS,
    LEAST_CLIPS,
    Coverage,
    clip_intervals,
    coverage_over_clips,
)
from massannot.tables._spec import INTERVAL_LEVELS
from tests.unit.stated_intervals import CLIP_SD, changed, stated_clips

SCENES = (5, 7, 9, 12, 14, 15)  # cameras: three stand still, two orbit, one dollies
CHANCE = 3.0
"""Points that a promise may lie outside of a 95 % interval: there are thirty of them."""


@pytest.fixture(scope="module")
def clips() -> list[ClipTruth]:
    return stated_clips(LEAST_CLIPS + 20, scenes=SCENES)


def broken(clips: list[ClipTruth], subgroup: str = "all") -> set[tuple[str, str, int]]:
    """Promises that the observed share contradicts: what, axis, level."""
    rows = coverage_over_clips([clip_intervals(clip) for clip in clips], seed=0)
    return {
        (row.what, row.axis, row.nominal)
        for row in rows
        if row.subgroup == subgroup and row.judged and contradicts(row)
    }


def contradicts(row: Coverage) -> bool:
    low, high = row.observed.low - CHANCE, row.observed.high + CHANCE
    return not low <= row.nominal <= high


def halved(clip: ClipTruth) -> ClipTruth:
    """The mistake that a standard deviation is taken for twice itself."""

    def half(row: dict[str, Any]) -> dict[str, float]:
        narrow = {name: value / 2 for name, value in row.items() if "_half_" in name and value}
        for name in ("length", "path", "speed"):
            for q in INTERVAL_LEVELS:
                if (low := row.get(f"{name}_low_{q}")) is not None:
                    centre, width = (
                        (low + row[f"{name}_high_{q}"]) / 2,
                        row[f"{name}_high_{q}"] - low,
                    )
                    narrow[f"{name}_low_{q}"] = centre - width / 4
                    narrow[f"{name}_high_{q}"] = centre + width / 4
        return narrow

    return changed(changed(clip, "positions", half), "motions", half)


def without_the_clips_term(clip: ClipTruth) -> ClipTruth:
    """The mistake that frames and entities of a clip err independently of one another."""

    def narrower(row: dict[str, Any]) -> dict[str, Any]:
        if row["cov"] is None:
            return {}
        xyz = np.array([row[f"{axis}_cam"] for axis in "xyz"])
        upper = np.triu_indices(3)
        cov = np.array(row["cov"])
        left = cov - CLIP_SD**2 * np.outer(xyz, xyz)[upper]
        variances = {"x": 0, "y": 3, "z": 5}
        return {"cov": left.tolist()} | {
            f"{axis}_half_{q}": row[f"{axis}_half_{q}"] * float(np.sqrt(left[i] / cov[i]))
            for axis, i in variances.items()
            for q in INTERVAL_LEVELS
        }

    return changed(clip, "positions", narrower)


def test_true_intervals_keep_their_promise(clips: list[ClipTruth]) -> None:
    rows = coverage_over_clips([clip_intervals(clip) for clip in clips], seed=0)
    whole = [row for row in rows if row.subgroup == "all"]
    assert [(row.what, row.axis, row.nominal) for row in whole] == [
        (*kind, level) for kind in KINDS for level in INTERVAL_LEVELS
    ]
    assert all(row.judged for row in whole if row.what == "position")
    assert [row for row in whole if contradicts(row)] == []
    judged = [row for row in rows if row.judged]
    assert len({row.subgroup for row in judged}) > 6
    assert np.mean([contradicts(row) for row in judged]) < 0.02


def test_halved_standard_deviations_are_caught(clips: list[ClipTruth]) -> None:
    assert broken([halved(clip) for clip in clips]) == {
        (*kind, level) for kind in KINDS for level in INTERVAL_LEVELS
    }


def test_a_forgotten_error_of_the_whole_clip_is_caught(clips: list[ClipTruth]) -> None:
    found = broken([without_the_clips_term(clip) for clip in clips])
    along_the_ray = {("position", axis, level) for axis in ("z", "length") for level in (68, 90)}
    assert along_the_ray <= found
    assert {what for what, _, _ in found} == {"position"}


def test_a_truth_of_the_next_frame_is_caught(
    clips: list[ClipTruth], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = clip_truth.scene_frames

    def late(view: Any, scene: Any) -> tuple[int, ...]:
        return tuple(min(frame + 1, scene.n_frames - 1) for frame in real(view, scene))

    monkeypatch.setattr(clip_truth, "scene_frames", late)
    first: dict[int, ClipTruth] = {}
    shifted = []
    for clip in clips:
        known = first.get(clip.scene.seed)
        shifted.append(ClipTruth(clip.view, clip.scene, usual_depth_m=3.0, same_clip=known))
        first.setdefault(clip.scene.seed, shifted[-1])
    assert {("position", "x", 90), ("position", "y", 90)} <= broken(shifted)
    assert ("position", "x", 90) in broken(shifted, "moving_thing")
