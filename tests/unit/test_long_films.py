"""Clips of one video as one story: who is who, each frame once, one world."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from massannot.dataset.publish import publish
from massannot.dataset.reading import Dataset, open_dataset
from massannot.dataset.touching import n_frames_once
from massannot.dataset.validate import problems
from massannot.errors import UsageError
from massannot.tables import _consistency as consistency
from tests.unit import long_film
from tests.unit.long_film import TWO_SHOTS, VIDEO, Part

ONE, TWO, THREE, AFTER_CUT = TWO_SHOTS


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return long_film.write(tmp_path_factory.mktemp("film") / "out")


def of_things(parts: tuple[Part, ...]) -> list[dict[int, int]]:
    """For each clip, thing to identity."""
    rows = long_film.linked(parts).to_pylist()
    return [
        {part.things[r["entity"]]: r["identity"] for r in rows if r["clip_id"] == part.clip_id}
        for part in parts
    ]


SAME = {0: 0, 1: 1, 2: 2}
LINKS = [
    pytest.param(TWO_SHOTS, [SAME, SAME, SAME, {0: 3, 1: 4, 2: 5}], id="touching, then a cut"),
    pytest.param(
        (ONE, replace(TWO, hidden=((0, 9),)), THREE),
        [SAME, {2: 2, 0: 3, 1: 1}, {1: 1, 2: 2, 0: 3}],
        id="hidden in the shared frame",
    ),
    pytest.param(
        (replace(ONE, shares_last=False), TWO), [SAME, {2: 3, 0: 4, 1: 5}], id="not marked"
    ),
    pytest.param((ONE, THREE), [SAME, {1: 3, 2: 4, 0: 5}], id="the clip between has failed"),
    pytest.param(
        (replace(ONE, things=(0, 1)), TWO), [{0: 0, 1: 1}, {2: 2, 0: 0, 1: 1}], id="one is new"
    ),
]


@pytest.mark.parametrize(("parts", "expected"), LINKS)
def test_a_thing_keeps_its_identity_where_clips_share_a_frame(
    parts: tuple[Part, ...], expected: list[dict[int, int]]
) -> None:
    assert of_things(parts) == expected


def test_a_mask_is_not_linked_to_that_of_another_phrase(monkeypatch: pytest.MonkeyPatch) -> None:
    before = long_film.clip_tables(ONE)
    monkeypatch.setattr(long_film, "THINGS", ("box", "box", "ball"))
    after = long_film.clip_tables(TWO)
    rows = long_film.identities([before.__getitem__, after.__getitem__]).to_pylist()
    assert [row["how"] for row in rows] == ["first"] * 6


def test_links_name_the_entity_of_the_earlier_clip_and_the_overlap() -> None:
    rows = long_film.linked((ONE, TWO)).to_pylist()
    later = [row for row in rows if row["clip_id"] == TWO.clip_id]
    assert [(r["how"], r["linked_from_clip_id"], r["linked_from_entity"]) for r in later] == [
        ("shared_frame", ONE.clip_id, thing) for thing in TWO.things
    ]
    assert [row["score"] for row in later] == [1.0] * 3


def test_the_order_in_which_clips_were_made_changes_nothing() -> None:
    shuffled = list(TWO_SHOTS)
    random.Random(1).shuffle(shuffled)
    assert shuffled != list(TWO_SHOTS)
    assert long_film.linked(shuffled).equals(long_film.linked(TWO_SHOTS))


def test_tracks_of_a_video_are_in_one_world_as_far_as_clips_touch(film: Dataset) -> None:
    """Units, poses and numbers of things differ from clip to clip, and one depth was shifted."""
    video = film.video(VIDEO)
    for row in video.tracks(reference="world").to_pylist():
        thing = row["identity"] % 3
        root = ONE if row["shot"] == 0 else AFTER_CUT
        expected = long_film.in_world(thing, row["pts"], root)
        assert [row[a] for a in "xyz"] == pytest.approx(expected, abs=1e-5)


def test_each_frame_is_taken_once_and_from_the_later_clip(film: Dataset) -> None:
    video = film.video(VIDEO)
    ball = video.tracks(0)
    assert ball["pts"].to_pylist() == list(range(30))
    assert ball["t_s"].to_pylist() == pytest.approx(np.arange(30) / long_film.FPS)
    of_shared = {row["pts"]: row["clip_id"] for row in ball.to_pylist() if row["pts"] in (9, 19)}
    assert of_shared == {9: TWO.clip_id, 19: THREE.clip_id}
    assert n_frames_once(film) == 40
    assert [view.clip_id for view in video.clips()] == [part.clip_id for part in TWO_SHOTS]
    assert set(video.entities()["text"].to_pylist()) == {"ball", "box"}


def test_no_world_leads_over_a_clip_whose_camera_moved_nobody_knows_how(tmp_path: Path) -> None:
    parts = (ONE, replace(TWO, poses="assumed"), THREE)
    tracks = long_film.write(tmp_path / "out", parts).video(VIDEO).tracks(0, reference="world")
    known = {row["pts"] for row in tracks.to_pylist() if row["x"] is not None}
    assert known == set(range(9))


def test_what_is_not_there_is_named(film: Dataset) -> None:
    with pytest.raises(UsageError, match="no clip of video 'another'"):
        film.video("another")
    with pytest.raises(UsageError, match="no identity 9 among 6"):
        film.video(VIDEO).tracks(9)


def test_a_published_film_has_the_same_story_and_is_valid(film: Dataset, tmp_path: Path) -> None:
    publish(film.layout.out, tmp_path / "published")
    other = open_dataset(tmp_path / "published")
    assert list(problems(film)) == list(problems(other)) == []
    ours, theirs = (d.video(VIDEO).tracks(reference="world") for d in (film, other))
    assert ours.equals(theirs)


WRONG = [
    pytest.param(lambda rows: rows.pop(), "1 entities have no row", id="an entity left out"),
    pytest.param(lambda r: r[3].update(identity=0), "its link leads to", id="other identity"),
    pytest.param(lambda r: r[3].update(how="first"), "says first", id="a link without a reason"),
    pytest.param(lambda r: r[-1].update(identity=4), "as another entity", id="twice in a clip"),
    pytest.param(lambda r: r[-1].update(identity=0), "begins identity 0", id="begun twice"),
]


@pytest.mark.parametrize(("spoil", "words"), WRONG)
def test_identities_that_contradict_themselves_are_found(film: Dataset, spoil, words) -> None:  # type: ignore[no-untyped-def]
    found = film.shard("000000")
    rows = found["identities"].to_pylist()
    spoil(rows)
    spec = long_film.tables.spec("identities")
    spoiled = found | {"identities": spec.from_rows(rows)}
    assert any(words in problem for problem in consistency.problems(spoiled))
