"""Status and explain tell the truth about a folder, whoever works on it or died in it."""

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from massannot import cli
from massannot.dataset import plans
from massannot.dataset.journal import ClipKey
from massannot.dataset.layout import WORK_DIR, Layout
from massannot.dataset.reading import open_dataset
from massannot.engine.progress import ClipDone
from massannot.errors import UsageError
from massannot.jobs import explain as explaining
from massannot.jobs import status
from massannot.jobs.status import Standing, standing
from massannot.plan.planned_videos import PlannedVideo, Shard
from massannot.storage.path import place
from tests import s3_server
from tests.faults import tiny_run
from tests.faults.tiny_run import SAMPLING, Tiny, plan_of, sharded

N_VIDEOS = 4
N_CLIPS = N_VIDEOS * tiny_run.CLIPS_PER_VIDEO


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Three videos in the first shard, one in the second; a clip that raised; a missing video."""
    folder = tmp_path_factory.mktemp("run")
    uris = tiny_run.write_videos(folder / "videos", N_VIDEOS)
    plan = plan_of([*uris, str(folder / "videos" / "gone.mp4")])
    tiny = Tiny(raises=frozenset({"v001/1"}))
    tiny_run.run(plan, tiny, out=folder / "out", sampling=SAMPLING, workers=1, device="cpu")
    return folder / "out"


class Stopped(Exception):
    """Ends a run from within, as a kill would: nothing is committed or tidied."""


@pytest.fixture(scope="module")
def died(tmp_path_factory) -> Path:
    """A run that died in its first shard after three clips."""
    folder = tmp_path_factory.mktemp("died")
    return die(tiny_run.write_videos(folder / "videos", N_VIDEOS), folder / "out")


def die(
    uris: list[str], out: Path, *, plan: tuple[Shard, ...] | None = None, after: int = 3
) -> Path:
    n_done = 0

    def progress(event: object) -> None:
        nonlocal n_done
        n_done += isinstance(event, ClipDone)
        if n_done == after:
            raise Stopped

    with pytest.raises(Stopped):
        tiny_run.run(
            plan or plan_of(uris), Tiny(), out=out, sampling=SAMPLING, workers=0, device="cpu",
            progress=progress,
        )  # fmt: skip
    return out


def counts(found: Standing) -> tuple[int, int, int, int, int]:
    run = found.run
    return run.planned, run.done, run.failed, run.quarantined, run.remaining


def test_a_finished_run_s_counts_close_and_nothing_is_left(finished):
    found = standing(finished)
    assert counts(found) == (N_CLIPS + 1, N_CLIPS - 1, 2, 0, 0)
    assert (found.shards, found.committed, found.begun) == (2, 2, ())
    said = status.as_text(finished, found)
    assert "9 clips planned = 7 done + 2 failed + 0 quarantined + 0 remaining" in said
    assert "failed: 1 x model_failed" in said
    assert "nothing is left to do" in said


def test_a_dead_run_says_what_it_had_done_and_how_to_go_on(died):
    found = standing(died)
    planned, done, failed, quarantined, remaining = counts(found)
    assert (done, failed, quarantined) == (3, 0, 0)
    assert planned == done + remaining
    assert (found.shards, found.committed) == (2, 0)
    (begun,) = found.begun
    assert (begun.shard, begun.done, begun.attempts) == ("000000", 3, 1)
    assert found.clips_a_second is not None
    shown = status.as_json(died, found)
    assert shown["planned"] == shown["done"] + shown["remaining"]


@pytest.mark.parametrize("after", range(1, 5))
def test_a_killed_run_counts_the_clips_of_its_plan_and_no_other(died, tmp_path, after):
    """Also when it died between a video's last clip and its end."""
    uris = [str(path) for path in sorted((died.parent / "videos").iterdir())]
    whole = tuple(
        replace(shard, videos=tuple(replace(v, n_clips=2) for v in shard.videos))
        for shard in plan_of(uris)
    )
    out = die(uris, tmp_path / "out", plan=whole, after=after)
    found = standing(out)
    assert counts(found) == (N_CLIPS, after, 0, 0, N_CLIPS - after)
    assert "nothing is left to do" not in status.as_text(out, found)


