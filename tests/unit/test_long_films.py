"""Clips of one video as one story: who is who, each frame once, one world."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from massannot.dataset.publish import publish
from massannot.dataset.reading import Dataset, open_dataset
from massannot.dataset.validate import problems
from massannot.dataset.video_view import numbered_names
from massannot.errors import UsageError
from massannot.exporters import _mass_bench_schema, mass_bench
from massannot.jobs import drawing
from massannot.questions.profile_blocks import profile_blocks
from massannot.questions.question_view import find_question, question_view
from massannot.tables import _consistency as consistency
from massannot.viewers import summary
from massannot.viewers.clip_drawing import ClipDrawing
from tests.unit import long_film
from tests.unit.long_film import TWO_SHOTS, VIDEO, Part
from tests.unit.test_export_mass_bench import wrong

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
        [SAME, SAME, SAME],
        id="hidden in the shared frame",
    ),
    pytest.param(
        (ONE, replace(TWO, hidden=((0, 9), (1, 9))), THREE),
        [SAME, {2: 2, 0: 3, 1: 4}, {1: 4, 2: 2, 0: 3}],
        id="two that look alike are hidden in it",
    ),
    pytest.param(
        (ONE, replace(TWO, things=(1, 2)), THREE),
        [SAME, {1: 1, 2: 2}, {1: 1, 2: 2, 0: 3}],
        id="away for a whole clip",
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


@pytest.mark.parametrize(
    ("shift_px", "things", "n_linked"),
    [
        (0, ("box", "box", "ball"), 3),
        (1, ("box", "box", "ball"), 3),
        (2, ("box", "box", "ball"), 0),
        (2, long_film.THINGS, 3),
        (5, long_film.THINGS, 0),
    ],
)
def test_masks_are_linked_also_of_other_phrases_where_they_agree(
    monkeypatch: pytest.MonkeyPatch, shift_px: int, things: tuple[str, ...], n_linked: int
) -> None:
    """Blocks 8 pixels wide: 2 pixels aside two overlap by 0.6, 5 by 0.23."""
    before, straight = long_film.clip_tables(ONE), long_film.mask
    monkeypatch.setattr(long_film, "THINGS", things)
    monkeypatch.setattr(long_film, "mask", lambda k, t: np.roll(straight(k, t), shift_px, axis=1))
    after = long_film.clip_tables(TWO)
    rows = long_film.identities([before.__getitem__, after.__getitem__]).to_pylist()
    assert [row["how"] for row in rows].count("shared_frame") == n_linked


def test_a_thing_of_several_phrases_is_called_by_the_one_of_most_clips() -> None:
    called = [
        ("a", 0, "box"),
        ("b", 0, "ball"),
        ("b", 1, "ball"),
        ("c", 0, "ball"),
        ("d", 1, "box"),
    ]
    rows = [{"clip_id": c, "entity": n, "identity": n, "text": text} for c, n, text in called]
    names = numbered_names(rows)
    assert [names[c, n] for c, n, _ in called] == ["ball 1", "ball 1", "ball 2", "ball 1", "ball 2"]


def test_links_name_the_entity_of_the_earlier_clip_and_the_overlap() -> None:
    rows = long_film.linked((ONE, TWO)).to_pylist()
    later = [row for row in rows if row["clip_id"] == TWO.clip_id]
    assert [(r["how"], r["linked_from_clip_id"], r["linked_from_entity"]) for r in later] == [
        ("shared_frame", ONE.clip_id, thing) for thing in TWO.things
    ]
    assert [row["score"] for row in later] == [1.0] * 3


def test_what_returns_alone_of_its_kind_is_linked_by_its_look_and_else_proposed() -> None:
    hidden_box = replace(TWO, hidden=((2, 9),))
    both_balls = replace(TWO, hidden=((0, 9), (1, 9)))
    for part, thing, how, score, proposed in [
        (hidden_box, 2, "look", 1.0, None),
        (both_balls, 0, "first", None, 0),
        (both_balls, 1, "first", None, 1),
    ]:
        rows = long_film.linked((ONE, part)).to_pylist()
        (row,) = (
            r for r in rows if r["clip_id"] == TWO.clip_id and part.things[r["entity"]] == thing
        )
        linked_from = (None, None) if how == "first" else (ONE.clip_id, thing)
        assert (row["how"], row["score"], row["proposed_identity"]) == (how, score, proposed)
        assert (row["linked_from_clip_id"], row["linked_from_entity"]) == linked_from


def test_a_thing_after_a_cut_is_proposed_by_phrase_and_look_and_stays_its_own() -> None:
    """Each ball is most like the one it is; what is proposed is told apart from what is known."""
    rows = long_film.linked(TWO_SHOTS).to_pylist()
    proposed = {
        (r["clip_id"], r["entity"]): (r["identity"], r["proposed_identity"], r["proposed_score"])
        for r in rows
        if r["proposed_identity"] is not None
    }
    likeness = pytest.approx(np.cos(0.1), abs=1e-6)
    assert proposed == {
        (AFTER_CUT.clip_id, 0): (3, 0, likeness),
        (AFTER_CUT.clip_id, 1): (4, 1, likeness),
        (AFTER_CUT.clip_id, 2): (5, 2, likeness),
    }


def test_a_thing_that_looks_otherwise_is_not_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = long_film.clip_tables(THREE)
    monkeypatch.setattr(long_film, "look", lambda thing, shot: [0.0, 1.0])
    after = long_film.clip_tables(AFTER_CUT)
    rows = long_film.identities([before.__getitem__, after.__getitem__]).to_pylist()
    proposed = [r["proposed_identity"] for r in rows if r["clip_id"] == AFTER_CUT.clip_id]
    assert proposed == [None, None, 1]  # the balls were at 0 and 0.4 rad, the box at 1.2


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
    known = summary.facts(film)
    assert (known.n_clips, known.n_frames, known.n_identities) == (4, 40, 6)
    text = summary.as_text(known, out=film.layout.out, models=(), notes=(), looks=())
    assert "4 clips of 2 shots, 40 frames" in text
    assert "6 things in 4 clips" in text
    assert "6 things in 4 clips" in summary.dataset_text(film)
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
    pytest.param(lambda rows: rows.pop(), "1 entity has no row", id="an entity left out"),
    pytest.param(lambda r: r[3].update(identity=0), "its link leads to", id="other identity"),
    pytest.param(lambda r: r[3].update(how="first"), "says first", id="a link without a reason"),
    pytest.param(lambda r: r[-1].update(identity=4), "as another entity", id="twice in a clip"),
    pytest.param(lambda r: r[-1].update(identity=0), "begins identity 0", id="begun twice"),
    pytest.param(lambda r: r[-1].update(proposed_identity=7), "not before", id="proposed itself"),
]


@pytest.mark.parametrize(("spoil", "words"), WRONG)
def test_identities_that_contradict_themselves_are_found(film: Dataset, spoil, words) -> None:  # type: ignore[no-untyped-def]
    found = film.shard("000000")
    rows = found["identities"].to_pylist()
    spoil(rows)
    spec = long_film.tables.spec("identities")
    spoiled = found | {"identities": spec.from_rows(rows)}
    assert any(words in problem for problem in consistency.problems(spoiled))


def test_a_question_over_the_film_has_one_profile_with_one_name_a_thing(tmp_path: Path) -> None:
    film = long_film.write(tmp_path / "out", question="Does it move?")
    about = question_view(film, find_question(film, "q"), template="mass-v2")
    assert [shot.t_s for shot in about.shots] == pytest.approx(np.arange(40) / long_film.FPS)
    assert about.profile is not None
    blocks = profile_blocks(about.profile)
    assert "  Time: 0.00 s to 3.90 s of the video, 40 frames" in blocks.header
    assert [(each.first_frame, each.last_frame) for each in blocks.segments] == [
        (0, 9),
        (9, 19),
        (19, 29),
        (30, 39),
    ]
    shots = [each.title.partition(", ")[2] for each in blocks.segments]
    assert shots == ["Shot 1", "Shot 1", "Shot 1", "Shot 2"]
    names = [{entity.name for entity in each.entities} for each in blocks.segments]
    assert names == [{"ball 1", "ball 2", "box 1"}] * 3 + [{"ball 3", "ball 4", "box 2"}]
    for segment, part in zip(blocks.segments, TWO_SHOTS, strict=True):
        (line,) = (e.lines[1] for e in segment.entities if e.name in ("ball 1", "ball 3"))
        assert line.startswith(f"    * Motion: First position <{first_position(part, 0)}> at ")


def test_a_thing_has_one_colour_and_one_name_in_all_films_of_its_video(film: Dataset) -> None:
    """Clips number their things in an order of their own; drawn are those of the video."""
    names = ("ball 1", "ball 2", "box 1")
    for part in TWO_SHOTS[:3]:
        things = drawing._things(film, VIDEO)[part.clip_id]
        assert things == {n: (thing, names[thing]) for n, thing in enumerate(part.things)}
        drawn = ClipDrawing(film.clip(part.clip_id).table, things=things)
        assert drawn.labels == dict(enumerate(names))
        for thing in part.things:
            entity = drawn._entity(thing, 0)
            assert (entity.entity, entity.label) == (thing, names[thing])
            step = drawn.main_size[0] // long_film.WIDTH
            assert entity.mask is not None
            shown = entity.mask[step // 2 :: step, step // 2 :: step]
            assert np.array_equal(shown, long_film.mask(thing, part.first))


def first_position(part: Part, thing: int) -> str:
    xyz = long_film.apply(long_film.cam_from_room(part.first), long_film.place(thing, part.first))
    return ", ".join(f"{value:.2f}" for value in xyz).replace("-0.00", "0.00")


def test_mass_bench_has_each_thing_over_the_whole_sequence(tmp_path: Path) -> None:
    film = long_film.write(tmp_path / "out", question="Does it move?")
    mass_bench.export(film, tmp_path / "bench")
    line = json.loads((tmp_path / "bench" / mass_bench.FILE).read_text())
    assert wrong(line, json.loads(_mass_bench_schema.schema_text()), "line") == []
    about = question_view(film, find_question(film, "q"), template="mass-v1")
    assert line["motion_profile"]["mass-v1"] == about.profile
    things = {thing["name"]: thing for thing in line["things"]}
    assert sorted(things) == ["ball 1", "ball 2", "ball 3", "ball 4", "box 1", "box 2"]
    ball = things["ball 1"]
    assert [each["clip_id"] for each in ball["entities"]] == [p.clip_id for p in TWO_SHOTS[:3]]
    assert ball["way"]["t_s"] == pytest.approx(np.arange(30) / long_film.FPS)
    expected = [long_film.in_world(0, frame, ONE) for frame in range(30)]
    found = np.stack([ball["way"][f"{axis}_world"] for axis in "xyz"], axis=-1)
    assert found == pytest.approx(np.array(expected), abs=1e-5)
