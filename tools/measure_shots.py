"""How right shot changes are told, on 300 films with known ones and 100 without: docs/formats.md.

    python -m tools.measure_shots [--films FOLDER] [--first-seed 5000]

Drawn films (tests/unit/shot_films.py) of cuts, cuts between shots of like colours, two cuts eight
frames apart, dissolves, fades, and jump cuts within one scene; and, with a folder of real films,
pieces of them put together: of two films, or two moments of one. Without a change: whip pans, large
fast things, flashes. Pictures are those that the rule looks at, ten a second.

A change is found where a stated one overlaps it within one frame; each counts once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit"))
import shot_films
from shot_films import N_FRAMES, Known

from massannot.video.shot_rule import ShotRule
from massannot.video.shots import ShotFinder, SmallPictures

Pictures = npt.NDArray[np.uint8]
Change = tuple[int, int]
"""First frame and end of what belongs to neither shot; equal at a hard cut."""
PIECE = 36
"""Frames of a real film on each side of a change."""
APART = 20
"""Frames between two pieces of one film: two seconds."""
KINDS = {
    "cut": (shot_films.cut, 40),
    "cut, like colours": (shot_films.cut_between_like_shots, 40),
    "two cuts": (shot_films.two_cuts_eight_apart, 30),
    "dissolve of 4": (partial(shot_films.dissolve, length=4), 15),
    "dissolve of 8": (partial(shot_films.dissolve, length=8), 15),
    "dissolve of 16": (partial(shot_films.dissolve, length=16), 15),
    "dissolve of 24": (partial(shot_films.dissolve, length=24), 15),
    "fade": (shot_films.fade_out_and_in, 30),
}
N_JUMPS, N_PASTED = 50, 50
WITHOUT = {
    "whip pan": (shot_films.whip_pan, 34),
    "large fast thing": (shot_films.big_fast_thing, 33),
    "flash": (shot_films.flash, 33),
}


def main(films: Path | None, first_seed: int) -> None:
    print("| films | n | changes | found | stated wrongly | F1 |")
    print("|---|---|---|---|---|---|")
    totals = np.zeros(3, int)
    for name, known in all_films(films, first_seed):
        counts = np.sum([counted(film) for film in known], axis=0)
        totals += counts
        print(line(name, len(known), counts))
    print(line("all of these", None, totals))
    for name, (make, n) in WITHOUT.items():
        known = [make(first_seed + k) for k in range(n)]
        print(line(name, n, np.sum([counted(film) for film in known], axis=0)))


def all_films(films: Path | None, first_seed: int) -> Iterator[tuple[str, list[Known]]]:
    for name, (make, n) in KINDS.items():
        yield name, [make(first_seed + k) for k in range(n)]
    yield "jump cut in a scene", [jump_cut(first_seed + k) for k in range(N_JUMPS)]
    if films is not None:
        real = [real_pictures(path) for path in sorted(films.glob("*.mp4"))]
        yield "real films, pasted", [pasted(real, first_seed + k) for k in range(N_PASTED)]


def jump_cut(seed: int) -> Known:
    """One scene, 30 to 60 frames of which are missing."""
    rng = np.random.default_rng(seed)
    at, gap = int(rng.integers(20, 50)), int(rng.integers(30, 61))
    frames = shot_films.shot(rng, N_FRAMES + gap, speed=3, n_things=3)
    return Known(shot_films.shown(rng, np.delete(frames, np.s_[at : at + gap], axis=0)), (at,))


def real_pictures(path: Path) -> Pictures:
    """(N, 36, 64, 3), ten a second."""
    small, found = SmallPictures(), []
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            if frame.time is not None and frame.time >= len(found) / 10:
                found.append(small(frame))
    return np.stack(found)


def pasted(real: Sequence[Pictures], seed: int) -> Known:
    """Two pieces, each of one shot: of two films, or of one film with two seconds between them."""
    rng = np.random.default_rng(seed)
    pieces = [(film, *piece) for film, pictures in enumerate(real) for piece in pieces_of(pictures)]
    while True:
        (a, at, first), (b, then, second) = (
            pieces[int(k)] for k in rng.integers(len(pieces), size=2)
        )
        if a != b or then >= at + len(first) + APART or at >= then + len(second) + APART:
            return Known(np.concatenate([first, second]), (len(first),))


def pieces_of(pictures: Pictures) -> list[tuple[int, Pictures]]:
    """First frame and pictures of pieces of up to PIECE frames within the shots of a film."""
    numbers = list(stated(pictures))
    found = []
    for start in range(0, len(pictures) - PIECE // 2, 5):
        same = [number == numbers[start] for number in numbers[start : start + PIECE]]
        length = same.index(False) if False in same else len(same)
        if numbers[start] is not None and length >= PIECE // 2:
            found.append((start, pictures[start : start + length]))
    return found


def counted(film: Known) -> npt.NDArray[np.int64]:
    """Changes, those found, and changes stated where none is."""
    truth = [*((t, t) for t in film.cuts), *film.mixed]
    left = changes(list(stated(film.pictures)))
    found = 0
    for first, end in truth:
        hits = [each for each in left if each[0] - 1 <= end and each[1] + 1 >= first]
        if hits:
            left.remove(hits[0])
            found += 1
    return np.array([len(truth), found, len(left)])


def stated(pictures: Pictures) -> Iterator[int | None]:
    """The shot of each frame; None: of none."""
    finder = ShotFinder(ShotRule())
    for small in pictures:
        yield from (each.shot for each in finder.add(small))
    yield from (each.shot for each in finder.finish())


def changes(numbers: Sequence[int | None]) -> list[Change]:
    """Between two shots of a film; what lies before the first or after the last is none."""
    inside = [t for t, number in enumerate(numbers) if number is not None]
    return [
        (before + 1, after)
        for before, after in pairwise(inside)
        if numbers[before] != numbers[after]
    ]


def line(name: str, n: int | None, counts: npt.NDArray[np.int64]) -> str:
    truth, found, wrong = (int(count) for count in counts)
    f1 = "" if truth == 0 else f"{2 * found / (truth + found + wrong):.3f}"
    return f"| {name} | {'' if n is None else n} | {truth} | {found} | {wrong} | {f1} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=Path, help="Folder of real films.")
    parser.add_argument("--first-seed", type=int, default=5000)
    given = parser.parse_args()
    main(given.films, given.first_seed)
