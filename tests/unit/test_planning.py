"""Planning: headers are read once, cost decides shards, a finished plan is never another one."""

import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from massannot.dataset.record import from_json, refuse_other
from massannot.errors import NotAVideo, OtherRecipe, UsageError
from massannot.inputs.span import Span
from massannot.jobs import plan as planning
from massannot.jobs import run as running
from massannot.plan import folder as plan_folder
from massannot.plan.deal import deal
from massannot.plan.folder import read_shards
from massannot.plan.planned_videos import PlannedVideo, PlannedVideos, Shard
from massannot.plan.probe import AT_ONCE, Expected, Probed, expected, probe_all, with_expected
from massannot.recipes.digests import record_of
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.spec import RunSpec, Selection
from massannot.video.decoder_messages import Header
from massannot.video.sampling import Sampling
from tests.faults.tiny_run import write_videos

HEADER = Header(
    10, 5, "mp4", "h264", "yuv420p", 640, 480, Fraction(1), Fraction(1, 90), Fraction(30), 12.5, 375
)


@pytest.mark.parametrize(
    ("spans", "probed", "sampling", "answer"),
    [
        pytest.param(
            (Span(),), Probed(45, 30, 100, 50), Sampling(), Expected(3, 450, 450 * 5000), id="cuts"
        ),
        pytest.param(
            (Span(1, 3),), Probed(45, 30, 100, 50), Sampling(), Expected(1, 20, 1e5), id="one span"
        ),
        pytest.param(
            (Span(1, 3), Span(40, 60)), Probed(45, 30, 100, 50), Sampling(),
            Expected(2, 70, 350e3), id="a span that ends after the video",
        ),
        pytest.param(
            (Span(50, 60),), Probed(45, 30, 100, 50), Sampling(), Expected(1, 1, 5000),
            id="a span outside the video is a clip that fails",
        ),
        pytest.param(
            (), Probed(2, 30, 2560, 1440), Sampling(), Expected(1, 20, 20 * 1280 * 720),
            id="working size",
        ),
        pytest.param(
            (), Probed(20, 30, 10, 10), Sampling(fps=None), Expected(3, 600, 6e4),
            id="every frame, cut after 256",
        ),
        pytest.param(
            (), Probed(20, 5, 10, 10), Sampling(), Expected(1, 100, 1e4), id="a slow source"
        ),
        pytest.param(
            (), Probed(2, None, 10, 10), Sampling(fps=None), Expected(1, 60, 6e3), id="no rate"
        ),
        pytest.param((), Probed(None, 30, 10, 10), Sampling(), None, id="no duration"),
        pytest.param((), Probed(4e12, 30, 10, 10), Sampling(), None, id="a header that lies"),
        pytest.param((), Probed(math.inf, 30, 10, 10), Sampling(), None, id="without an end"),
        pytest.param((), Probed(math.nan, 30, 10, 10), Sampling(), None, id="no number"),
        pytest.param((), Probed(problem="not_a_video"), Sampling(), None, id="no video"),
    ],
)  # fmt: skip
def test_headers_say_how_much_work_a_video_will_be(spans, probed, sampling, answer):
    assert expected(spans, probed, sampling) == answer


def test_a_video_of_unknown_length_costs_what_as_many_bytes_cost_elsewhere():
    videos = [PlannedVideo(str(n), size_bytes=size) for n, size in enumerate((10, 20, 30, None))]
    work = [Expected(1, 1, 100.0), Expected(1, 1, 400.0), None, None]
    found = with_expected(PlannedVideos(videos), work)
    assert [video.cost for video in found] == [100, 400, 30 * 15, 0]
    assert [video.n_clips for video in found] == [1, 1, None, None]


def dealt(videos: list[PlannedVideo], *, shard_cost: float) -> list[Shard]:
    return list(deal(PlannedVideos(videos), shard_cost=shard_cost))


