"""A retry that is killed from outside between any two steps takes no row away: those of the old
generation stand until the new one is complete."""

import shutil
import sys
from pathlib import Path

import pytest

from massannot.dataset.commits import damage
from massannot.dataset.layout import Layout
from tests.faults import killing, tiny_run
from tests.faults.siege import finish
from tests.faults.tiny_run import Tiny, data_files, done, plan_of

N_CLIPS = 4 * tiny_run.CLIPS_PER_VIDEO
FAILED = frozenset({"v001/1", "v003/0"})
"""A clip in each of two shards."""
STEPS = {"model", "commit", "publish"}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes through /proc")


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    tiny_run.write_videos(folder, 4)
    return folder


def first_run(videos: Path, out: Path, raises: frozenset[str] = FAILED) -> dict[str, bytes]:
    """A finished run in which these clips failed, and its files."""
    plan = plan_of(sorted(map(str, videos.glob("*.mp4"))), per_shard=2)
    tiny_run.run(plan, Tiny(raises=raises), out=out, workers=0)
    return data_files(out)


@pytest.mark.seen("killed and continued", "engine alone")
def test_rows_stand_until_the_new_ones_are_complete_whatever_is_killed(videos, tmp_path):
    new = first_run(videos, tmp_path / "undisturbed", frozenset())
    old = first_run(videos, tmp_path / "first")
    hits, folder, tally = set(), tmp_path / "out", tmp_path / "tally"
    while hits < STEPS:
        if not folder.exists():
            shutil.copytree(tmp_path / "first", folder)
            tally.unlink(missing_ok=True)
        process = killing.start(folder, videos, tally, workers=1, retry=["failed"])
        wanted = min(STEPS - hits)
        seen = killing.kill_in(process, Layout(folder), tally, wanted, whom="driver", delay_s=0.0)
        process.communicate()
        there = data_files(folder)
        assert there.keys() == old.keys()
        for name, content in there.items():
            assert content in (old[name], new[name]), name
        if seen is None:  # it was over before
            shutil.rmtree(folder)
        else:
            hits.add(seen)
    summary = finish(killing.start(folder, videos, tally, workers=1, retry=["failed"]))
    assert (summary["planned"], summary["done"], summary["failed"]) == (N_CLIPS, N_CLIPS, 0)
    assert data_files(folder) == new
    assert set(done(tally)) <= FAILED, "of the others none was done again"
    assert list(damage(Layout(folder))) == []
    assert Layout(folder).shards_in_staging() == set()
