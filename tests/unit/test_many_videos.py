"""Names and planned videos by column give back what was put in, however many there are."""

import random

import numpy as np
import pytest

from massannot.clip import Phrase
from massannot.errors import UsageError
from massannot.inputs.span import Span
from massannot.inputs.text import AT_ONCE, Identities, TextColumn
from massannot.plan.planned_videos import BLOCK, PlannedVideo, PlannedVideos

N = 2 * AT_ONCE + 3
TEXTS = [f"{n % 7}/\u00fc{n * 7919 % N:06d}.mp4" for n in range(N)]


@pytest.mark.parametrize("n", [0, 1, AT_ONCE, N])
def test_names_are_those_that_were_given(n):
    names = TextColumn(TEXTS[:n])
    assert (len(names), list(names), names[:]) == (n, TEXTS[:n], TEXTS[:n])
    assert [names[k] for k in range(-n, n, 997)] == [TEXTS[:n][k] for k in range(-n, n, 997)]
    with pytest.raises(IndexError):
        names[n]


def test_names_are_drained_in_the_order_of_python():
    texts = [*TEXTS, "a-b.mp4", "a/b.mp4", "a.mp4", "\U0001f600", "\uffee", "Z"]
    random.Random(0).shuffle(texts)
    assert list(TextColumn(texts).drained_in_order()) == sorted(texts)


def test_a_name_that_is_not_text_is_refused():
    with pytest.raises(UsageError, match=r"\\udcff.*found a name that is not UTF-8"):
        TextColumn(["a.mp4", "\udcff.mp4"])


def test_what_was_there_before_is_known():
    identities = Identities()
    assert identities.repeated() == set()
    for name in ("a", "b", "a", "c", "a", "b"):
        identities.add(name)
    assert identities.repeated() == {2, 4, 5}


SPANS = ((), (Span(),), (Span(0.5, 2.0, (Phrase("ball"),), "mine"), Span(3.0)))
VIDEOS = [
    PlannedVideo("bare"),
    PlannedVideo(
        "full", SPANS[2], "id", 2**40, 2**60, "CC0", '"etag"', "generated", "a model", 0.25, 7
    ),
    *(PlannedVideo(f"v{n}", SPANS[n % 3], size_bytes=n, cost=n / 3) for n in range(BLOCK + 3)),
]


@pytest.mark.parametrize("n", [0, 1, 2, len(VIDEOS)])
def test_planned_videos_are_those_that_were_given(n):
    videos = PlannedVideos(iter(VIDEOS[:n]))
    assert (len(videos), list(videos), videos[1:n:2]) == (n, VIDEOS[:n], VIDEOS[1:n:2])
    assert videos.sizes.tolist() == [video.size_bytes or 0 for video in VIDEOS[:n]]
    assert videos.costs.tolist() == [video.cost for video in VIDEOS[:n]]


def test_planned_videos_are_found_by_their_places():
    videos = PlannedVideos(VIDEOS)
    places = [BLOCK, 5, 0, BLOCK + 1, 1, 5]
    assert videos.at(np.array(places)) == [VIDEOS[n] for n in places]
    assert videos[-1] == VIDEOS[-1]
    with pytest.raises(IndexError):
        videos[len(VIDEOS)]
