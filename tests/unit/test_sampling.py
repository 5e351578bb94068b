"""Sampling: impossible settings are refused, and JSON gives the very same settings back."""

from __future__ import annotations

import json

import pytest

from massannot.errors import UsageError
from massannot.video.sampling import Sampling

IMPOSSIBLE = [
    {"fps": 0.0},
    {"fps": float("nan")},
    {"fps": "10"},
    {"clip_s": -1.0},
    {"clip_s": None},
    {"max_frames": 0},
    {"max_frames": 1, "shared_frames": True},
    {"long_side": 0},
]


@pytest.mark.parametrize("options", IMPOSSIBLE, ids=str)
def test_an_impossible_sampling_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="expected numbers above 0"):
        Sampling(**options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected numbers above 0"):
        Sampling.from_json(options)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(fps=None, shared_frames=True),
        Sampling(fps=29.97, clip_s=0.1, max_frames=7, long_side=96),
    ],
    ids=str,
)
def test_json_gives_the_same_sampling_back(sampling: Sampling) -> None:
    assert Sampling.from_json(json.loads(json.dumps(sampling.to_json()))) == sampling


def test_a_record_from_before_frames_were_shared_stays_as_it_is() -> None:
    """Equal records go on; a field more would be another recipe."""
    old = {"fps": 5.0, "clip_s": 20.0, "max_frames": 256, "long_side": 1280, "shots": None}
    assert Sampling.from_json(old).to_json() == old


def test_a_missing_field_has_its_default() -> None:
    assert Sampling.from_json({"fps": 5}) == Sampling(fps=5)


@pytest.mark.parametrize(
    ("sampling", "words"),
    [
        (Sampling(), None),
        (Sampling(fps=12.8), None),
        (Sampling(clip_s=60), "cut every 25.6 s, not every 60 s"),
        (Sampling(fps=30), "cut every 8.53 s, not every 20 s"),
        (Sampling(fps=None), "more than 12.8 frames a second is cut before 20 s"),
    ],
    ids=str,
)
def test_clips_that_end_early_for_their_frames_are_mentioned(
    sampling: Sampling, words: str | None
) -> None:
    sentence = sampling.shorter_clips
    assert (words is None) == (sentence is None)
    assert (words or "") in (sentence or "")


def test_unknown_fields_are_refused_by_name() -> None:
    wrong = {"fps": 5, "clip_seconds": 2, "size": 9}
    with pytest.raises(UsageError, match=r"found the fields clip_seconds, size, expected fps,"):
        Sampling.from_json(wrong)
