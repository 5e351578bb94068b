"""A staging file cut at any byte is noticed, and its clip, and no other, is done again."""

import shutil

import pytest

from massannot.dataset import commits
from massannot.dataset.journal import Finished, read_journal, read_past
from massannot.dataset.layout import Layout
from tests.faults import tiny_run
from tests.faults.tiny_run import Tiny, data_files, done

N_VIDEOS = 2
N_CLIPS = N_VIDEOS * tiny_run.CLIPS_PER_VIDEO


@pytest.fixture(scope="module")
def uris(tmp_path_factory):
    return tiny_run.write_videos(tmp_path_factory.mktemp("videos"), N_VIDEOS)


@pytest.fixture(scope="module")
def undisturbed(uris, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    annotate(uris, out)
    return out


@pytest.fixture(scope="module")
def half_done(uris, tmp_path_factory):
    """A run that a bug stopped at the last of its clips: three parts lie in staging."""
    out = tmp_path_factory.mktemp("half") / "out"
    with pytest.raises(KeyError):
        annotate(uris, out, Tiny(breaks=frozenset({"v001/1"})))
    return out


def annotate(uris, out, tiny=None):
    return tiny_run.run(
        tiny_run.plan_of(uris),
        tiny or Tiny(),
        out=out,
        sampling=tiny_run.SAMPLING,
        workers=0,
        device="cpu",
    )


def parts(layout: Layout) -> list:
    (shard,) = layout.shards_in_staging()
    return sorted(layout.attempt(shard, 1).glob("*.zip"))


def cuts(size: int) -> list[int]:
    """Ends and places all over the file."""
    return sorted({0, 1, size // 3, size // 2, size - 1})


def test_a_part_cut_at_any_byte_is_noticed(half_done):
    layout = Layout(half_done)
    (shard,) = layout.shards_in_staging()
    whole = read_past(layout, shard)
    assert len(whole.finished) == N_CLIPS - 1
    for path in parts(layout):
        content = path.read_bytes()
        for size in range(0, len(content), max(1, len(content) // 97)):
            path.write_bytes(content[:size])
            past = read_past(layout, shard)
            lost = len(whole.finished) + len(whole.videos) - len(past.finished) - len(past.videos)
            assert lost == 1, (path.name, size)
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 1
        path.write_bytes(flipped)
        assert len(read_past(layout, shard).folders) == len(whole.folders) - 1
        path.write_bytes(content)


@pytest.mark.parametrize("place", range(5))
def test_a_clip_whose_part_was_cut_is_done_again_and_no_other(
    uris, undisturbed, half_done, tmp_path, place
):
    out, tally = tmp_path / "out", tmp_path / "tally"
    shutil.copytree(half_done, out)
    victim = parts(Layout(out))[0]
    victim.write_bytes(victim.read_bytes()[: cuts(victim.stat().st_size)[place]])
    summary = annotate(uris, out, Tiny(tally=tally))
    assert summary.done == N_CLIPS
    assert done(tally) == {"v000/0": 1, "v001/1": 1}
    assert data_files(out) == data_files(undisturbed)
    assert list(commits.damage(Layout(out))) == []


def test_a_journal_cut_at_any_byte_loses_its_last_line_at_most(half_done, tmp_path):
    layout = Layout(half_done)
    (shard,) = layout.shards_in_staging()
    content = layout.journal(shard, 1).read_bytes()
    lines = content.count(b"\n")
    cut = tmp_path / "cut.jsonl"
    for size in range(0, len(content) + 1, 7):
        cut.write_bytes(content[:size])
        whole_lines = content[:size].count(b"\n")
        assert whole_lines <= len(list(read_journal(cut))) <= whole_lines + 1
    assert lines >= sum(isinstance(e, Finished) for e in read_journal(layout.journal(shard, 1)))
