# ruff: noqa: E501
"""Odd and damaged inputs: one named row each, with the frame numbers they must give, or the error.

Every frame shows its own number, so the rows say exactly which pictures arrive, and a frame that is
not marked `damaged` must be the one that its time stamp says. Rows whose codec this build of PyAV
cannot encode skip by name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from massannot import errors
from massannot.clip import Clip, Video
from massannot.inputs.span import VideoSource
from massannot.video.reader import VideoEnd, read_clips, release
from massannot.video.sampling import Sampling
from tests.unit import make_videos as make
from tests.unit.make_videos import Film

ALL = Sampling(fps=None)
LIMIT_S = 20.0
GOP20 = {"g": "20", "bf": "0", "sc_threshold": "0"}


@dataclass(frozen=True)
class Gives:
    """What a row must give. `numbers` are those of the frames not marked damaged."""

    numbers: Sequence[int]
    damaged: bool = False
    marked: int = 0
    """Frames marked damaged, which are not among `numbers`."""
    rate: Fraction | None = Fraction(25)
    """Frame n is shown n / rate after frame 0; None: not checked."""
    variable: bool | None = False
    sizes: tuple[tuple[int, int], ...] = ((make.WIDTH, make.HEIGHT),)
    n_clips: int = 1


@dataclass(frozen=True)
class Row:
    words: str
    make: Callable[[Path], Path]
    expected: Gives | type[errors.BadVideo]
    says: str = ""
    """What the error's message must contain."""


def up_to(end: int) -> range:
    return range(end)


def film(name: str, **how: object) -> Callable[[Path], Path]:
    return lambda folder: Film(**how).write(folder / name)  # type: ignore[arg-type]


def good(folder: Path, name: str = "good.mp4", **how: object) -> Path:
    """A sound file with a key frame every 20 frames and no B-frames, to be damaged."""
    options = {"options": GOP20, "noise": 12, "muxer": {"movflags": "faststart"}}
    if not name.endswith((".mp4", ".mov")):
        options.pop("muxer")
    return Film(**{**options, **how}).write(folder / name)  # type: ignore[arg-type]


def turned(degrees: float, **flips: bool) -> Callable[[Path], Path]:
    def draw(picture: make.Picture) -> make.Picture:
        stored = np.rot90(picture, round(degrees / 90))  # clockwise display undoes this
        return stored[:, ::-1] if flips.get("hflip") else stored

    def setup(stream: object) -> None:
        make.turn_for_display(stream, -degrees, **flips)

    return film("turned.mp4", draw=draw, setup=setup)


def two_sizes(folder: Path) -> Path:
    """One stream whose pictures grow after 30 frames."""
    small = Film(n=30).write(folder / "small.h264")
    large = Film(n=30, first_number=30, height=144, width=256).write(folder / "large.h264")
    return make.joined(folder / "two.h264", small, large)


def all_at_once(folder: Path) -> Path:
    """Sixty frames that are all shown at time 0."""
    source = Film(options=GOP20).write(folder / "source.mkv")
    with make.remuxing(source, folder / "at_once.mkv") as (packets, made, stream):
        for packet in packets:
            packet.pts = packet.dts = 0
            packet.stream = stream
            made.mux(packet)
    return folder / "at_once.mkv"


def time_runs_back(folder: Path) -> Path:
    """After frame 29 the clock is put back by ten frames."""
    source = Film(options=GOP20).write(folder / "source.ts")
    first = make.without_packets(source, folder / "first.ts", range(30, 60))
    second = make.without_packets(source, folder / "second.ts", range(40))
    second = make.shifted(second, folder / "earlier.ts", by_s=-Fraction(20, 25))
    return make.joined(folder / "back.ts", first, second)


