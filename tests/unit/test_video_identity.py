"""video_id and clip_id: pure functions of content."""

from __future__ import annotations

import hashlib
import itertools
from fractions import Fraction
from pathlib import Path

import pytest

from massannot.video import video_id as module
from massannot.video.video_id import BLOCK, WHOLE_UP_TO, block_starts, clip_id, video_id


def test_a_file_of_up_to_64_mib_is_hashed_whole(tmp_path: Path) -> None:
    content = b"some bytes" * 1000
    (tmp_path / "a").write_bytes(content)
    with open(tmp_path / "a", "rb") as file:
        assert video_id(file) == hashlib.blake2b(content, digest_size=16).hexdigest()


def test_of_a_larger_file_the_size_and_64_blocks_are_hashed(tmp_path: Path) -> None:
    path, size = tmp_path / "large", WHOLE_UP_TO + 12345
    digest = hashlib.blake2b(size.to_bytes(8, "little"), digest_size=16)
    with open(path, "wb") as file:
        file.truncate(size)
        file.seek(size - 1)
        file.write(b"z")
    with open(path, "rb") as file:
        for start in block_starts(size):
            file.seek(start)
            digest.update(file.read(BLOCK))
        assert video_id(file) == digest.hexdigest()


@pytest.mark.parametrize("size", [WHOLE_UP_TO + 1, 10**9, 10**12 + 7])
def test_blocks_are_evenly_spaced_first_and_last_included(size: int) -> None:
    starts = list(block_starts(size))
    steps = {b - a for a, b in itertools.pairwise(starts)}
    assert (len(starts), starts[0], starts[-1]) == (64, 0, size - BLOCK)
    assert max(steps) - min(steps) <= 1


IDENTITY = {"first_pts": 0, "end_pts": 10, "time_base": Fraction(1, 25), "sampling": "10"}
CHANGES = [{"first_pts": 1}, {"end_pts": 11}, {"time_base": Fraction(1, 50)}, {"sampling": "all"}]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_every_part_changes_the_clip_id(change: dict[str, object]) -> None:
    assert clip_id("v", **IDENTITY) != clip_id("v", **{**IDENTITY, **change})  # type: ignore[arg-type]
    assert clip_id("v", **IDENTITY) != clip_id("w", **IDENTITY)  # type: ignore[arg-type]


def test_a_clip_id_is_the_same_for_ever() -> None:
    text = "v\n0\n10\n1/25\n10"
    expected = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    assert module.clip_id("v", **IDENTITY) == expected  # type: ignore[arg-type]
