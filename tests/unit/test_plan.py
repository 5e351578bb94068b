"""A plan deals videos into shards, survives the disk, and a folder keeps to its own."""

import pytest

from massannot.clip import Phrase
from massannot.errors import OtherRecipe
from massannot.io.layout import Layout
from massannot.io.plan import (
    Plan,
    PlannedVideo,
    adopt,
    deal,
    read_plan,
    seen_now,
    stored,
    write_plan,
)
from massannot.io.video import Span

BALL, HOOP = Phrase("ball"), Phrase("hoop", "question", "q1", 3, 7)


def videos(count: int, *, first: int = 0) -> list[PlannedVideo]:
    spans = (Span(phrases=(BALL,)), Span(1.0, 2.5, (BALL, HOOP), "mine"))
    return [
        PlannedVideo(f"v{n}.mp4", spans, f"id{n}", 100 + n, 5, "CC0")
        for n in range(first, first + count)
    ]


def uris(plan: Plan) -> list[list[str]]:
    return [[video.uri for video in shard.videos] for shard in plan.shards]


def test_shards_hold_videos_in_the_given_order():
    assert uris(deal(videos(5), per_shard=2)) == [
        ["v0.mp4", "v1.mp4"],
        ["v2.mp4", "v3.mp4"],
        ["v4.mp4"],
    ]


def test_files_of_one_size_come_together_since_they_may_be_copies():
    sizes = {"a": 1, "b": 2, "c": 1, "d": 3, "e": 1, "f": None, "g": None}
    plan = deal([PlannedVideo(u, size_bytes=s) for u, s in sizes.items()], per_shard=2)
    assert uris(plan) == [["a", "c"], ["e", "b"], ["d", "f"], ["g"]]


def test_all_spans_of_a_video_are_merged_and_equal_spans_share_their_phrases():
    first, second = Span(0.0, 1.0, (BALL,), "x"), Span(1.0, 2.0)
    again = Span(0.0, 1.0, (HOOP, BALL), "y")
    plan = deal(
        [PlannedVideo("v", (first,)), PlannedVideo("w"), PlannedVideo("v", (second, again))]
    )
    (video, _) = plan.videos
    assert video.spans == (Span(0.0, 1.0, (BALL, HOOP), "x"), second)


def test_a_plan_comes_back_from_disk(tmp_path):
    plan = deal(
        [*videos(5), PlannedVideo("bare.mp4"), PlannedVideo("gone", (Span(),))], per_shard=2
    )
    write_plan(tmp_path / "plan.parquet", plan)
    assert read_plan(tmp_path / "plan.parquet") == plan
    assert read_plan(tmp_path / "plan.parquet", shard="000001").shards == plan.shards[1:2]


def test_an_empty_plan_comes_back_from_disk(tmp_path):
    write_plan(tmp_path / "plan.parquet", Plan(()))
    assert read_plan(tmp_path / "plan.parquet") == Plan(())


def test_a_file_is_planned_with_its_size_and_one_that_is_not_there_without(tmp_path):
    (tmp_path / "v.mp4").write_bytes(b"12345")
    assert seen_now(str(tmp_path / "v.mp4")).size_bytes == 5
    assert seen_now(str(tmp_path / "gone.mp4")).size_bytes is None


def test_a_folder_keeps_its_shards_whatever_is_asked_next(tmp_path):
    layout = Layout(tmp_path)
    first = adopt(layout, deal(videos(4), per_shard=2))
    again = adopt(layout, deal(videos(4), per_shard=3))
    assert first == again == stored(layout)


def test_new_videos_get_new_shards(tmp_path):
    layout = Layout(tmp_path)
    adopt(layout, deal(videos(3), per_shard=2))
    more = adopt(layout, deal(videos(5), per_shard=2))
    assert uris(more) == [["v0.mp4", "v1.mp4"], ["v2.mp4"], ["v3.mp4", "v4.mp4"]]
    assert [shard.id for shard in more.shards] == ["000000", "000001", "000002"]


def test_only_shards_that_were_asked_for_are_worked_on(tmp_path):
    layout = Layout(tmp_path)
    adopt(layout, deal(videos(4), per_shard=2))
    assert uris(adopt(layout, deal(videos(1)))) == [["v0.mp4", "v1.mp4"]]


def test_a_video_with_other_phrases_is_refused(tmp_path):
    layout = Layout(tmp_path)
    adopt(layout, deal([PlannedVideo("v", (Span(phrases=(BALL,)),))]))
    with pytest.raises(OtherRecipe, match=r"holds v with .*\['ball'\], asked for is .*\['hoop'\]"):
        adopt(layout, deal([PlannedVideo("v", (Span(phrases=(HOOP,)),))]))
