"""A plan survives the disk, and a folder keeps to its own."""

from collections.abc import Iterable

import pyarrow.parquet as pq
import pytest

from massannot.clip import Phrase
from massannot.dataset import plans
from massannot.dataset.layout import Layout
from massannot.dataset.plans import adopt, stored
from massannot.errors import OtherRecipe
from massannot.inputs.span import Span
from massannot.plan.folder import (
    PlannedShard,
    read_shard,
    read_shards,
    shard_table,
    share_of,
    write_once,
)
from massannot.plan.planned_videos import PlannedVideo, PlannedVideos, Shard, with_file_state
from tests.faults.tiny_run import sharded

BALL, HOOP = Phrase("ball"), Phrase("hoop", "question", "q1", 3, 7)


def videos(count: int, *, first: int = 0) -> list[PlannedVideo]:
    spans = (Span(phrases=(BALL,)), Span(1.0, 2.5, (BALL, HOOP), "mine"))
    return [
        PlannedVideo(f"v{n}.mp4", spans, f"id{n}", 100 + n, 5, "CC0", cost=100.0 + n)
        for n in range(first, first + count)
    ]


def names(shards: Iterable[Shard]) -> list[list[str]]:
    return [[video.uri for video in shard.videos] for shard in shards]


def test_a_plan_comes_back_from_disk(tmp_path):
    shards = sharded([*videos(5), PlannedVideo("bare.mp4"), PlannedVideo("gone", (Span(),))], 2)
    assert write_once(tmp_path / "plan", shards)
    assert tuple(read_shards(tmp_path / "plan")) == shards
    table = shard_table(tmp_path / "plan")
    assert tuple(read_shard(planned) for planned in table) == shards
    assert [(s.id, s.cost, s.n_spans) for s in table] == [
        ("000000", 201.0, 4),
        ("000001", 205.0, 4),
        ("000002", 104.0, 3),
        ("000003", 0.0, 1),
    ]


def test_a_worker_reads_the_rows_of_its_own_shard_and_few_others(tmp_path):
    shards = sharded(videos(9000), 60)
    write_once(tmp_path / "plan", shards)
    groups = pq.ParquetFile(tmp_path / "plan" / "videos.parquet").metadata
    shards_of = [
        {groups.row_group(n).column(0).statistics.min, groups.row_group(n).column(0).statistics.max}
        for n in range(groups.num_row_groups)
    ]
    assert len(shards_of) > 2
    assert not set.intersection(*shards_of), "a shard lies in one row group"
    assert read_shard(shard_table(tmp_path / "plan")[77]) == shards[77]


def test_an_empty_plan_comes_back_from_disk(tmp_path):
    write_once(tmp_path / "plan", [])
    assert list(read_shards(tmp_path / "plan")) == []
    assert shard_table(tmp_path / "plan") == ()


def test_of_two_plans_for_one_folder_the_first_is_kept_whole(tmp_path):
    first, second = sharded(videos(3), 2), sharded(videos(5), 2)
    assert write_once(tmp_path / "plan", first)
    assert not write_once(tmp_path / "plan", second)
    assert tuple(read_shards(tmp_path / "plan")) == first
    assert [path.name for path in tmp_path.iterdir()] == ["plan"]


def test_a_file_is_planned_with_its_size_and_one_that_is_not_there_without(tmp_path):
    (tmp_path / "v.mp4").write_bytes(b"12345")
    assert with_file_state(PlannedVideo(str(tmp_path / "v.mp4"))).size_bytes == 5
    assert with_file_state(PlannedVideo(str(tmp_path / "gone.mp4"))).size_bytes is None


def planned(
    layout: Layout, wanted: list[PlannedVideo], *, per_shard: int = 2
) -> tuple[PlannedShard, ...]:
    """As `annotate` does: shards of videos that are new, then those of all that are wanted."""
    videos = PlannedVideos(wanted)

    def of_new(new: PlannedVideos, first_number: int) -> tuple[Shard, ...]:
        return sharded(list(new), per_shard, first_number=first_number)

    plans.add_new(layout, videos, of_new)
    return plans.shards_of(layout, videos)


def test_a_folder_keeps_its_shards_whatever_is_asked_next(tmp_path):
    layout = Layout(tmp_path)
    first = planned(layout, videos(4))
    again = planned(layout, videos(4), per_shard=3)
    assert first == again == plans.shard_table(layout)
    assert names(stored(layout)) == [["v0.mp4", "v1.mp4"], ["v2.mp4", "v3.mp4"]]


def test_new_videos_get_new_shards(tmp_path):
    layout = Layout(tmp_path)
    planned(layout, videos(3))
    more = planned(layout, videos(5))
    assert names(map(read_shard, more)) == [["v0.mp4", "v1.mp4"], ["v2.mp4"], ["v3.mp4", "v4.mp4"]]
    assert [shard.id for shard in more] == ["000000", "000001", "000002"]


def test_of_two_that_plan_the_same_videos_at_once_the_second_takes_the_plan_of_the_first(tmp_path):
    layout = Layout(tmp_path)

    def slowly(new: PlannedVideos, first_number: int) -> tuple[Shard, ...]:
        planned(layout, videos(3))  # another driver, meanwhile
        return sharded(list(new), 2, first_number=first_number)

    plans.add_new(layout, PlannedVideos(videos(4)), slowly)
    assert names(stored(layout)) == [["v0.mp4", "v1.mp4"], ["v2.mp4"], ["v3.mp4"]]
    assert [shard.id for shard in plans.shard_table(layout)] == ["000000", "000001", "000002"]


def test_only_shards_that_were_asked_for_are_worked_on(tmp_path):
    layout = Layout(tmp_path)
    planned(layout, videos(4))
    assert names(map(read_shard, planned(layout, videos(1)))) == [["v0.mp4", "v1.mp4"]]


def test_a_video_with_other_phrases_is_refused(tmp_path):
    layout = Layout(tmp_path)
    planned(layout, [PlannedVideo("v", (Span(phrases=(BALL,)),))])
    with pytest.raises(OtherRecipe, match=r"holds v with .*\['ball'\], wanted is .*\['hoop'\]"):
        planned(layout, [PlannedVideo("v", (Span(phrases=(HOOP,)),))])


def test_a_finished_plan_is_taken_as_it_is_and_another_one_refused(tmp_path):
    shards = sharded(videos(7), 2)
    write_once(tmp_path / "plan", shards)
    write_once(tmp_path / "other", sharded(videos(6), 2))
    layout = Layout(tmp_path / "out")
    for _ in range(2):
        taken = adopt(layout, tmp_path / "plan")
        assert [shard.id for shard in taken] == [shard.id for shard in shards]
    assert tuple(stored(layout)) == shards
    with pytest.raises(OtherRecipe, match=r"found 4 shards with 14 .* expected 3 shards with 12"):
        adopt(layout, tmp_path / "other")
    planned(Layout(tmp_path / "grown"), videos(2))
    with pytest.raises(OtherRecipe, match="another plan"):
        adopt(Layout(tmp_path / "grown"), tmp_path / "plan")


def test_the_shares_of_a_job_array_are_the_whole_plan_and_cost_about_the_same(tmp_path):
    write_once(tmp_path / "plan", sharded(videos(64), 4))
    whole = shard_table(tmp_path / "plan")
    shares = [share_of(whole, index, 3) for index in range(3)]
    assert sorted(s.id for share in shares for s in share) == [shard.id for shard in whole]
    costs = [sum(shard.cost for shard in share) for share in shares]
    assert max(costs) - min(costs) <= max(shard.cost for shard in whole)