def cost_of(*costs: float) -> list[PlannedVideo]:
    return [PlannedVideo(f"v{n}", size_bytes=n + 1, cost=c) for n, c in enumerate(costs)]


def test_shards_cost_about_the_same_and_the_last_tenth_lies_in_small_ones():
    shards = dealt(cost_of(*[1.0] * 4000), shard_cost=100)
    costs = [shard.cost for shard in shards]
    assert sum(costs) == 4000
    assert max(costs) == 100
    small = [cost for cost in costs if cost <= 100 / 8]
    assert costs[-len(small) :] == small, "the small ones come last"
    assert 400 - 100 <= sum(small) <= 400


def test_a_video_that_costs_more_than_a_shard_is_alone():
    shards = dealt(cost_of(*[1] * 50, 500, *[1] * 50), shard_cost=10)
    (alone,) = [shard for shard in shards if shard.cost >= 500]
    assert len(alone.videos) == 1


def test_files_of_one_size_lie_in_one_shard_where_they_fit():
    videos = [PlannedVideo(f"v{n}", size_bytes=n % 40, cost=1.0) for n in range(80)]
    shards = dealt(videos, shard_cost=4)
    with_seven = [s for s in shards if any(video.size_bytes == 7 for video in s.videos)]
    assert len(with_seven) == 1


def test_shards_hold_every_video_once_in_the_order_in_which_sizes_were_first_seen():
    sizes = [5, None, 3, 5, None, 0, 3, 5]
    videos = [PlannedVideo(f"v{n}", size_bytes=size, cost=1.0) for n, size in enumerate(sizes)]
    shards = dealt(videos, shard_cost=2)
    assert [v.uri for shard in shards for v in shard.videos] == [
        f"v{n}" for n in (0, 3, 7, 1, 2, 6, 4, 5)
    ]
    assert [shard.id for shard in shards] == [f"{n:06d}" for n in range(len(shards))]
    assert list(deal(PlannedVideos([]), shard_cost=2)) == []


def test_videos_that_cost_nothing_are_dealt_out_too():
    shards = dealt(cost_of(*[0.0] * 5000), shard_cost=10)
    assert max(len(shard.videos) for shard in shards) <= 128
    assert sum(len(shard.videos) for shard in shards) == 5000


def test_headers_are_read_once_and_those_of_changed_files_again(tmp_path):
    asked = []

    def probe(uri: str) -> Header:
        asked.append(uri)
        if uri == "v3":
            raise NotAVideo("v3: found a text")
        return HEADER

    n = AT_ONCE + 5
    videos = [PlannedVideo(f"v{k}", size_bytes=k, mtime_ns=1) for k in range(n)]
    answers = list(probe_all(videos, tmp_path, probe=probe))
    assert answers[3] == Probed(problem="not_a_video")
    assert answers[n - 1] == Probed(12.5, 30.0, 640, 480)
    assert sorted(asked) == sorted(video.uri for video in videos)

    asked.clear()
    assert list(probe_all(videos, tmp_path, probe=probe)) == answers
    assert asked == []

    changed = [*videos[:-1], PlannedVideo(f"v{n - 1}", size_bytes=n - 1, mtime_ns=2)]
    assert list(probe_all(changed, tmp_path, probe=probe)) == answers
    assert sorted(asked) == sorted(video.uri for video in changed[AT_ONCE:])


def test_what_was_read_before_an_interruption_is_kept(tmp_path):
    def broken(uri: str) -> Header:
        if uri == f"v{AT_ONCE + 1}":
            raise KeyboardInterrupt
        return HEADER

    videos = [PlannedVideo(f"v{k}", size_bytes=k) for k in range(AT_ONCE + 5)]
    with pytest.raises(KeyboardInterrupt):
        list(probe_all(videos, tmp_path, probe=broken))
    asked = []
    again = list(probe_all(videos, tmp_path, probe=lambda uri: asked.append(uri) or HEADER))
    assert len(again) == len(videos)
    assert sorted(asked) == sorted(video.uri for video in videos[AT_ONCE:])

    (first, _) = sorted(tmp_path.iterdir())
    first.write_bytes(first.read_bytes()[:-9])
    assert list(probe_all(videos, tmp_path, probe=lambda uri: HEADER)) == again