ROWS = [
    Row("H.264 with B-frames in mp4", film("a.mp4"), Gives(up_to(60))),
    Row("H.264 open GOP", film("a.mp4", options={"x264-params": "open-gop=1:keyint=20"}), Gives(up_to(60))),
    Row("H.264 with sound beside it", film("a.mp4", audio=True), Gives(up_to(60))),
    Row("HEVC", film("a.mp4", codec="libx265"), Gives(up_to(60))),
    Row("HEVC 10 bit", film("a.mkv", codec="libx265", pixel_format="yuv420p10le"), Gives(up_to(60))),
    Row("AV1", film("a.mp4", codec="libsvtav1", noise=12, options={"preset": "8", "crf": "20"}), Gives(up_to(60))),
    Row("VP9 in webm", film("a.webm", codec="libvpx-vp9"), Gives(up_to(60))),
    Row("VP8 in webm", film("a.webm", codec="libvpx"), Gives(up_to(60))),
    Row("MPEG-TS", film("a.ts"), Gives(up_to(60))),
    Row("MPEG-2 interlaced in TS", film("a.ts", codec="mpeg2video", options={"flags": "+ildct+ilme", "bf": "2"}), Gives(up_to(60))),
    Row("AVI with B-frames", film("a.avi", codec="mpeg4", options={"bf": "2"}), Gives(up_to(60))),
    Row("MJPEG in AVI, full range", film("a.avi", codec="mjpeg", pixel_format="yuvj420p"), Gives(up_to(60))),
    Row("MKV, times rounded to milliseconds", film("a.mkv", rate=Fraction(30)), Gives(up_to(60), rate=Fraction(30))),
    Row("ProRes 4:2:2 10 bit in MOV", film("a.mov", codec="prores_ks", pixel_format="yuv422p10le"), Gives(up_to(60))),
    Row("fragmented mp4", film("a.mp4", muxer={"movflags": "frag_keyframe+empty_moov"}, options=GOP20), Gives(up_to(60))),
    Row("grey", film("a.mkv", codec="ffv1", pixel_format="gray"), Gives(up_to(60))),
    Row("alpha", film("a.mov", codec="prores_ks", pixel_format="yuva444p10le"), Gives(up_to(60))),
    Row("RGB with alpha", film("a.mov", codec="png", pixel_format="rgba"), Gives(up_to(60))),
    Row("4:4:4", film("a.mp4", pixel_format="yuv444p"), Gives(up_to(60))),
    Row("animated GIF", film("a.gif", codec="gif", pixel_format="rgb8"), Gives(up_to(60))),
    Row("turned by 90 degrees", turned(90), Gives(up_to(60))),
    Row("turned by 180 degrees", turned(180), Gives(up_to(60))),
    Row("turned by 270 degrees", turned(270), Gives(up_to(60))),
    Row("mirrored", turned(0, hflip=True), Gives(up_to(60))),
    Row("pixels that are not square", film("a.mp4", sample_aspect=Fraction(4, 3)), Gives(up_to(60))),
    Row("odd width and height", film("a.mkv", codec="ffv1", height=97, width=193), Gives(up_to(60), sizes=((193, 97),))),
    Row("eight by four pixels", film("a.mov", codec="png", pixel_format="rgb24", height=4, width=8), Gives(up_to(60), sizes=((8, 4),))),
    Row("1000 frames a second", film("a.mp4", rate=Fraction(1000)), Gives(up_to(60), rate=Fraction(1000))),
    Row("30000/1001 frames a second", film("a.mp4", rate=Fraction(30000, 1001)), Gives(up_to(60), rate=Fraction(30000, 1001))),
    Row(
        "variable frame rate",
        film("a.mp4", n=6, time_base=Fraction(1, 1000), pts=(0, 40, 55, 300, 1300, 1340)),
        Gives(up_to(6), rate=None, variable=True),
    ),
    Row(
        "a gap of a minute",
        film("a.mkv", n=6, time_base=Fraction(1, 1000), pts=(0, 40, 80, 60080, 60120, 60160)),
        Gives(up_to(6), rate=None, variable=True, n_clips=2),
    ),
    Row("times start at 5 s", lambda d: make.shifted(Film().write(d / "a.mp4"), d / "b.mp4", by_s=Fraction(5)), Gives(up_to(60))),
    Row("times start at 5 s in TS", lambda d: make.shifted(Film().write(d / "a.ts"), d / "b.ts", by_s=Fraction(5)), Gives(up_to(60))),
    Row(
        "edit list: trimmed without re-encoding, frames before the cut are hidden",
        lambda d: make.shifted(Film(options=GOP20).write(d / "a.mp4"), d / "b.mp4", by_s=-Fraction(30, 25), from_packet=20),
        Gives(range(30, 60)),
    ),
    Row(
        "times before zero",
        lambda d: make.shifted(Film(options=GOP20).write(d / "a.nut"), d / "b.nut", by_s=-Fraction(1)),
        Gives(up_to(60)),
    ),
    Row("raw H.264 without any times", film("a.h264"), Gives(up_to(60))),
    Row("raw MPEG-4 without any times", film("a.m4v", codec="mpeg4"), Gives(up_to(60))),
    Row("one frame", film("a.mp4", n=1), Gives([0], rate=None, variable=None)),
    Row("a picture under a video's name", film("a.mp4", n=1, codec="png", pixel_format="rgb24", container="image2pipe"), Gives([0], rate=None, variable=None)),
    Row("zero duration: every frame at time 0", all_at_once, Gives([0], rate=None, damaged=True, variable=None)),
    Row("TS whose clock is put back: the packet before counts as incomplete", time_runs_back, Gives(up_to(28), damaged=True)),
    Row("pictures grow in mid-stream", two_sizes, Gives(up_to(60), sizes=((192, 96), (256, 144)), n_clips=2)),
    Row("a name full of traps", film("-a b%03d:é'?#\n.mp4"), Gives(up_to(60))),
    Row("cut off before frame 31", lambda d: make.cut_off(good(d), d / "b.mp4", before_packet=31), Gives(up_to(31), damaged=True)),
    Row("cut off within frame 31", lambda d: make.cut_off(good(d), d / "b.mp4", before_packet=31, extra=200), Gives(up_to(31), damaged=True)),
    Row(
        "fragmented mp4 cut off within frame 31",
        lambda d: make.cut_off(good(d, muxer={"movflags": "frag_keyframe+empty_moov"}), d / "b.mp4", before_packet=31, extra=200),
        Gives(up_to(31), damaged=True),
    ),
    Row("MKV cut off within frame 31", lambda d: make.cut_off(good(d, "a.mkv"), d / "b.mkv", before_packet=31, extra=200), Gives(up_to(30), damaged=True, marked=1)),
    Row("TS cut off between two frames", lambda d: make.cut_off(good(d, "a.ts"), d / "b.ts", before_packet=31), Gives(up_to(31))),
    Row("frame 30 overwritten", lambda d: make.overwritten(good(d), d / "b.mp4", [30]), Gives([*range(30), *range(40, 60)], damaged=True, variable=True)),
    Row("key frame 20 overwritten", lambda d: make.overwritten(good(d), d / "b.mp4", [20]), Gives([*range(20), *range(40, 60)], damaged=True, variable=True)),
    Row("frames missing that others refer to", lambda d: make.without_packets(good(d, options={**GOP20, "bf": "2"}), d / "b.mp4", range(28, 31)), Gives([*range(27), *range(40, 60)], damaged=True, marked=10, variable=True)),
    Row("TS with a hole after frame 29: two packets before count as incomplete", lambda d: make.cut_out(good(d, "a.ts"), d / "b.ts", packets=range(30, 32)), Gives([*range(28), *range(40, 60)], damaged=True, variable=True)),
    Row("MPEG-4 in AVI, frame 30 overwritten", lambda d: make.overwritten(good(d, "a.avi", codec="mpeg4"), d / "b.avi", [30]), Gives(up_to(30), damaged=True)),
    Row("AVI with a hole: times after it are unknown", lambda d: make.cut_out(good(d, "a.avi", codec="mpeg4"), d / "b.avi", packets=range(30, 33)), Gives(up_to(30), damaged=True)),
    Row("MJPEG in AVI, frame 30 overwritten", lambda d: make.overwritten(good(d, "a.avi", codec="mjpeg", pixel_format="yuvj420p", options={}), d / "b.avi", [30], skip=300), Gives([*range(30), *range(31, 60)], damaged=True, marked=1)),
    Row("HEVC, frame 30 overwritten", lambda d: make.overwritten(good(d, codec="libx265", options={"x265-params": "log-level=none:keyint=20:min-keyint=20:bframes=0:scenecut=0:open-gop=0"}), d / "b.mp4", [30]), Gives([*range(30), *range(40, 60)], damaged=True, variable=True)),
    Row("mp4 without its index", lambda d: make.cut_off(good(d, muxer={}), d / "b.mp4", before_packet=31), errors.NotAVideo, says="moov atom not found"),
    Row("every frame overwritten", lambda d: make.overwritten(good(d), d / "b.mp4", range(60)), errors.NoFrames, says="60 packets"),
    Row("sound only", lambda d: make.sound_only(d / "a.mp4"), errors.NoVideoStream, says="audio"),
    Row("sound with a cover picture", lambda d: make.sound_with_cover(d / "a.mp4"), errors.NoVideoStream, says="audio"),
    Row("codec nobody knows", lambda d: make.patched(good(d), d / "b.mp4", old=b"avc1", new=b"zzz1"), errors.UnsupportedCodec, says="no decoder"),
    Row("empty file", lambda d: touch(d / "a.mp4", b""), errors.EmptyFile, says="0 bytes"),
    Row("text under a video's name", lambda d: touch(d / "a.mp4", b"This is no video.\n" * 99), errors.NotAVideo, says="container"),
    Row("a playlist of the network under a video's name", lambda d: touch(d / "a.mp4", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n"), errors.NotAVideo),
    Row("zeros", lambda d: touch(d / "a.mp4", bytes(100_000)), errors.NotAVideo),
    Row("a folder", lambda d: d, errors.NotAFile, says="a folder"),
    Row("a pipe", lambda d: pipe(d / "a.mp4"), errors.NotAFile, says="pipe"),
    Row("nothing there", lambda d: d / "a.mp4", errors.VideoNotFound, says="found nothing"),
    Row("a link to nothing", lambda d: link(d / "a.mp4"), errors.VideoNotFound),
    Row("a file as a folder", lambda d: touch(d / "a.mp4", b"x") / "b.mp4", errors.VideoNotFound),
]  # fmt: skip


def touch(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def link(path: Path) -> Path:
    path.symlink_to("gone.mp4")
    return path


def read(path: Path) -> tuple[list[Clip], VideoEnd]:
    found = list(read_clips(str(path), sampling=ALL, silence_s=LIMIT_S))
    clips = [item for item in found if isinstance(item, Clip)]
    end = found[-1]
    assert isinstance(end, VideoEnd)
    return clips, end


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.words)
def test_an_odd_input_gives_its_frames_or_says_why_not(row: Row, tmp_path: Path) -> None:
    path = row.make(tmp_path)
    if not isinstance(row.expected, Gives):
        with pytest.raises(row.expected) as caught:
            read(path)
        assert type(caught.value) is row.expected
        assert str(path) in str(caught.value)
        assert "expected" in str(caught.value)
        assert row.says in str(caught.value)
        return
    clips, end = read(path)
    check(row.expected, clips, end.video)
    assert end.failures == ()
    for clip in clips:
        release(clip)


def check(expected: Gives, clips: list[Clip], video: Video) -> None:
    tables = [clip.table("frames").to_pydict() for clip in clips]
    shown = [
        (make.read_number(picture), pts, t_s, damaged)
        for clip, table in zip(clips, tables, strict=True)
        for picture, pts, t_s, damaged in zip(
            clip.frames.pixels_THWC, table["pts"], table["t_s"], table["damaged"], strict=True
        )
    ]
    numbers = [number for number, _, _, damaged in shown if not damaged]
    assert numbers == list(expected.numbers)
    assert sum(damaged for _, _, _, damaged in shown) == expected.marked
    assert video.damaged is expected.damaged
    assert video.variable_rate is expected.variable
    assert video.n_frames == len(shown)
    assert len(clips) == expected.n_clips
    sizes = tuple(dict.fromkeys((c.frames.source_width, c.frames.source_height) for c in clips))
    assert sizes == expected.sizes
    every_pts = [pts for _, pts, _, _ in shown]
    assert every_pts == sorted(set(every_pts))
    assert [t for _, _, t, _ in shown] == [
        float((pts - video.first_pts) * video.time_base) for pts in every_pts
    ]
    if expected.rate is not None:
        for number, pts, _, damaged in shown:
            if not damaged:
                assert number is not None
                after = Fraction(number - expected.numbers[0]) / expected.rate
                assert abs((pts - video.first_pts) * video.time_base - after) <= video.time_base


@pytest.mark.parametrize("what", ["size_bytes", "mtime_ns"])
def test_a_file_that_changed_since_planning_is_refused(what: str, tmp_path: Path) -> None:
    path = Film(n=2).write(tmp_path / "a.mp4")
    with pytest.raises(errors.VideoChanged, match=r"found .* expected 1 as planned; plan again"):
        next(read_clips(VideoSource(str(path), **{what: 1})))  # type: ignore[arg-type]
