"""Kinds of film by which readers of video differ; every picture shows its own number.

Used by tests/unit/test_other_readers.py and tools/measure_readers.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from massannot.video.film_encoder import FilmWriter
from tests.unit import make_videos as make
from tests.unit.make_videos import Film

X264 = "keyint=20:min-keyint=20:scenecut=0"
X265 = "open-gop=1:keyint=12:min-keyint=12:scenecut=0:bframes=3:b-adapt=0:log-level=none"
NO_B = {"bf": "0", "x264-params": X264}
WITH_B = {"bf": "3", "x264-params": X264}
VARIABLE = tuple(int(t) for t in np.cumsum([0, 40, 15, 245, 40, 80, *([20, 60, 120] * 18)]))
"""Sixty times in milliseconds."""


@dataclass(frozen=True)
class Kind:
    """A kind of film: its name for people, and what writes one into a folder."""

    name: str
    write: Callable[[Path], Path]


def kinds() -> tuple[Kind, ...]:
    """Sixty pictures each, at 25 a second unless the name says otherwise; trimmed ones show 30."""
    return (
        Kind("constant rate, no B-frames", lambda d: Film(options=NO_B).write(d / "a.mp4")),
        Kind("B-frames", lambda d: Film(options=WITH_B).write(d / "a.mp4")),
        Kind(
            "29.97 a second",
            lambda d: Film(options=WITH_B, rate=Fraction(30000, 1001)).write(d / "a.mp4"),
        ),
        Kind("variable rate, MP4", lambda d: _variable(d / "a.mp4")),
        Kind("variable rate, Matroska", lambda d: _variable(d / "a.mkv")),
        Kind("trimmed: an edit list", _trimmed),
        Kind("starts at 0.5 s", _late),
        Kind("turned by a quarter", _turned),
        Kind("open GOPs, HEVC", _open_gop),
        Kind("cut within a GOP, TS", _cut),
        Kind("VP9, WebM", lambda d: Film(codec="libvpx-vp9").write(d / "a.webm")),
    )


def exported() -> Kind:
    """A film as this project writes it for trainers and viewers."""
    return Kind("written by massannot", lambda d: _written(d / "film.mp4"))


def _variable(path: Path) -> Path:
    return Film(options=WITH_B, time_base=Fraction(1, 1000), pts=VARIABLE).write(path)


def _trimmed(folder: Path) -> Path:
    whole = Film(options=NO_B).write(folder / "whole.mp4")
    return make.shifted(whole, folder / "a.mp4", by_s=-Fraction(30, 25), from_packet=20)


def _late(folder: Path) -> Path:
    return make.shifted(
        Film(options=NO_B).write(folder / "b.mp4"), folder / "a.mp4", by_s=Fraction(1, 2)
    )


def _turned(folder: Path) -> Path:
    return Film(
        options=NO_B,
        draw=lambda picture: np.rot90(picture, 1),
        setup=lambda stream: make.turn_for_display(stream, -90.0),
    ).write(folder / "a.mp4")


def _open_gop(folder: Path) -> Path:
    params = {"x265-params": f"{X265}:pools=none:frame-threads=1"}
    return Film(codec="libx265", options=params).write(folder / "a.mp4")


def _cut(folder: Path) -> Path:
    """The first eight packets are gone: what follows up to the next key frame refers to them."""
    whole = Film(options=WITH_B).write(folder / "whole.ts")
    return make.without_packets(whole, folder / "a.ts", range(8))


def _written(path: Path) -> Path:
    size = {"width": make.WIDTH, "height": make.HEIGHT}
    with FilmWriter(path, **size, fps=Fraction(25)) as film:
        for number in range(60):
            film.write(make.picture(number))
    return path
