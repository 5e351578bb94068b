"""Reading ahead: in order, bounded, and nothing is kept by whoever leaves early."""

import itertools
import threading
from fractions import Fraction

import numpy as np
import pytest

from massannot.engine.annotation import without_host_paths
from massannot.engine.prefetch import Prefetch, read_in_turn
from massannot.errors import NotAVideo
from massannot.plan.planned_videos import PlannedVideo
from massannot.video.byte_budget import ByteBudget
from massannot.video.film_encoder import FilmWriter
from massannot.video.reader import VideoEnd, read_clips, release
from massannot.video.sampling import Sampling

SAMPLING = Sampling(fps=None, clip_s=0.5)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    (folder / "text.mp4").write_text("no film\n" * 9)
    for number in range(2):
        with FilmWriter(folder / f"v{number}.mp4", width=32, height=32, fps=Fraction(8)) as film:
            for _ in range(12):
                film.write(np.full((32, 32, 3), 60 * number, np.uint8))
    names = ["v0.mp4", "text.mp4", "v1.mp4"]
    return [(place, PlannedVideo(str(folder / name))) for place, name in enumerate(names)]


def reader(budget):
    def read(video):
        yield from read_clips(video.uri, sampling=SAMPLING, memory=budget)

    return read


def what(item) -> tuple[int, str]:
    return item.number, type(item.content).__name__


EVERYTHING = [(0, "Clip")] * 3 + [(0, "VideoEnd"), (1, "NotAVideo")]
EVERYTHING += [(2, "Clip")] * 3 + [(2, "VideoEnd")]


def taken(items):
    for item in items:
        yield what(item)
        if not isinstance(item.content, VideoEnd | NotAVideo):
            release(item.content)


def test_items_come_in_order_and_a_video_that_cannot_be_read_is_one_of_them(videos):
    budget = ByteBudget(10**6)
    assert list(taken(read_in_turn(videos, reader(budget)))) == EVERYTHING
    with Prefetch(lambda: videos, reader(budget)) as ahead:
        assert list(taken(ahead)) == EVERYTHING
    assert budget.held_bytes == 0


def test_reading_ahead_stays_within_its_bytes(videos):
    of_one_clip = 4 * 32 * 32 * 3
    budget, most = ByteBudget(2 * of_one_clip), []
    with Prefetch(lambda: videos, reader(budget)) as ahead:
        for item in ahead:
            most.append(budget.held_bytes)
            if not isinstance(item.content, VideoEnd | NotAVideo):
                release(item.content)
    assert max(most) <= 2 * of_one_clip


@pytest.mark.parametrize("n_taken", [0, 1, 3])
def test_who_leaves_early_leaves_nothing_behind(videos, n_taken):
    budget = ByteBudget(10**6)
    with Prefetch(lambda: videos, reader(budget)) as ahead:
        for item in itertools.islice(ahead, n_taken):
            release(item.content)
    assert budget.held_bytes == 0
    assert not any(thread.name == "prefetch" for thread in threading.enumerate())


def test_a_bug_in_the_reader_rises_where_the_items_are_taken(videos):
    def read(video):
        raise KeyError("a bug")
        yield

    with (
        pytest.raises(KeyError, match="a bug"),
        Prefetch(lambda: videos, read) as ahead,
    ):
        list(ahead)


@pytest.mark.parametrize(
    ("message", "uri", "expected"),
    [
        ("/data/a b/v.mp4: found text", "/data/a b/v.mp4", "v.mp4: found text"),
        ("cannot open '/home/me/x.npz'", "v.mp4", "cannot open 'x.npz'"),
        ("in ~/cache/w.bin, twice", "v.mp4", "in w.bin, twice"),
        ("videos/v.mp4: 3 m/s, 1/2", "videos/v.mp4", "v.mp4: 3 m/s, 1/2"),
        ("../given/masks.json: no v.mp4", "a/v.mp4", "masks.json: no v.mp4"),
        ("weights owner/name-2.1-tiny, a/b", "v.mp4", "weights owner/name-2.1-tiny, a/b"),
        ("see https://host/page/x", "v.mp4", "see https://host/page/x"),
        ("nothing to hide", "v.mp4", "nothing to hide"),
    ],
)
def test_a_message_names_files_and_no_folder_of_the_host(message, uri, expected):
    assert without_host_paths(message, uri=uri) == expected
