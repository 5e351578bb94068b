"""Reading a film with cuts: what the decoder process makes of its shots."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import shot_films

from massannot.clip import Clip
from massannot.errors import SpanWithoutShot
from massannot.inputs.span import Span, VideoSource
from massannot.video.byte_budget import ByteBudget
from massannot.video.film_encoder import FilmWriter
from massannot.video.reader import VideoEnd, read_clips, release
from massannot.video.sampling import Sampling
from massannot.video.shot_rule import ShotRule

FPS = 10
ALL = Sampling(fps=None, shots=ShotRule())
FIRST, MIXED, SECOND, BLACK, THIRD = 30, 8, 25, 12, 20
"""Frames: a shot, a dissolve, a shot that is cut off, black, a shot."""
CUT = FIRST + MIXED + SECOND


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(2001)
    shots = [shot_films.shot(rng, n) for n in (FIRST + MIXED, MIXED + SECOND, THIRD)]
    share = (np.arange(1, MIXED + 1) / (MIXED + 1))[:, None, None, None]
    frames = [
        shots[0][:FIRST],
        (1 - share) * shots[0][FIRST:] + share * shots[1][:MIXED],
        shots[1][MIXED:],
        np.zeros((BLACK, *shots[0].shape[1:])),
        shots[2],
    ]
    return write(tmp_path_factory.mktemp("films") / "film.mp4", np.concatenate(frames))


def write(path: Path, frames: np.ndarray) -> Path:
    height, width = frames.shape[1:3]
    with FilmWriter(path, width=width, height=height, fps=Fraction(FPS)) as writer:
        for frame in frames:
            writer.write(np.ascontiguousarray(frame.round().astype(np.uint8)))
    return path


def read(
    film: Path, *spans: Span, sampling: Sampling = ALL, budget: ByteBudget | None = None
) -> tuple[list[Clip], VideoEnd]:
    *clips, end = read_clips(VideoSource(str(film), spans), sampling=sampling, memory=budget)
    assert isinstance(end, VideoEnd)
    return clips, end  # type: ignore[return-value]


def frames_of(clip: Clip) -> list[int]:
    return [round(t * FPS) for t in clip.frames.t_s]


@pytest.mark.seen("shots", "engine alone")
def test_clips_lie_within_shots_and_leave_transitions_out(film: Path) -> None:
    clips, end = read(film)
    assert [clip.shot for clip in clips] == [0, 1, 2]
    assert [clip.clip_index for clip in clips] == [0, 1, 2]
    first, second, third = map(frames_of, clips)
    assert first == list(range(len(first)))
    assert FIRST - 4 <= len(first) <= FIRST + 1
    assert FIRST + MIXED - 1 <= second[0] <= FIRST + MIXED + 4
    assert second[-1] == CUT - 1
    assert third == list(range(CUT + BLACK, CUT + BLACK + THIRD))
    assert end.failures == ()
    assert end.video.n_frames == CUT + BLACK + THIRD


def test_without_shots_one_clip_holds_every_frame(film: Path) -> None:
    (clip,), _ = read(film, sampling=Sampling(fps=None))
    assert clip.shot is None
    assert len(clip) == CUT + BLACK + THIRD


def test_pictures_are_those_of_their_frames(film: Path) -> None:
    """They wait about two seconds until their shot is known."""
    (whole,), _ = read(film, sampling=Sampling(fps=None))
    for clip in read(film)[0]:
        expected = whole.frames.pixels_THWC[frames_of(clip)]
        np.testing.assert_array_equal(clip.frames.pixels_THWC, expected)


def test_a_film_without_cuts_gives_the_same_clip_as_without_shots(tmp_path: Path) -> None:
    frames = shot_films.shot(np.random.default_rng(2002), 60)
    quiet = write(tmp_path / "quiet.mp4", frames)
    (cut,), end = read(quiet)
    (whole,), end_of_whole = read(quiet, sampling=Sampling(fps=None))
    assert cut.clip_id == whole.clip_id
    assert cut.table("frames").equals(whole.table("frames"))
    np.testing.assert_array_equal(cut.frames.pixels_THWC, whole.frames.pixels_THWC)
    assert end.video == end_of_whole.video
    (early,), end = read(quiet, Span(0.5, 5.5))
    (early_of_whole,), end_of_whole = read(quiet, Span(0.5, 5.5), sampling=Sampling(fps=None))
    assert early.clip_id == early_of_whole.clip_id
    assert end.video == end_of_whole.video, "although the decoder has seen the end"


def test_shots_are_those_of_the_film_whatever_is_asked_of_it(film: Path) -> None:
    whole = read(film)[0]
    (clip,), _ = read(film, Span(4.5, 6.8))
    assert clip.shot == 1
    assert set(frames_of(clip)) <= set(frames_of(whole[1]))
    slow = read(film, sampling=Sampling(fps=2.5, shots=ShotRule()))[0]
    assert [clip.shot for clip in slow] == [0, 1, 2]
    assert all(set(frames_of(a)) <= set(frames_of(b)) for a, b in zip(slow, whole, strict=True))


def test_a_span_of_black_fails_alone_and_says_so(film: Path) -> None:
    clips, end = read(film, Span((CUT + 2) / FPS, (CUT + 8) / FPS), Span(0.0, 1.0))
    assert [clip.shot for clip in clips] == [0]
    ((index, error),) = end.failures
    assert index == 1
    assert isinstance(error, SpanWithoutShot)
    assert "--no-shots" in str(error)


@pytest.mark.parametrize("n_pictures", [1, 10, 40])
def test_any_budget_lets_the_film_through(film: Path, n_pictures: int) -> None:
    budget = ByteBudget(n_pictures * 128 * 72 * 3)
    n = 0
    for clip in read_clips(str(film), sampling=ALL, memory=budget):
        if isinstance(clip, Clip):
            n += 1
            release(clip)
    assert n == 3
    assert budget.held_bytes == 0
