"""Byte copies: one is annotated, for all; every other one is named, and no key is there twice."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from massannot import tables
from massannot.clip import Phrase
from massannot.dataset import commits, plans
from massannot.dataset import record as run_record
from massannot.dataset.copies import Copies
from massannot.dataset.journal import ClipKey, Finished, Past, write_part
from massannot.dataset.layout import Layout
from massannot.dataset.merge import merge_parts
from massannot.dataset.publish import publish
from massannot.dataset.reading import Dataset, open_dataset
from massannot.dataset.validate import problems
from massannot.entities.over_clips import identities
from massannot.inputs.question import Question
from massannot.inputs.span import Span
from massannot.jobs.explain import explain
from massannot.jobs.status import standing
from massannot.plan.byte_copies import united_video, with_copies_found
from massannot.plan.deal import deal
from massannot.plan.join_questions import planned_videos
from massannot.plan.planned_videos import PlannedVideo, PlannedVideos, Shard, with_file_state
from massannot.video.video_id import video_id
from tests.faults import tiny_run
from tests.faults.tiny_run import Tiny, data_files, done, plan_of
from tests.unit import small_dataset as small

SPAN = (Span(phrases=(Phrase("square"),)),)


def doubled_keys(dataset: Dataset) -> dict[str, list[tuple]]:
    """By table: the keys that several rows have."""
    found = {}
    for name in dataset.names:
        table = dataset.table(name)
        columns = [table[column].to_pylist() for column in dataset.spec(name).key]
        several = [key for key, n in Counter(zip(*columns, strict=True)).items() if n > 1]
        if several:
            found[name] = several
    return found


def same_as(dataset: Dataset) -> dict[str, str]:
    rows = dataset.table("videos").to_pylist()
    return {row["uri"]: row["same_as"] for row in rows if row["same_as"] is not None}


def commit_as_a_worker_would(layout: Layout, shard: Shard) -> int:
    """The shard with one clip of one frame a video, its copies found and merged as ever; returns
    how many copies were found."""
    shard = with_copies_found(shard, folder=None, before={})
    attempt = layout.new_attempt(shard.id)
    folder, past = layout.attempt(shard.id, attempt), Past()
    rows = [small.rows_of_one_frame(v.uri, _id_of(v.uri)) for v in shard.videos]
    made = {
        name: tables.spec(name).from_rows([row[name] for row in rows])
        for name in ("videos", "clips", "frames")
    }
    for number, row in enumerate(rows):
        uri, clip_id = row["clips"]["uri"], row["clips"]["clip_id"]
        part = write_part(
            folder,
            f"{number:04d}.zip",
            {
                "videos": made["videos"].filter(pc.equal(made["videos"]["uri"], uri)),
                "clips": made["clips"].filter(pc.equal(made["clips"]["clip_id"], clip_id)),
                "frames": made["frames"].filter(pc.equal(made["frames"]["clip_id"], clip_id)),
            },
        )
        past.finished[ClipKey(uri, 0)] = Finished(ClipKey(uri, 0), clip_id, part)
        past.folders[part] = folder
    commit = merge_parts(
        layout, shard, attempt, past, table_names=("clips", "frames"), link=identities
    )
    assert commits.put(layout, commit)
    commits.publish(layout, commit)
    return commit.copies


def _id_of(uri: str) -> str:
    with open(uri, "rb") as file:
        return video_id(file)


def test_of_a_thousand_videos_two_hundred_copies_are_named_and_no_key_is_there_twice(tmp_path):
    """A hundred of them are of one video, more than fit into one shard: the others are met when
    the run is read or published."""
    originals = [b"video %04d, and what follows" % n for n in range(800)]
    rng = np.random.default_rng(0)
    contents = originals + [originals[n] for n in (*[7] * 100, *rng.integers(800, size=100))]
    for place, number in enumerate(rng.permutation(1000).tolist()):
        (tmp_path / f"{place:04d}.mp4").write_bytes(contents[number])
    uris = sorted(map(str, tmp_path.glob("*.mp4")))
    by_content: dict[bytes, list[str]] = {}
    for uri in uris:
        by_content.setdefault(Path(uri).read_bytes(), []).append(uri)
    expected = {uri: group[0] for group in by_content.values() for uri in group[1:]}

    layout = Layout(tmp_path / "out")
    run_record.begin(layout, small.RECORD)
    videos = PlannedVideos([with_file_state(PlannedVideo(uri, SPAN)) for uri in uris])
    within = sum(commit_as_a_worker_would(layout, s) for s in deal(videos, shard_cost=1e9))
    publish(layout.out, tmp_path / "published")

    in_run, published = open_dataset(layout.out), open_dataset(tmp_path / "published")
    across = sum(map(len, Copies(layout, in_run.shards).lost.values()))
    assert min(within, across) > 0, "both kinds are to be met"
    n_videos = len(by_content)
    assert (n_videos, len(expected)) == (800, 200)
    for dataset in (in_run, published):
        assert len(dataset.clip_ids) == n_videos
        assert doubled_keys(dataset) == {}
        assert same_as(dataset) == expected
        assert list(problems(dataset)) == []
    for table in published.names:
        files = sorted((tmp_path / "published" / "data" / table).glob("*.parquet"))
        rows = sum(pq.read_metadata(path).num_rows for path in files)
        assert rows == in_run.table(table).num_rows
        found, known = published.table(table), in_run.table(table)
        if table == "videos":  # publishing alone says on which side a video is
            found, known = found.drop("split"), known.drop("split")
        assert found.equals(known)
    assert Copies(layout, in_run.shards).unasked_line is None
    card = (tmp_path / "published" / "README.md").read_text()
    assert f"{n_videos} clips = {n_videos} done" in card
    assert f"{len(expected)} videos are byte copies" in card


def test_publish_names_the_phrases_that_a_copy_alone_was_asked_for(tmp_path):
    """Shards that knew nothing of each other; the clips of the lowest uri stand for all."""
    layout = Layout(tmp_path / "out")
    run_record.begin(layout, small.RECORD)
    runs = (("c", "one", ["ball", "hoop"]), ("a", "one", ["ball", "cube"]), ("b", "two", ["cup"]),
             ("d", "one", ["hoop", "dog"]))  # fmt: skip
    for shard, (uri, name_of_video, texts) in enumerate(runs):
        rows = small.rows_of_one_frame(f"{uri}.mp4", name_of_video)
        made = {name: tables.spec(name).from_rows([row]) for name, row in rows.items()}
        phrases = [
            {"clip_id": rows["clips"]["clip_id"], "phrase": n, "text": text, "origin": "prompt"}
            | {"n_entities": 0}
            for n, text in enumerate(texts)
        ]
        made["phrases"] = tables.spec("phrases").from_rows(phrases)
        name = f"{shard:06d}"
        commit = small.stage(layout, name, layout.new_attempt(name), made)
        assert commits.put(layout, commit)
        commits.publish(layout, commit)
    copies = Copies(layout, open_dataset(layout.out).shards)
    assert copies.unasked == {"dog": 1, "hoop": 1}
    assert "'dog' (1), 'hoop' (1)" in copies.unasked_line
    assert open_dataset(layout.out).table("phrases")["text"].to_pylist() == ["ball", "cube", "cup"]


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> list[str]:
    """Two films, a.mp4 and c.mp4, and b.mp4, a copy of a.mp4."""
    folder = tmp_path_factory.mktemp("films")
    first, second = tiny_run.write_videos(folder, 2)
    shutil.move(first, folder / "a.mp4")
    shutil.copy(folder / "a.mp4", folder / "b.mp4")
    shutil.move(second, folder / "c.mp4")
    return [str(folder / f"{name}.mp4") for name in "abc"]


def asked(uris: list[str]) -> list[PlannedVideo]:
    """Each film for a word of its own."""
    words = ("ball", "hoop", "cube")
    rows = [
        Question(f"q-{word}", uri, question=f"Where is the {word}?", entities=(word,))
        for uri, word in zip(uris, words, strict=True)
    ]
    return [with_file_state(video) for video in planned_videos([], rows, prompts=())]


def name(uri: str) -> str:
    return Path(uri).stem


@pytest.mark.seen("byte copies", "engine alone")
@pytest.mark.parametrize("per_shard", [3, 1], ids=["one shard", "two shards"])
def test_the_questions_about_a_copy_are_answered_by_the_other_s_clips(films, tmp_path, per_shard):
    shards = tiny_run.sharded(asked(films), per_shard)
    tally = tmp_path / "tally"
    run = tiny_run.run(shards, Tiny(tally=tally), out=tmp_path / "out", workers=0)
    publish(tmp_path / "out", tmp_path / "published")
    of_a = ["a/0", "a/1"] if per_shard == 3 else ["a/0", "a/1", "b/0", "b/1"]
    assert sorted(done(tally)) == [*of_a, "c/0", "c/1"]
    assert (run.planned, run.done, run.copies) == (len(of_a) + 2, len(of_a) + 2, per_shard == 3)
    for dataset in (open_dataset(tmp_path / "out"), open_dataset(tmp_path / "published")):
        clips = dataset.table("clips").to_pylist()
        assert sorted((name(c["uri"]), c["clip_index"]) for c in clips) == [
            ("a", 0), ("a", 1), ("c", 0), ("c", 1),
        ]  # fmt: skip
        ids = [c["clip_id"] for c in sorted(clips, key=lambda c: (c["uri"], c["clip_index"]))]
        questions = {row["question_id"]: row for row in dataset.table("questions").to_pylist()}
        assert questions["q-ball"]["clip_ids"] == questions["q-hoop"]["clip_ids"] == ids[:2]
        assert questions["q-cube"]["clip_ids"] == ids[2:]
        assert questions["q-hoop"]["uri"] == films[1]
        assert same_as(dataset) == {films[1]: films[0]}
        assert doubled_keys(dataset) == {}
        assert list(problems(dataset)) == []


def test_the_first_of_some_copies_is_asked_for_the_phrases_of_all(films):
    united = united_video(asked(films)[:2])
    assert united.uri == films[0]
    (span,) = united.spans
    assert [phrase.text for phrase in span.phrases if phrase.origin == "entities"] == [
        "ball", "hoop",
    ]  # fmt: skip
    assert [question.question_id for question in span.questions] == ["q-ball", "q-hoop"]


def test_spans_of_copies_are_cut_from_the_first_each_once():
    first = PlannedVideo("a", (Span(0.0, 1.0, source_id="mine"), Span(1.0, 2.0)))
    other = PlannedVideo("b", (Span(1.0, 2.0), Span(0.0, 1.0, source_id="yours"), Span(0.5)))
    united = united_video([other, first])
    assert [(s.start_s, s.end_s, s.source_id) for s in united.spans] == [
        (0.0, 1.0, "mine"), (0.5, None, None), (1.0, 2.0, None),
    ]  # fmt: skip


def test_a_copy_says_of_itself_what_its_own_rows_say(films, tmp_path):
    rows = [
        Question("q-a", films[0], license="cc0-1.0", source_kind="real"),
        Question("q-b", films[1], license="mit", source_kind="generated", generator="a model"),
    ]
    videos = [with_file_state(video) for video in planned_videos([], rows, prompts=())]
    tiny_run.run(tiny_run.sharded(videos, 2), Tiny(), out=tmp_path / "out", workers=0)
    videos = open_dataset(tmp_path / "out").table("videos").to_pylist()
    own = ("license", "source_kind", "generator", "same_as")
    assert [tuple(row[column] for column in own) for row in videos] == [
        ("cc0-1.0", "real", None, None), ("mit", "generated", "a model", films[0]),
    ]  # fmt: skip
    shared = [column for column in videos[0] if column not in ("uri", *own)]
    assert [videos[0][column] for column in shared] == [videos[1][column] for column in shared]


def test_a_video_that_cannot_be_read_has_failed_under_all_of_its_names(tmp_path):
    for stem in "ab":
        (tmp_path / f"{stem}.mp4").write_text("not a video\n" * 50)
    uris = [str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")]
    run = tiny_run.run(plan_of(uris), Tiny(), out=tmp_path / "out", workers=0)
    rows = open_dataset(tmp_path / "out").table("failures").to_pylist()
    assert [(name(r["uri"]), r["clip_index"], r["class"]) for r in rows] == [
        ("a", -1, "not_a_video"), ("b", -1, "not_a_video"),
    ]  # fmt: skip
    assert "a byte copy of a.mp4" in rows[1]["message"]
    assert (run.planned, run.failed) == (2, 2)


def test_a_retry_does_again_what_failed_and_knows_the_copies(films, tmp_path):
    out, tally = tmp_path / "out", tmp_path / "tally"
    before = tiny_run.run(
        plan_of(films), Tiny(raises=frozenset({"a/1"}), tally=tally), out=out, workers=0
    )
    assert (before.done, before.failed, before.copies) == (3, 1, 1)
    again(out, tally)
    assert done(tally) == Counter(["a/0", "a/1", "c/0", "c/1"])
    tiny_run.run(plan_of(films), Tiny(), out=tmp_path / "undisturbed", workers=0)
    assert data_files(out) == data_files(tmp_path / "undisturbed")
    assert same_as(open_dataset(out)) == {films[1]: films[0]}


def again(out: Path, tally: Path):
    tiny_run.run(
        tuple(plans.stored(Layout(out))), Tiny(tally=tally), out=out, workers=0, retry=("failed",)
    )


@pytest.mark.parametrize("missing", ["a", "b"])
def test_a_copy_that_comes_back_is_a_copy_as_if_it_had_never_been_away(films, tmp_path, missing):
    """Its words were not looked for, so the other is annotated anew, for both."""
    here = [str(shutil.copy2(uri, tmp_path)) for uri in films]
    shards = tiny_run.sharded(asked(here), 3)
    path, away = tmp_path / f"{missing}.mp4", tmp_path / "away"
    out, tally = tmp_path / "out", tmp_path / "tally"
    shutil.move(path, away)
    before = tiny_run.run(shards, Tiny(tally=tally), out=out, workers=0)
    assert (before.failed, before.copies) == (1, 0)
    shutil.move(away, path)
    again(out, tally)
    tiny_run.run(shards, Tiny(), out=tmp_path / "undisturbed", workers=0)
    assert data_files(out) == data_files(tmp_path / "undisturbed")
    assert done(tally)["c/0"] == 1


def test_a_killed_run_continues_without_looking_at_a_copy_that_has_gone(films, tmp_path):
    """What an attempt began for both names is finished for both."""
    here = [str(shutil.copy2(uri, tmp_path)) for uri in films]
    shards = tiny_run.sharded(asked(here), 3)
    out, tally = tmp_path / "out", tmp_path / "tally"
    with pytest.raises(KeyError):
        tiny_run.run(shards, Tiny(breaks=frozenset({"a/1"}), tally=tally), out=out, workers=0)
    (tmp_path / "b.mp4").unlink()
    run = tiny_run.run(shards, Tiny(tally=tally), out=out, workers=0)
    assert (run.done, run.failed, run.copies) == (4, 0, 1)
    assert done(tally) == Counter(["a/0", "a/1", "c/0", "c/1"])
    assert same_as(open_dataset(out)) == {here[1]: here[0]}


def test_status_and_explain_name_copies(films, tmp_path):
    tiny_run.run(plan_of(films), Tiny(), out=tmp_path / "out", workers=0)
    found = standing(tmp_path / "out")
    assert found.run.counts.startswith("4 clips planned = 4 done")
    assert found.run.copy_lines == [
        "1 video is a byte copy of others and share their clips (videos.same_as)"
    ]
    (copy,) = explain(tmp_path / "out", "b.mp4#0")
    assert (copy.state, films[0] in copy.way_out) == ("copy", True)


def test_a_record_of_a_commit_without_copies_is_read(films, tmp_path):
    out = tmp_path / "out"
    tiny_run.run(plan_of(films), Tiny(), out=out, workers=0)
    path = Layout(out).commit("000000")
    values = json.loads(path.read_text())
    assert values.pop("copies") == 1
    path.write_text(json.dumps(values))
    assert standing(out).run.copies == 0