def test_clips_that_are_not_in_the_bucket_yet_are_seen_in_the_working_folder(
    tmp_path, monkeypatch, capsys
):
    def said(command: str) -> str:
        monkeypatch.setattr(sys, "argv", ["massannot", *command.split()])
        with contextlib.suppress(SystemExit):
            cli.main()
        return capsys.readouterr().out

    monkeypatch.setenv(WORK_DIR, str(tmp_path / "work"))
    with s3_server.running("bucket"):
        die(tiny_run.write_videos(tmp_path / "videos", N_VIDEOS), place("s3://bucket/out"))
        monkeypatch.setenv(WORK_DIR, str(tmp_path / "another machine"))
        assert json.loads(said("status s3://bucket/out --json"))["done"] == 0
        here = f"--work-dir {tmp_path / 'work'}"
        assert json.loads(said(f"status s3://bucket/out --json {here}"))["done"] == 3
        assert said(f"explain s3://bucket/out v000.mp4#0 {here}").startswith("done: ")


def test_a_run_that_is_silent_for_long_is_not_called_alive(died, tmp_path):
    out = Path(shutil.copytree(died, tmp_path / "out"))
    old = time.time() - 4000
    for path in out.rglob("*"):
        os.utime(path, (old, old))
    assert "the same command continues" in status.as_text(out, standing(out))


def test_speed_is_what_was_finished_between_the_first_and_the_last(died, tmp_path):
    out = Path(shutil.copytree(died, tmp_path / "out"))
    for n, path in enumerate(sorted(Layout(out).staging.rglob("*-[0-9]*.zip"))):
        os.utime(path, (1e9 + 10 * n, 1e9 + 10 * n))
    assert standing(out).clips_a_second == pytest.approx(0.1)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="found no run in it"):
        standing(tmp_path)


def test_a_clip_is_explained_by_the_beginning_of_its_id(finished):
    row = open_dataset(finished).table("clips").to_pylist()[0]
    (found,) = explaining.explain(finished, row["clip_id"][:12])
    assert (found.state, found.clip_id) == ("done", row["clip_id"])
    assert found.clip == ClipKey(row["uri"], row["clip_index"])
    (line,) = found.log
    assert "misbehave" in line, "the stages' times"
    assert row["uri"] in explaining.as_text(found)


@pytest.mark.parametrize("logs", [True, False])
def test_of_a_finished_clip_the_file_is_opened_that_the_logs_name(
    finished, tmp_path, monkeypatch, logs
):
    out = Path(shutil.copytree(finished, tmp_path / "out"))
    if not logs:
        shutil.rmtree(Layout(out).logs)
    opened, read = set(), pq.read_table
    monkeypatch.setattr(
        pq, "read_table", lambda path, **how: (opened.add(Path(path).stem), read(path, **how))[1]
    )
    published = {path.stem for path in (Layout(out).data / "clips").iterdir()}
    assert len(published) > 1
    for shard in published:
        table = pq.ParquetFile(Layout(out).published("clips", shard)).read()
        clip_id = table["clip_id"][0].as_py()
        opened.clear()
        (found,) = explaining.explain(out, clip_id[:10])
        assert (found.clip_id, found.shard) == (clip_id, shard)
        assert opened == ({shard} if logs else published)


def test_a_short_beginning_that_a_clip_without_a_log_shares_is_not_taken_for_the_other(
    finished, tmp_path
):
    out = Path(shutil.copytree(finished, tmp_path / "out"))
    ids = {}
    for path in sorted((Layout(out).data / "clips").iterdir()):
        ids[path.stem] = pq.ParquetFile(path).read()["clip_id"].to_pylist()
    (first, *_), (second, *_) = ids.values()
    alike = first[:5] + second[5:]
    path = Layout(out).published("clips", list(ids)[1])
    table = pq.ParquetFile(path).read()
    renamed = [alike if each == second else each for each in table["clip_id"].to_pylist()]
    place = table.schema.get_field_index("clip_id")
    pq.write_table(table.set_column(place, table.schema.field(place), [renamed]), path)
    with pytest.raises(UsageError, match="found 2 clips"):
        explaining.explain(out, first[:5])
    assert explaining.explain(out, first[:10])[0].clip_id == first


