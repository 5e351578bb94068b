"""read_clips: spans, ids and what rides along, in one pass over the file."""

from __future__ import annotations

import dataclasses
import gc
import threading
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from massannot.clip import Clip, Phrase
from massannot.errors import SpanOutsideVideo, UsageError, VideoNotFound
from massannot.inputs.span import Span, VideoSource
from massannot.video.byte_budget import ByteBudget
from massannot.video.reader import VideoEnd, probe, read_clips, release
from massannot.video.sampling import Sampling
from massannot.video.video_id import clip_id, video_id
from tests.unit.make_videos import HEIGHT, WIDTH, Film, cropped_by_container, read_number

FRAME_BYTES = HEIGHT * WIDTH * 3
ALL = Sampling(fps=None)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty frames at 25 frames a second: 2.4 s."""
    return Film().write(tmp_path_factory.mktemp("films") / "film.mp4")


def numbers(clip: Clip) -> list[int | None]:
    return [read_number(shown) for shown in clip.frames.pixels_THWC]


def read(
    path: Path, spans: Sequence[Span] = (), sampling: Sampling = Sampling()
) -> tuple[list[Clip], VideoEnd]:
    *clips, end = read_clips(VideoSource(str(path), tuple(spans)), sampling=sampling)
    assert isinstance(end, VideoEnd)
    return [clip for clip in clips if isinstance(clip, Clip)], end


def test_ten_frames_a_second_are_the_default(film: Path) -> None:
    clips, _ = read(film)
    expected = sorted({-(-k * 25 // 10) for k in range(24)})  # the first frame at or after k / 10 s
    assert numbers(clips[0]) == expected
    assert clips[0].sampling == "10"


def test_overlapping_spans_come_from_one_pass_with_what_rides_along(film: Path) -> None:
    phrases = (Phrase("a ball", origin="question", question_id="q", char_start=0, char_end=6),)
    spans = (Span(1.0, 2.0, phrases, "late"), Span(0.5, 1.5, (), "early"), Span(2.0, 2.2))
    clips, end = read(film, spans, ALL)
    assert [numbers(clip) for clip in clips] == [
        list(range(13, 38)),  # 0.5 s lies between frames 12 and 13
        list(range(25, 50)),
        list(range(50, 55)),
    ]
    assert [clip.frames.source_id for clip in clips] == ["early", "late", "film"]
    assert [clip.phrases for clip in clips] == [(), phrases, ()]
    assert [clip.clip_index for clip in clips] == [0, 1, 2]
    assert end.video.n_frames is None  # nobody needed the last frames
    assert end.video.duration_s is None


def test_ids_are_those_of_content_and_span(film: Path) -> None:
    (clip,), end = read(film, (Span(0.4, 0.8),), ALL)
    with open(film, "rb") as file:
        assert end.video.video_id == clip.video.video_id == video_id(file)
    assert clip.video.time_base == Fraction(1, 12800)
    assert clip.clip_id == clip_id(
        end.video.video_id,
        first_pts=10 * 512,
        end_pts=20 * 512,
        time_base=Fraction(1, 12800),
        sampling="all",
    )
    table = clip.table("frames").to_pydict()
    assert table["clip_id"] == [clip.clip_id] * 10
    assert table["pts"] == [n * 512 for n in range(10, 20)]
    assert table["t_s"] == [float(Fraction(n, 25)) for n in range(10, 20)]
    assert table["keyframe"] == [False] * 10


def test_a_film_that_its_container_crops_is_read_whole(film: Path, tmp_path: Path) -> None:
    """Loaders of training films do the same, the ffmpeg command does not."""
    small = {"width": WIDTH - 32, "height": HEIGHT - 16}
    (clip,), _ = read(cropped_by_container(film, tmp_path / "cropped.mp4", **small))
    (whole,), _ = read(film)
    assert clip.frames.pixels_THWC.shape[1:3] == (HEIGHT, WIDTH)
    assert np.array_equal(clip.frames.pixels_THWC, whole.frames.pixels_THWC)


def test_reading_twice_gives_equal_clips(film: Path) -> None:
    spans = (Span(), Span(0.3, 1.7))
    (first, _), (second, _) = read(film, spans), read(film, spans)
    for a, b in zip(first, second, strict=True):
        assert a.clip_id == b.clip_id
        assert a.table("frames").equals(b.table("frames"))
        assert (a.frames.pixels_THWC == b.frames.pixels_THWC).all()


def test_a_cut_and_the_equal_span_are_the_same_clip(film: Path) -> None:
    cuts, _ = read(film, sampling=Sampling(clip_s=0.8))
    (as_span,), _ = read(film, (Span(0.8, 1.6),))
    assert len(cuts) == 3
    assert cuts[1].clip_id == as_span.clip_id


def test_a_span_past_the_end_fails_alone(film: Path) -> None:
    clips, end = read(film, (Span(60.0, 70.0), Span(0.0, 0.2)), ALL)
    assert [numbers(clip) for clip in clips] == [[0, 1, 2, 3, 4]]
    ((index, error),) = end.failures
    assert index == 1
    assert isinstance(error, SpanOutsideVideo)
    assert "no frame between 60 s and 70 s (the last is shown at 2.36 s)" in str(error)


def test_the_end_says_what_only_the_end_knows(film: Path) -> None:
    clips, end = read(film)
    assert (end.video.n_frames, end.video.duration_s, end.video.variable_rate) == (60, 2.4, False)
    unknown = dataclasses.replace(end.video, n_frames=None, duration_s=None, variable_rate=None)
    assert clips[0].video == unknown
    assert (end.video.codec, end.video.pixel_format) == ("h264", "yuv420p")
    assert (end.video.rotation, end.video.sample_aspect) == (0, Fraction(1))


def test_a_header_is_read_without_decoding(film: Path) -> None:
    header = probe(str(film))
    assert (header.codec, header.width, header.height) == ("h264", WIDTH, HEIGHT)
    assert (header.n_frames, header.duration_s, header.frame_rate) == (60, 2.4, Fraction(25))
    assert header.size_bytes == film.stat().st_size
    with pytest.raises(VideoNotFound):
        probe(str(film) + ".gone")


def test_file_addresses_are_paths_and_others_are_refused(film: Path) -> None:
    assert probe(f"file://{film}") == probe(str(film))
    with pytest.raises(UsageError, match="found an address of https, expected"):
        probe("https://host/film.mp4")


def two_streams(path: Path, first: Film, second: Film) -> Path:
    """A file whose first video stream is not marked as a cover."""
    with av.open(str(path), "w") as container:
        streams = [film._stream(container) for film in (first, second)]
        for film, stream in zip((first, second), streams, strict=True):
            for packet in film.packets(stream):
                container.mux(packet)
    return path


COVER = Film(n=1, codec="mjpeg", pixel_format="yuvj420p", first_number=500)


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "nut"])
@pytest.mark.parametrize("n", [2, 30])
def test_a_still_first_stream_is_a_cover_of_the_film_after_it(
    tmp_path: Path, ending: str, n: int
) -> None:
    path = two_streams(tmp_path / f"film.{ending}", COVER, Film(n=n))
    clips, end = read(path, sampling=ALL)
    assert [numbers(clip) for clip in clips] == [list(range(n))]
    assert (end.video.codec, probe(str(path)).codec) == ("h264", "h264")


@pytest.mark.parametrize("other", [Film(n=33), Film(n=60, rate=Fraction(50))], ids=["33", "60"])
def test_of_two_films_the_first_is_read(tmp_path: Path, other: Film) -> None:
    """Two eyes, two cameras, or a preview at another rate."""
    path = two_streams(tmp_path / "film.mp4", Film(n=30, first_number=100), other)
    clips, _ = read(path, sampling=ALL)
    assert numbers(clips[0])[:2] == [100, 101]


def test_a_still_alone_is_a_film_of_one_frame(tmp_path: Path) -> None:
    clips, _ = read(COVER.write(tmp_path / "still.mp4"), sampling=ALL)
    assert numbers(clips[0]) == [500]


def test_released_pictures_are_gone_and_counts_stay(film: Path) -> None:
    budget = ByteBudget()
    clip = next(read_clips(str(film), memory=budget))
    assert isinstance(clip, Clip)
    held = budget.held_bytes
    release(clip)
    release(clip)
    assert budget.held_bytes == held - 24 * FRAME_BYTES
    assert len(clip.frames) == 24
    assert not clip.frames.pixels_THWC.any()


def test_a_clip_that_nobody_refers_to_is_released(film: Path) -> None:
    budget = ByteBudget()
    found = list(read_clips(str(film), memory=budget))
    assert budget.held_bytes == 24 * FRAME_BYTES
    found.clear()
    gc.collect()
    assert budget.held_bytes == 0


@pytest.mark.parametrize("limit", [1, 10 * FRAME_BYTES, 25 * FRAME_BYTES])
def test_any_budget_lets_overlapping_spans_through(film: Path, limit: int) -> None:
    """Also one that is smaller than a clip, and spans that are all in the making at once."""
    spans = tuple(Span(0.04 * i, 0.04 * i + 1.0) for i in range(6))
    budget, seen = ByteBudget(limit), []
    for item in read_clips(VideoSource(str(film), spans), sampling=ALL, memory=budget):
        if isinstance(item, Clip):
            seen.append(numbers(item))
            release(item)
    assert seen == [list(range(i, i + 25)) for i in range(6)]
    assert budget.held_bytes == 0


def test_clips_share_their_boundary_frame_in_a_budget_of_one_clip(film: Path) -> None:
    """The picture is the very same; the earlier clip marks it, and a later one is there."""
    budget = ByteBudget(25 * FRAME_BYTES)
    sampling = Sampling(fps=None, max_frames=25, shared_frames=True)
    seen, edges, shared = [], [], []
    for item in read_clips(str(film), sampling=sampling, memory=budget):
        if isinstance(item, Clip):
            seen.append(numbers(item))
            edges.append(item.frames.pixels_THWC[[0, -1]].copy())
            shared.append(item.table("frames")["shared"].to_pylist())
            release(item)
    assert seen == [list(range(25)), list(range(24, 49)), list(range(48, 60))]
    assert [np.flatnonzero(marks).tolist() for marks in shared] == [[24], [24], []]
    assert (edges[0][1] == edges[1][0]).all()
    assert (edges[1][1] == edges[2][0]).all()
    assert budget.held_bytes == 0


def test_decoding_waits_for_the_budget_and_goes_on_after_a_release(film: Path) -> None:
    budget = ByteBudget(25 * FRAME_BYTES)
    reader = read_clips(str(film), sampling=Sampling(fps=None, max_frames=20), memory=budget)
    first = next(reader)
    assert isinstance(first, Clip)
    found: list[Clip | VideoEnd] = []
    thread = threading.Thread(target=lambda: found.append(next(reader)), daemon=True)
    thread.start()
    thread.join(timeout=0.3)
    assert not found
    release(first)
    thread.join(timeout=20)
    (second,) = found
    assert isinstance(second, Clip)
    assert numbers(second) == list(range(20, 40))
    release(second)
    reader.close()  # type: ignore[attr-defined]
    assert budget.held_bytes == 0


def test_the_next_clip_is_decoded_while_the_caller_works(film: Path) -> None:
    budget = ByteBudget()
    reader = read_clips(str(film), sampling=Sampling(fps=None, max_frames=20), memory=budget)
    clip = next(reader)
    assert isinstance(clip, Clip)
    assert budget.held_bytes >= 40 * FRAME_BYTES  # this one, and leave for one more
    reader.close()  # type: ignore[attr-defined]


def test_a_relative_name_means_the_callers_folder_wherever_the_decoder_was_started(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(read_clips(str(film)))  # a decoder process exists, and was started elsewhere
    monkeypatch.chdir(film.parent)
    clips, _ = read(Path(film.name))
    assert clips[0].frames.source_id == film.stem
    with pytest.raises(VideoNotFound, match=r"^gone\.mp4"):
        list(read_clips("gone.mp4"))
