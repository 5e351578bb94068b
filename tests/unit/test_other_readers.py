"""Our `frame` and `t_s` in the terms of other readers: docs/readers.md says what to do.

Only readers of our own environment take part; tools/measure_readers.py asks the others too.
"""

import numpy as np
import pytest

from massannot.video.film_encoder import FilmWriter
from tests.unit import make_videos as make
from tests.unit.reader_films import exported, kinds
from tools.measure_readers import cell, opencv, ours, pyav

KINDS = {kind.name: kind for kind in (*kinds(), exported())}


@pytest.fixture(scope="module")
def path_of(tmp_path_factory):
    """The film of a kind, written once."""
    written: dict[str, str] = {}

    def of(name: str) -> str:
        if name not in written:
            written[name] = str(KINDS[name].write(tmp_path_factory.mktemp("film")))
        return written[name]

    return of


@pytest.mark.parametrize("read", [pyav, opencv], ids=["PyAV", "OpenCV"])
def test_films_that_we_write_are_read_alike(path_of, read):
    """By number in order, by number alone, and by time."""
    assert cell(path_of("written by massannot"), read) == "same"


@pytest.mark.parametrize("read", [pyav, opencv], ids=["PyAV", "OpenCV"])
def test_a_film_at_given_times_is_read_alike(tmp_path, read):
    """FilmWriter's other way: every picture at a time of its own."""
    path = tmp_path / "film.mp4"
    size = {"width": make.WIDTH, "height": make.HEIGHT}
    times = np.cumsum([0, 3000, 1500, 4500, *([3000] * 30)])
    with FilmWriter(path, **size, fps=30, time_base=make.Fraction(1, 90000)) as film:
        for number, pts in enumerate(times.tolist()):
            film.write(make.picture(number), pts=pts)
    mine = ours(str(path))
    assert mine.pictures == tuple(range(34))
    assert np.allclose(mine.times_s, times / 90000)
    assert cell(str(path), read) == "same"


@pytest.mark.parametrize(
    ("name", "in_pyav", "in_opencv"),
    [
        ("constant rate, no B-frames", "same", "same"),
        ("B-frames", "same", "same"),
        ("29.97 a second", "same", "same"),
        ("starts at 0.5 s", "t +0.500 s", "same"),
        ("turned by a quarter", "not turned", "same"),
        ("trimmed: an edit list", "says 40", "says 40"),
        ("open GOPs, HEVC", "alone: 10 is our 12", "same"),
    ],
)  # fmt: skip
def test_the_page_says_how_they_differ(path_of, name, in_pyav, in_opencv):
    """A library that changes is noticed here, and the page is measured again."""
    found = cell(path_of(name), pyav), cell(path_of(name), opencv)
    assert found == (in_pyav, in_opencv)


@pytest.mark.parametrize(
    "name", [n for n in KINDS if n not in ("trimmed: an edit list", "cut within a GOP, TS")]
)
def test_frame_k_is_the_k_th_picture_that_is_shown(path_of, name):
    assert ours(path_of(name)).pictures == tuple(range(60))