FLAGS = ModelFlags(profile="none", files={"detect": "b.json", "masks": "m.json", "depth": "d.npz"})


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    write_videos(folder, 5)
    (folder / "text.mp4").write_text("not a video")
    return folder


def spec_of(films: Path, **more) -> RunSpec:
    values = {"sources": (str(films),), "phrases": ("a ball",)} | more
    return run_spec(flags=FLAGS, **values)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_equal_plans_have_equal_bytes_and_nothing_else_in_their_folder(films, tmp_path):
    first = planning.make_plan(spec_of(films), tmp_path / "a")
    planning.make_plan(spec_of(films), tmp_path / "b")
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    assert sorted(files_of(tmp_path / "a")) == [
        "plan.json",
        "shards.parquet",
        "spec.json",
        "videos.parquet",
    ]
    counts = dict(first.counts)
    assert counts.pop("cost") > 0
    assert counts == {
        "videos": 6,
        "spans": 6,
        "shards": 6,
        "expected_clips": 5,
        "expected_frames": 40,
        "cannot_be_opened": {"not_a_video": 1},
        "questions": 0,
        "cannot_be_asked": {},
    }


def test_rows_of_a_manifest_that_cannot_be_asked_are_counted_in_the_plan(films, tmp_path):
    rows = [
        {"video": "v000.mp4", "question": "Where is the ball?"},
        {"video": "v001.mp4", "question": "Where is it?", "start_s": "noon"},
    ]
    manifest = films / "m.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)))
    try:
        record = planning.make_plan(spec_of(films, sources=(str(manifest),)), tmp_path / "plan")
    finally:
        manifest.unlink()
    assert record.counts["questions"] == 2
    assert sum(record.counts["cannot_be_asked"].values()) == 1
    assert "2 rows of manifests, 1 cannot be asked: " in planning.as_text(
        tmp_path, record, Sampling()
    )


def test_a_finished_plan_stays_as_it_is(films, tmp_path):
    planning.make_plan(spec_of(films), tmp_path / "plan")
    before = files_of(tmp_path / "plan")
    planning.make_plan(spec_of(films), tmp_path / "plan")
    for change, says in (
        ({"phrases": ("a hoop",)}, r"spec.phrases\s+\[\"a ball\"\]\s+\[\"a hoop\"\]"),
        ({"sampling": Sampling(fps=5)}, r"spec.sampling.fps\s+10.0\s+5"),
        ({"select": Selection(limit=2)}, r"spec.select.limit\s+null\s+2"),
    ):
        with pytest.raises(OtherRecipe, match=says):
            planning.make_plan(spec_of(films, **change), tmp_path / "plan")
    (films / "new.mp4").write_bytes((films / "v000.mp4").read_bytes())
    try:
        with pytest.raises(OtherRecipe, match=r"only wanted: 1 video, .*new\.mp4"):
            planning.make_plan(spec_of(films), tmp_path / "plan")
    finally:
        (films / "new.mp4").unlink()
    assert files_of(tmp_path / "plan") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan"]


def test_a_random_sample_is_the_seed_s(films, tmp_path):
    def sampled(seed: int) -> list[str]:
        folder = tmp_path / f"{seed}-{len(list(tmp_path.iterdir()))}"
        planning.make_plan(
            spec_of(films, select=Selection(limit=3, sample="random", seed=seed)), folder
        )
        return [video.uri for shard in read_shards(folder) for video in shard.videos]

    assert sampled(1) == sampled(1)
    assert len({tuple(sampled(seed)) for seed in range(4)}) > 1


