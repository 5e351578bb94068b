"""Shots on drawn films with known cuts, none of which the rule was tuned on."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import shot_films
from shot_films import Known

from massannot.video.shot_rule import ShotRule
from massannot.video.shots import HEIGHT, WIDTH, Numbered, ShotFinder, SmallPictures
from massannot.video.shots_in_time import ShotsInTime

HELD_OUT = range(1000, 1006)
"""Seeds below 100 were looked at while the rule's numbers were chosen."""
CLIPS = sorted((Path(__file__).parents[3] / "shared" / "media").glob("*.mp4"))
MS = Fraction(1, 1000)


def numbered(pictures: np.ndarray) -> list[Numbered]:
    """What is found about each frame, (N, 36, 64, 3)."""
    finder = ShotFinder(ShotRule())
    return [*(each for small in pictures for each in finder.add(small)), *finder.finish()]


def shots(pictures: np.ndarray) -> list[int | None]:
    return [each.shot for each in numbered(pictures)]


def cuts(numbers: list[int | None]) -> tuple[int, ...]:
    return tuple(t for t, (a, b) in enumerate(pairwise(numbers), start=1) if a != b)


@pytest.mark.parametrize("seed", HELD_OUT)
@pytest.mark.parametrize(
    "make", [shot_films.cut, shot_films.cut_between_like_shots, shot_films.two_cuts_eight_apart]
)
def test_a_hard_cut_is_found_at_its_frame(make: Callable[[int], Known], seed: int) -> None:
    film = make(seed)
    numbers = shots(film.pictures)
    assert None not in numbers
    assert cuts(numbers) == film.cuts


@pytest.mark.parametrize("length", [4, 8, 16])
def test_a_dissolve_is_left_out_between_two_shots(length: int) -> None:
    """Nearly all of it, and little more."""
    n_left = n_more = 0
    for seed in HELD_OUT:
        film = shot_films.dissolve(seed, length)
        ((first, end),) = film.mixed
        numbers = shots(film.pictures)
        assert set(numbers) == {0, None, 1}, seed
        n_left += sum(number is not None for number in numbers[first:end])
        n_more += sum(number is None for number in numbers[:first] + numbers[end:])
    assert n_left <= 0.1 * length * len(HELD_OUT)
    assert n_more <= 4 * len(HELD_OUT)


def test_most_dissolves_of_two_seconds_and_a_half_are_found() -> None:
    found = [set(shots(shot_films.dissolve(seed, 24).pictures)) for seed in HELD_OUT]
    assert found.count({0, None, 1}) >= len(found) - 1


@pytest.mark.parametrize("seed", HELD_OUT)
def test_fades_and_the_black_between_them_are_left_out(seed: int) -> None:
    film = shot_films.fade_out_and_in(seed)
    ((first, end),) = film.mixed
    numbers = shots(film.pictures)
    assert set(numbers[first + 1 : end - 1]) == {None}
    assert set(numbers[: first - 4]) == {0}
    assert set(numbers[end + 4 :]) == {1}


@pytest.mark.parametrize("seed", HELD_OUT)
@pytest.mark.parametrize(
    "make",
    [
        shot_films.flash,
        shot_films.whip_pan,
        shot_films.big_fast_thing,
        shot_films.bright_thing_before_a_pale_wall,
        shot_films.light_step,
        shot_films.quiet,
    ],
)
def test_one_shot_stays_one(make: Callable[[int], Known], seed: int) -> None:
    assert set(shots(make(seed).pictures)) == {0}


def test_a_film_without_a_picture_has_no_shot() -> None:
    black = np.zeros((40, HEIGHT, WIDTH, 3), np.uint8)
    assert set(shots(black)) == {None}


def test_a_film_too_short_to_tell_what_is_usual_in_it_is_one_shot() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4, HEIGHT, WIDTH, 3)).astype(np.uint8)
    assert shots(noise) == [0] * 4


def test_black_at_the_ends_belongs_to_no_shot() -> None:
    film = shot_films.quiet(HELD_OUT[0]).pictures[:30]
    black = np.zeros((10, HEIGHT, WIDTH, 3), np.uint8)
    numbers = shots(np.concatenate([black, film, black]))
    assert numbers == [None] * 10 + [0] * 30 + [None] * 10


def test_a_frame_is_numbered_a_bounded_time_later_and_the_same_as_at_the_end() -> None:
    rule = ShotRule()
    pictures = shot_films.dissolve(HELD_OUT[0], 16).pictures
    finder, found = ShotFinder(rule), []
    for n, small in enumerate(pictures, start=1):
        found += finder.add(small)
        assert n - len(found) <= rule.look_ahead + 2 * rule.pad
        assert len(finder._looks) <= rule.look_ahead + 2 * rule.pad + rule.look_back + 1
    assert [*found, *finder.finish()] == numbered(pictures)
    assert [*found] == numbered(np.concatenate([pictures, pictures]))[: len(found)]


@pytest.mark.parametrize("rate", [24, 30, 60])
def test_a_cut_between_two_frames_that_are_looked_at_lies_at_its_frame(rate: int) -> None:
    """Frames are shown two to six times as often as the film is looked at."""
    film = shot_films.cut(HELD_OUT[0])
    (at,) = film.cuts
    times = np.arange(len(film.pictures) * rate // 10)
    in_time: ShotsInTime[int] = ShotsInTime(ShotRule(), time_base=MS)
    first_of_second = at * rate // 10 - 1  # not one that is looked at
    found = []
    for t in times:
        source = min(int(t) * 10 // rate, at - 1) if t < first_of_second else at + int(t) % 3
        pts = int(t) * 1000 // rate
        found += in_time.add(int(t), pts=pts, small=film.pictures[source])
    found += in_time.finish()
    assert [frame for frame, _ in found] == list(times)
    assert [shot for _, shot in found] == [int(t >= first_of_second) for t in times]


@pytest.mark.skipif(not CLIPS, reason="no clips in ../shared/media")
def test_real_clips_pasted_together_are_cut_where_they_meet() -> None:
    """The first 2.4 s of each, at ten frames a second, in every order of two."""
    pictures = [_small_pictures(path, n=24) for path in CLIPS]
    for a in range(len(CLIPS)):
        for b in range(len(CLIPS)):
            if a != b:
                numbers = shots(np.concatenate([pictures[a], pictures[b]]))
                assert numbers == [0] * 24 + [1] * 24, (CLIPS[a].name, CLIPS[b].name)


def _small_pictures(path: Path, *, n: int) -> np.ndarray:
    small, found = SmallPictures(), []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for frame in container.decode(stream):
            if frame.time >= len(found) / 10:
                found.append(small(frame))
            if len(found) == n:
                return np.stack(found)
    raise AssertionError(f"{path}: only {len(found)} frames")
