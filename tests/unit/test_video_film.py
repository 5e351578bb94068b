"""FilmWriter: the same pictures give the same bytes, times and colours come back."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from massannot.video import film_encoder
from massannot.video.film_encoder import FilmWriter

CPU = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128), (30, 200, 90), (255, 255, 255)]


def bars(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Vertical bars of known colours, each an even number of pixels wide."""
    picture = np.zeros((height, width, 3), np.uint8)
    for i, colour in enumerate(COLOURS):
        picture[:, i * 20 : (i + 1) * 20] = colour
    return picture


def write(path: Path, *, height: int = 96, width: int = 120, n: int = 12) -> None:
    with FilmWriter(path, width=width, height=height, fps=Fraction(10), crf=6) as film:
        for _ in range(n):
            film.write(bars(height, width))


def test_equal_pictures_give_equal_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4")
    write(tmp_path / "b.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.skipif("avx512" not in CPU, reason="only beside AVX-512 is AVX2 another processor")
def test_a_processor_without_avx_512_writes_the_same_bytes(tmp_path: Path, monkeypatch) -> None:
    rng = np.random.default_rng(0)
    tiles = rng.integers(0, 256, (16, 20, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    for narrow in (False, True):
        if narrow:
            avx2 = film_encoder._SAME_EVERYWHERE | {"x264-params": "asm=avx2"}
            monkeypatch.setattr(film_encoder, "_SAME_EVERYWHERE", avx2)
        path = tmp_path / f"{narrow}.mp4"
        with FilmWriter(path, width=160, height=128, fps=Fraction(12)) as film:
            for k in range(24):
                film.write(np.roll(tiles, 3 * k, axis=1))
    assert (tmp_path / "False.mp4").read_bytes() == (tmp_path / "True.mp4").read_bytes()


@pytest.mark.parametrize(("height", "width"), [(96, 120), (97, 121), (720, 1280)])
def test_colours_come_back_within_three_levels_and_odd_sizes_become_even(
    tmp_path: Path, height: int, width: int
) -> None:
    write(tmp_path / "a.mp4", height=height, width=width, n=2)
    with av.open(str(tmp_path / "a.mp4")) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert picture.shape == (height + height % 2, width + width % 2, 3)
    found = picture[height // 2, 10 : 20 * len(COLOURS) : 20].astype(int)
    assert np.abs(found - np.array(COLOURS)).max() <= 3


def test_given_times_are_kept_exactly(tmp_path: Path) -> None:
    times = [0, 7, 8, 31, 100]
    path = tmp_path / "a.mp4"
    with FilmWriter(
        path, width=120, height=96, fps=Fraction(10), time_base=Fraction(1, 1000)
    ) as film:
        for pts in times:
            film.write(bars(96, 120), pts=pts)
    with av.open(str(path)) as container:
        shown = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert shown == [Fraction(pts, 1000) for pts in times]


def test_a_film_that_fails_leaves_no_file(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match=r"expected uint8 \(96, 120, 3\)"),
        FilmWriter(tmp_path / "a.mp4", width=120, height=96, fps=Fraction(10)) as film,
    ):
        film.write(bars(95, 120))
    assert list(tmp_path.iterdir()) == []