def test_a_plan_without_anything_to_look_for_is_refused(films, tmp_path):
    with pytest.raises(UsageError, match="nothing to look for"):
        planning.make_plan(spec_of(films, phrases=()), tmp_path / "plan")


@pytest.mark.parametrize(
    ("part", "found", "says"),
    [
        ("spec", {"fps": 5}, r"sampling.fps\s+5\s+10"),
        ("code", {"models": "old"}, r"models\s+old\s+[0-9a-f]{32}"),
        ("weights_digests", {"x/y": "c0ffee"}, r"weights.x/y\s+c0ffee\s+\(none\)"),
        ("answers", {"detect": "0123"}, r"answers.detect\s+0123\s+\(none\)"),
    ],
)
def test_a_plan_made_with_something_else_is_not_run(films, tmp_path, part, found, says):
    planning.make_plan(spec_of(films), tmp_path / "plan")
    record = planning.read_record(tmp_path / "plan")
    present = record_of(RunSpec.from_json(record.spec))
    refuse_other(tmp_path / "plan", record, present)
    values = record.to_json()
    (values["spec"]["sampling"] if part == "spec" else values[part]).update(found)
    with pytest.raises(OtherRecipe, match=says):
        refuse_other(tmp_path / "plan", from_json(values), present)


def test_other_code_goes_on_where_it_is_allowed(films, tmp_path):
    planning.make_plan(spec_of(films), tmp_path / "plan")
    record = planning.read_record(tmp_path / "plan")
    changed = replace(record, code={**record.code, "models": "new"})
    with pytest.raises(OtherRecipe, match=r"(?s)other code:.*models .*--allow-code"):
        refuse_other(tmp_path / "plan", record, changed)
    refuse_other(tmp_path / "plan", record, changed, allow_code=True)


@pytest.mark.parametrize("there", [[], ["plan"]])
def test_a_plan_that_is_not_finished_is_not_run(tmp_path, there):
    for name in there:
        (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match=r"expected a plan; `massannot plan SOURCE -o"):
        running.finished_plan(tmp_path / "plan")


@pytest.mark.parametrize("name", [plan_folder.VIDEOS, plan_folder.SHARDS])
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_a_plan_that_was_damaged_is_not_run(films, tmp_path, name, how):
    planning.make_plan(spec_of(films), tmp_path / "plan")
    path = tmp_path / "plan" / name
    path.write_bytes(path.read_bytes()[:-1]) if how == "cut" else path.unlink()
    with pytest.raises(UsageError, match=rf"{name}: found .*, expected what was planned"):
        running.finished_plan(tmp_path / "plan")


@pytest.mark.parametrize(
    ("text", "environment", "answer"),
    [
        pytest.param(None, {}, (0, 1), id="no array"),
        pytest.param("3/8", {"SLURM_ARRAY_TASK_ID": "1"}, (3, 8), id="said outright"),
        pytest.param(None, {"ID": "5", "COUNT": "4", "MIN": "3"}, (2, 4), id="array from 3"),
        pytest.param(None, {"ID": "9", "COUNT": "4", "MIN": "3", "STEP": "2"}, (3, 4), id="step"),
        pytest.param("8/8", {}, "expected I/N", id="beyond the last"),
        pytest.param("1", {}, "expected I/N", id="no N"),
        pytest.param(None, {"ID": "9", "COUNT": "3", "MIN": "1"}, "leaves", id="with holes"),
        pytest.param(None, {"ID": "9"}, "expected numbers", id="no count"),
    ],
)
def test_a_job_s_share_is_what_was_said_or_slurm_s_array(text, environment, answer):
    slurm = {
        name if name.startswith("SLURM") else f"SLURM_ARRAY_TASK_{name}": value
        for name, value in environment.items()
    }
    if isinstance(answer, tuple):
        assert running.share_from(text, slurm) == answer
    else:
        with pytest.raises(UsageError, match=answer):
            running.share_from(text, slurm)
