"""A video is on one side with all its questions; what a manifest calls test is not trained on."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from massannot.dataset.splits import Splits, with_splits
from massannot.errors import BadQuestion

VIDEO_OF = {"clip a": "A", "clip a2": "A", "clip b": "B", "a.mp4": "A", "b.mp4": "B"}


def row(question_id: str, split: str | None, *clips: str, uri: str = "elsewhere") -> dict[str, Any]:
    return {"question_id": question_id, "split": split, "clip_ids": list(clips), "uri": uri}


def sides(rows: list[dict[str, Any]], **options: Any) -> dict[str, str]:
    splits = Splits.of(rows, video_of=VIDEO_OF, **options)
    clips = [each for each in rows if each["clip_ids"]]
    return {
        each["question_id"]: splits.split(each, VIDEO_OF[each["clip_ids"][0]]) for each in clips
    }


def video_id(rows: list[dict[str, Any]], val: float = 0.0) -> dict[str, str]:
    return sides(rows, by="video_id", val=val)


TEST = ("test", "Test", "testing", "test_unseen", "testA", "testmini", "unseen test", "val-test")
HELD_OUT = ("eval", "held-out", "hold-out")


@pytest.mark.parametrize("name", [*TEST, *HELD_OUT])
@pytest.mark.parametrize("val", [0.0, 0.999])
def test_what_the_manifest_calls_test_is_not_trained_on_nor_anything_else_of_its_video(
    name: str, val: float
) -> None:
    rows = [row("q1", name, "clip a"), row("q2", None, "clip a2"), row("q3", "train", "clip b")]
    found = video_id(rows, val)
    assert (found["q1"], found["q2"]) == ("test", "test")
    assert found["q3"] == ("val" if val else "train")
    assert sides(rows, by="split", val=0.0) == {"q1": "test", "q2": "test", "q3": "train"}


def test_a_test_question_that_no_clip_answers_still_holds_its_video_out() -> None:
    rows = [row("gone", "test", uri="a.mp4"), row("q", "train", "clip a")]
    assert video_id(rows) == {"q": "test"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(("train", None), "train", id="train, or nothing said"),
        pytest.param(("train", "val"), "val", id="one validates"),
        pytest.param(("validation", "test"), "test", id="one tests"),
        pytest.param((None, "dev"), "val", id="another word"),
        pytest.param(("train2017", None), "train", id="with a year"),
    ],
)
def test_where_the_manifest_decides_a_video_is_where_it_is_least_trained_on(
    said: tuple[str | None, str | None], expected: str
) -> None:
    rows = [row("q1", said[0], "clip a"), row("q2", said[1], "clip a2")]
    assert sides(rows, by="split", val=0.0) == {"q1": expected, "q2": expected}


def test_a_name_that_nobody_knows_is_refused_where_the_manifest_decides() -> None:
    rows = [row("q1", "fold 3", "clip a")]
    assert video_id(rows) == {"q1": "train"}
    with pytest.raises(
        BadQuestion, match=r"question q1: found split 'fold 3'.*--split-by video_id"
    ):
        sides(rows, by="split", val=0.0)


def test_what_became_of_the_manifests_split_is_said() -> None:
    rows = [
        row("q1", "test", "clip a"),
        row("q2", "train", "clip a2"),
        row("q3", "val", "clip b"),
    ]
    splits = Splits.of(rows, video_of=VIDEO_OF, by="video_id", val=0.0)
    test, lost = splits.notes([(rows[0], "test"), (rows[1], "test"), (rows[2], "train")])
    assert test == (
        "2 of 3 questions are in the file test and not trained on: the manifest calls their videos "
        "test, 1 of them by what another question says"
    )
    assert lost == (
        "1 of 3 questions are trained on that the manifest calls val; --split-by split holds them "
        "out"
    )
    assert splits.notes([(rows[2], "val")]) == ()


def test_a_published_video_is_where_the_manifest_or_its_bytes_put_it_and_copies_with_it() -> None:
    rows = [row("q1", "val", "clip a"), row("q2", None, "clip b")]
    splits = Splits.of(rows, video_of=VIDEO_OF, by="video_id", val=0.1)
    ids = ["A", None, *(f"{n:03}" for n in range(1000)), "A"]
    videos = pa.table({"video_id": ids, "split": pa.nulls(len(ids), pa.string())})
    sides = with_splits(videos, splits)["split"].to_pylist()
    assert (sides[0], sides[1], sides[-1]) == ("val", None, "val")
    assert set(sides[2:-1]) == {"train", "val"}
    assert sides[2:-1].count("val") == pytest.approx(100, abs=30)