def test_a_failed_clip_is_explained_with_its_traceback_and_a_way_out(finished):
    (found,) = explaining.explain(finished, "v001.mp4#1")
    assert (found.state, found.shard) == ("failed", "000000")
    assert found.failure is not None
    assert found.failure["class"] == "model_failed"
    said = explaining.as_text(found)
    assert "Traceback" in said
    assert "a model had enough of v001/1" in said
    assert "way out:  the traceback says where" in said


@pytest.mark.parametrize(
    ("name", "states"),
    [
        pytest.param("v001.mp4", ["done", "failed"], id="every clip of a video"),
        pytest.param("v001.mp4#0", ["done"], id="one of them"),
        pytest.param("gone.mp4", ["failed"], id="a video that was not there"),
    ],
)
def test_a_video_names_its_clips(finished, name, states):
    assert [found.state for found in explaining.explain(finished, name)] == states


def test_a_missing_video_has_a_way_out(finished):
    (found,) = explaining.explain(finished, "gone.mp4")
    assert found.way_out == "put the video back under this name, then retry"


@pytest.mark.parametrize("name", ["nobody.mp4", "ffffffff", "1.mp4"])
def test_what_nothing_is_called_is_refused(finished, name):
    with pytest.raises(UsageError, match="found no clip"):
        explaining.explain(finished, name)


def test_a_clip_of_a_video_in_a_tar_is_found_by_the_name_that_logs_give_it(tmp_path):
    key = ClipKey("shards/films-000.tar#a.mp4", 2)
    plans.add(Layout(tmp_path), sharded([PlannedVideo(key.uri)], 1), first_number=0)
    for name in (str(key), key.uri, "films-000.tar#a.mp4"):
        (found,) = explaining.explain(tmp_path, name)
        assert (found.state, found.clip.uri) == ("waiting", key.uri)


def test_clips_of_a_run_that_died_are_known_from_its_journals(died):
    known = explaining.explain(died, "v000.mp4")
    assert [found.state for found in known] == ["done", "done"]
    (again,) = explaining.explain(died, str(known[0].clip_id)[:10])
    assert again.clip == known[0].clip
    assert [found.state for found in explaining.explain(died, "v003.mp4")] == ["waiting"]


def test_an_interrupted_run_counts_no_clip_that_is_not_there(tmp_path):
    """All clips of a video were done when the run was asked to stop: none of it remains."""
    uris = tiny_run.write_videos(tmp_path / "videos", 1)
    out = tmp_path / "out"
    plan = plan_of(uris)

    def progress(event: object) -> None:
        if isinstance(event, ClipDone) and event.clip_index == tiny_run.CLIPS_PER_VIDEO - 1:
            signal.raise_signal(signal.SIGTERM)

    summary = tiny_run.run(
        plan, Tiny(), out=out, sampling=SAMPLING, workers=0, device="cpu", progress=progress
    )
    assert (summary.planned, summary.done, summary.remaining) == (2, 2, 0)


def test_the_time_of_each_stage_is_that_of_the_logs(finished):
    found = standing(finished)
    assert found.stages.clips == N_CLIPS - 1
    assert set(found.stages.seconds) == {
        "waited", "measure_brightness", "describe_clip", "misbehave"
    }  # fmt: skip
    assert found.stages.gpu_hours == 0
    assert "a clip: " in status.as_text(finished, found)
    assert sum(found.failed_by_hour.values()) == 2


def test_seconds_on_a_gpu_are_gpu_hours(tmp_path):
    logs = Layout(tmp_path).logs
    logs.mkdir(parents=True)
    done = "2026-01-01 10:00:00,200 INFO w clip v.mp4#0 done as ab in shard 000000, waited 9.00 s"
    (logs / "worker-0.a.log").write_text(
        f"2026-01-01 10:00:00,100 INFO w models ready on cuda:0 after 3.0 s\n{done}, deep 36.00 s\n"
    )
    (logs / "worker-1.a.log").write_text(f"{done}, deep 4.00 s\n")
    found = status.stage_times(Layout(tmp_path))
    assert (found.clips, found.seconds) == (2, {"deep": 40.0, "waited": 18.0})
    assert found.gpu_hours == pytest.approx(0.01)
