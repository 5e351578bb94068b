"""Identity: stories of one or two objects, a letter per frame."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.evaluate.identity_scores import (
    IdentityScores,
    idf1,
    paired_entities,
    score_identity,
)


def story(*objects: str) -> tuple[np.ndarray, np.ndarray]:
    """Overlaps (T, K, 3) and presence (T, K). A row per object, a letter per frame: the entity on
    it (a, b or c); '?' there but not found; '.' out of the picture."""
    letters = np.array([list(row) for row in objects]).T
    return np.stack([letters == entity for entity in "abc"], axis=-1) * 0.9, letters != "."


# frames and objects present, paired, switches, returns, returns with the same identity
STORIES = {
    "kept throughout": (("aaaaaa",), (6, 6, 0, 0, 0)),
    "lost in between": (("aa??aa",), (6, 4, 0, 0, 0)),
    "switched once": (("aaabbb",), (6, 6, 1, 0, 0)),
    "switched across a gap": (("aa??bb",), (6, 4, 1, 0, 0)),
    "there and back are two": (("aababb",), (6, 6, 3, 0, 0)),
    "never found": (("??????",), (6, 0, 0, 0, 0)),
    "two objects swap": (("aabb", "bbaa"), (8, 8, 2, 0, 0)),
    "returns as itself": (("aa..aa",), (4, 4, 0, 1, 1)),
    "returns as another": (("aa..bb",), (4, 4, 1, 1, 0)),
    "returns unnoticed": (("aa..??",), (4, 2, 0, 1, 0)),
    "returns, found late": (("aa..?a",), (4, 3, 0, 1, 1)),
    "found only after the return": (("??..aa",), (4, 2, 0, 0, 0)),
    "returns twice": (("a.a.b.",), (3, 3, 1, 2, 1)),
    "two returns, the first unnoticed": (("a.?.a",), (3, 2, 0, 2, 1)),
    "comes late": (("..aa",), (2, 2, 0, 0, 0)),
}


@pytest.mark.parametrize(("objects", "want"), STORIES.values(), ids=STORIES.keys())
def test_a_story_is_counted(objects: tuple[str, ...], want: tuple[int, ...]) -> None:
    assert score_identity(*story(*objects)) == IdentityScores(*want)


def test_a_short_absence_may_be_no_reentry() -> None:
    overlap, present = story("a.a..b")
    scores = score_identity(overlap, present, least_absence=2)
    assert (scores.n_reentries, scores.n_reentries_kept) == (1, 0)


def test_pairs_have_the_greatest_total_overlap_in_each_frame() -> None:
    overlap = np.array([[[0.9, 0.8], [0.8, 0.0]], [[0.9, 0.4], [0.8, 0.45]]])
    np.testing.assert_array_equal(paired_entities(overlap, least=0.5), [[1, 0], [0, -1]])


def test_an_object_that_is_not_there_pairs_with_nobody() -> None:
    overlap, present = story("aaa")
    assert score_identity(overlap, present & [[True], [False], [True]]).n_paired == 2


def test_overlap_below_the_least_is_no_pair() -> None:
    overlap, present = story("aaa")
    assert score_identity(overlap, present, least_overlap=0.9).n_paired == 3
    assert score_identity(overlap, present, least_overlap=0.91).n_paired == 0


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(T, K, M\) and \(T, K\)"):
        score_identity(np.zeros((2, 1, 1)), np.zeros((1, 1), np.bool_))


IDF1 = [
    pytest.param([[0, 0, 0, 0], [1, 1, 1, 1]], 1.0, id="each has one identity"),
    pytest.param([[0, 0, 1, 1], [1, 1, 0, 0]], 0.5, id="they change places"),
    pytest.param([[0, 0, 2, 2], [1, 1, 1, 1]], 0.75, id="one is new half-way"),
    pytest.param([[0, 0, None, None], [1, 1, 1, 1]], 12 / 14, id="one is lost half-way"),
]


@pytest.mark.parametrize(("found", "expected"), IDF1)
def test_idf1_asks_for_one_identity_over_the_whole_film(
    found: list[list[int | None]], expected: float
) -> None:
    """`found`: the identity that covers each of two objects in each of four frames."""
    overlap = np.full((4, 2, 3), np.nan)
    for k, of_object in enumerate(found):
        for t, identity in enumerate(of_object):
            if identity is not None:
                overlap[t, :, identity] = 0.0
                overlap[t, k, identity] = 0.9
    assert idf1(overlap, np.ones((4, 2), np.bool_)) == pytest.approx(expected)
