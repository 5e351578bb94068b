"""A name that is relative to one folder means the same file to a process in another."""

from __future__ import annotations

import pytest

from massannot.storage.path import resolved

FOLDER = "/data/films"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("a.mp4", "/data/films/a.mp4"),
        ("./deep/a.mp4", "/data/films/./deep/a.mp4"),
        ("../a.mp4", "/data/films/../a.mp4"),
        ("t.tar#a.mp4", "/data/films/t.tar#a.mp4"),
        ("/abs/a.mp4", "/abs/a.mp4"),
        ("/abs/t.tar#a.mp4", "/abs/t.tar#a.mp4"),
        ("file:///abs/a.mp4", "file:///abs/a.mp4"),
        ("s3://bucket/a.mp4", "s3://bucket/a.mp4"),
        ("hf://datasets/u/n/a.mp4", "hf://datasets/u/n/a.mp4"),
    ],
)
def test_only_relative_names_start_from_the_folder(uri: str, expected: str) -> None:
    assert resolved(uri, folder=FOLDER) == expected
