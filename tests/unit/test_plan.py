"""A plan deals videos into shards, survives the disk, and a folder keeps to its own."""

from collections.abc import Iterable

import pyarrow.parquet as pq
import pytest

from massannot.clip import Phrase
from massannot.dataset import adopt_plan
from massannot.dataset.adopt_plan import adopt, stored
from massannot.dataset.layout import Layout
from massannot.errors import OtherRecipe
from massannot.inputs.span import Span
from massannot.plan.folder import PlanFolder, read_shard, read_shards, shard_table, write_once
from massannot.plan.planned_videos import Plan, PlannedVideo, Shard, deal, seen_now

BALL, HOOP = Phrase("ball"), Phrase("hoop", "question", "q1", 3, 7)


def videos(count: int, *, first: int = 0) -> list[PlannedVideo]:
    spans = (Span(phrases=(BALL,)), Span(1.0, 2.5, (BALL, HOOP), "mine"))
    return [
        PlannedVideo(f"v{n}.mp4", spans, f"id{n}", 100 + n, 5, "CC0", cost=100.0 + n)
        for n in range(first, first + count)
    ]


def uris(plan: Plan) -> list[list[str]]:
    return names(plan.shards)


def names(shards: Iterable[Shard]) -> list[list[str]]:
    return [[video.uri for video in shard.videos] for shard in shards]


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
    assert write_once(tmp_path / "plan", plan.shards)
    assert tuple(read_shards(tmp_path / "plan")) == plan.shards
    table = shard_table(tmp_path / "plan")
    assert tuple(read_shard(planned) for planned in table) == plan.shards
    assert [(s.id, s.cost, s.n_spans) for s in table] == [
        ("000000", 201.0, 4),
        ("000001", 205.0, 4),
        ("000002", 104.0, 3),
        ("000003", 0.0, 1),
    ]


def test_a_worker_reads_the_rows_of_its_own_shard_and_few_others(tmp_path):
    plan = deal(videos(9000), per_shard=60)
    write_once(tmp_path / "plan", plan.shards)
    groups = pq.ParquetFile(tmp_path / "plan" / "videos.parquet").metadata
    shards_of = [
        {groups.row_group(n).column(0).statistics.min, groups.row_group(n).column(0).statistics.max}
        for n in range(groups.num_row_groups)
    ]
    assert len(shards_of) > 2
    assert not set.intersection(*shards_of), "a shard lies in one row group"
    assert read_shard(shard_table(tmp_path / "plan")[77]) == plan.shards[77]


def test_an_empty_plan_comes_back_from_disk(tmp_path):
    write_once(tmp_path / "plan", [])
    assert list(read_shards(tmp_path / "plan")) == []
    assert shard_table(tmp_path / "plan") == ()


def test_of_two_plans_for_one_folder_the_first_is_kept_whole(tmp_path):
    first, second = deal(videos(3)), deal(videos(5))
    assert write_once(tmp_path / "plan", first.shards)
    assert not write_once(tmp_path / "plan", second.shards)
    assert tuple(read_shards(tmp_path / "plan")) == first.shards
    assert [path.name for path in tmp_path.iterdir()] == ["plan"]


def test_a_file_is_planned_with_its_size_and_one_that_is_not_there_without(tmp_path):
    (tmp_path / "v.mp4").write_bytes(b"12345")
    assert seen_now(str(tmp_path / "v.mp4")).size_bytes == 5
    assert seen_now(str(tmp_path / "gone.mp4")).size_bytes is None


def test_a_folder_keeps_its_shards_whatever_is_asked_next(tmp_path):
    layout = Layout(tmp_path)
    first = adopt(layout, deal(videos(4), per_shard=2))
    again = adopt(layout, deal(videos(4), per_shard=3))
    assert first == again == adopt_plan.shard_table(layout)
    assert names(stored(layout)) == [["v0.mp4", "v1.mp4"], ["v2.mp4", "v3.mp4"]]


def test_new_videos_get_new_shards(tmp_path):
    layout = Layout(tmp_path)
    adopt(layout, deal(videos(3), per_shard=2))
    more = adopt(layout, deal(videos(5), per_shard=2))
    assert names(map(read_shard, more)) == [["v0.mp4", "v1.mp4"], ["v2.mp4"], ["v3.mp4", "v4.mp4"]]
    assert [shard.id for shard in more] == ["000000", "000001", "000002"]


def test_only_shards_that_were_asked_for_are_worked_on(tmp_path):
    layout = Layout(tmp_path)
    adopt(layout, deal(videos(4), per_shard=2))
    assert names(map(read_shard, adopt(layout, deal(videos(1))))) == [["v0.mp4", "v1.mp4"]]


def test_a_video_with_other_phrases_is_refused(tmp_path):
    layout = Layout(tmp_path)
    adopt(layout, deal([PlannedVideo("v", (Span(phrases=(BALL,)),))]))
    with pytest.raises(OtherRecipe, match=r"holds v with .*\['ball'\], asked for is .*\['hoop'\]"):
        adopt(layout, deal([PlannedVideo("v", (Span(phrases=(HOOP,)),))]))


def test_a_finished_plan_is_taken_as_it_is_and_another_one_refused(tmp_path):
    plan = deal(videos(7), per_shard=2)
    write_once(tmp_path / "plan", plan.shards)
    write_once(tmp_path / "other", deal(videos(6), per_shard=2).shards)
    layout = Layout(tmp_path / "out")
    for _ in range(2):
        taken = adopt(layout, PlanFolder(tmp_path / "plan"))
        assert sorted(shard.id for shard in taken) == [shard.id for shard in plan.shards]
    assert tuple(stored(layout)) == plan.shards
    with pytest.raises(OtherRecipe, match=r"found 4 shards with 14 .* expected 3 shards with 12"):
        adopt(layout, PlanFolder(tmp_path / "other"))
    adopt(Layout(tmp_path / "grown"), deal(videos(2)))
    with pytest.raises(OtherRecipe, match="another plan"):
        adopt(Layout(tmp_path / "grown"), PlanFolder(tmp_path / "plan"))


def test_the_shares_of_a_job_array_are_the_whole_plan_and_cost_about_the_same(tmp_path):
    write_once(tmp_path / "plan", deal(videos(64), per_shard=4).shards)
    whole = shard_table(tmp_path / "plan")
    shares = [PlanFolder(tmp_path / "plan", share=i, of=3).share_of(whole) for i in range(3)]
    assert sorted(s.id for share in shares for s in share) == [shard.id for shard in whole]
    costs = [sum(shard.cost for shard in share) for share in shares]
    assert max(costs) - min(costs) <= max(shard.cost for shard in whole)
