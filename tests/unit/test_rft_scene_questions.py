"""Questions about scenes: their answers against the scene, and that a blind guess gives chance."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from massannot.dataset.reading import open_dataset
from massannot.errors import UsageError
from massannot.questions.ask.blind_check import check_manifest
from massannot.questions.expected_answer import ExpectedAnswer
from massannot.questions.profile import motion_profile
from massannot.questions.scene_dataset import picture_frames, scene_pictures, write_scene_questions
from massannot.questions.scene_families import FAMILIES, SceneQuestion, ask_all, chance
from massannot.questions.scene_story import SEGMENT_FRAMES, Story, stories
from massannot.questions.sight_questions import described
from massannot.scenes.physics import ContactEvent

SEEDS = range(900_256, 900_266)


def story(
    *,
    seed: int = 0,
    ends: tuple[tuple[float, float, float], ...],
    hits: bool = False,
    lands_s: float = 0.25,
) -> Story:
    """A ball and a box that go straight from <0, 0, 3> and <1, 0, 3> to `ends`; the ball keeps its
    speed and hops once, the box goes three times as fast in the second half."""
    t = np.linspace(0, 1, 2 * SEGMENT_FRAMES)
    shares = np.stack([t, np.where(t < 0.5, t / 2, 0.25 + (t - 0.5) * 1.5)], axis=1)
    starts = np.array([[0.0, 0, 3], [1.0, 0, 3]])
    centres = starts + shares[..., None] * (np.array(ends) - starts)
    centres[:, 0, 1] -= (
        0.1
        * np.maximum(np.sin(np.pi * (2 * t - lands_s) / 0.5), 0)
        * ((2 * t > lands_s) & (2 * t < lands_s + 0.5))
    )
    events = [ContactEvent(t_s, "floor", 0, None, 1.0) for t_s in (lands_s, lands_s + 0.5)]
    if hits:
        events.append(ContactEvent(1.0, "body", 0, 1, 1.0))
    names = ("a ball", "a box")
    return Story(seed, 0, names, ("ball", "box"), centres, 2 * t, tuple(events))


ONE = story(ends=((1.0, 0.0, 3.0), (1.2, 0.0, 5.0)), hits=True)
TRUE = [
    ("In video segment 1, which way does the ball move?", "to the right"),
    ("In video segment 2, which way does the box move?", "away from the camera"),
    ("How far from its first position is the ball at the end?", 1.0),
    ("How far from its first position is the box at the end?", 2.01),
    ("How fast does the ball get from its first to its last position?", 0.5),
    ("How fast does the box get from its first to its last position?", 1.0),
    ("In video segment 2, which is faster?", "B"),
    ("In which video segment is the box faster?", "video segment 2"),
    ("Is the ball nearer to the box at the end than at the start?", "no"),
    ("At the end, which is nearer to the camera?", "A"),
    ("Does the box hit the ball?", "yes"),
    ("Does the ball bounce off the floor?", "yes"),
    ("Does the box bounce off the floor?", "no"),
    ("When does the ball first hit the floor?", 0.25),
]


def test_what_two_readings_see_otherwise_is_not_asked() -> None:
    """The box is farther to the right in metres, the ball in the picture."""
    drafts = {draft[0] for family in FAMILIES.values() for draft in family.ask(ONE)}
    assert "At the end, which is farther to the right?" not in drafts
    far = story(ends=((1.0, 0.0, 3.0), (3.0, 0.0, 5.0)))
    drafts = {draft[0] for family in FAMILIES.values() for draft in family.ask(far)}
    assert "At the end, which is farther to the right?" in drafts


@pytest.mark.parametrize(("text", "value"), TRUE, ids=[text for text, _ in TRUE])
def test_what_is_true_of_a_story_worked_out_by_hand(text: str, value: str | float) -> None:
    drafts = {draft[0]: draft[1:] for family in FAMILIES.values() for draft in family.ask(ONE)}
    assert drafts[text][1] == value


SIGHT = [
    ("Is one of the two things red?", "yes"),
    ("Is one of the two things green?", "no"),
    ("Is one of the two things a ball?", "yes"),
    ("Is one of the two things a cone?", "no"),
    ("At the start, on which side of the picture is the blue thing?", "on the right"),
    ("At the end, on which side of the picture is the red thing?", "on the right"),
    ("Where in the picture was the red thing first, compared with the end?", "farther to the left"),
]


@pytest.mark.parametrize(("text", "value"), SIGHT, ids=[text for text, _ in SIGHT])
def test_what_a_picture_shows_of_a_story_worked_out_by_hand(text: str, value: str) -> None:
    """The red ball from the middle, x / z = 0, to 0.33; the blue box stays at 0.33 and 0.24."""
    seen = replace(ONE, colours=("red", "blue"))
    drafts = {draft[0]: draft[2] for family in FAMILIES.values() for draft in family.ask(seen)}
    assert drafts[text] == value
    assert "At the start, on which side of the picture is the red thing?" not in drafts
    assert "Where in the picture was the blue thing first, compared with the end?" not in drafts


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"colours": ("red", "red")}, "both have one colour"),
        ({"half_width": 0.3}, "at the end it is outside of the picture"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_of_a_thing_that_is_not_to_be_told_or_seen_nobody_asks_where_it_was(
    changed: dict[str, Any], reason: str
) -> None:
    seen = replace(ONE, **{"colours": ("red", "blue"), **changed})
    drafts = {draft[0] for draft in FAMILIES["order"].ask(seen)}
    assert not drafts, reason


def test_what_is_where_is_said_of_every_picture() -> None:
    """The ball goes from column 4 of eight to 5; the box is in 5, in the end behind the ball."""
    seen = replace(ONE, colours=("red", "blue"))
    assert described(seen, (0, -1)) == "red 0.4 blue 0.5 red 0.5 blue 9.9"


def test_a_thing_behind_another_is_in_no_place() -> None:
    """The box passes in front of the ball's line of sight."""
    behind = story(ends=((0.0, 0.0, 4.0), (0.05, 0.0, 3.0)))
    assert behind.picture_x(-1, 0) is None
    assert behind.picture_x(-1, 1) is not None


def test_near_ties_are_not_asked() -> None:
    """Both go 1 m in all, the ball evenly: its halves tie, and it neither comes nearer nor not."""
    tie = story(ends=((0.5, 0.0, 3.87), (1.5, 0.0, 3.87)))
    texts = [draft[0] for family in FAMILIES.values() for draft in family.ask(tie)]
    assert not [text for text in texts if "which video segment is the ball" in text]
    assert not [text for text in texts if "nearer to" in text]


@pytest.fixture(scope="module")
def told() -> list[Story]:
    return list(stories(SEEDS, views=4))


@pytest.fixture(scope="module")
def asked(told: list[Story]) -> list[SceneQuestion]:
    return ask_all(told)


def test_of_questions_that_read_the_same_every_answer_is_as_frequent(
    asked: list[SceneQuestion],
) -> None:
    """The segment too is read: what is fast in the first is often not in the second."""
    for family in FAMILIES.values():
        if family.answers:
            of_family = [each for each in asked if each.family == family.name]
            counts = Counter((each.text, each.options, each.value) for each in of_family)
            for each in of_family:
                assert len({counts[each.text, each.options, a] for a in family.answers}) == 1


@pytest.mark.parametrize("name", ["how_far", "when_it_lands"])
def test_every_number_to_choose_from_is_the_answer_of_one_of_four(name: str) -> None:
    ways = [0.2 * 1.1**i for i in range(24)]
    told = [story(seed=i, ends=((way, 0, 3), (1, 0, 3)), lands_s=way) for i, way in enumerate(ways)]
    asked = ask_all(told, names=[name])
    answers = Counter(
        (tuple(sorted(each.options)), each.value) for each in asked if each.family == name
    )
    sets = Counter(tuple(sorted(each.options)) for each in asked if each.family == name)
    assert sets
    for options, n in sets.items():
        assert n % 4 == 0
        assert all(answers[options, option] == n // 4 for option in options)


def test_the_letter_is_that_of_the_true_option(asked: list[SceneQuestion]) -> None:
    for each in asked:
        if each.options and each.value not in ("A", "B"):
            assert each.options["ABCD".index(each.answer)] == each.value
        elif each.options:
            assert each.answer == each.value


def test_two_families_need_two_lines_of_the_profile() -> None:
    assert sum(family.n_lines >= 2 for family in FAMILIES.values()) >= 2


def test_the_best_constant_number_is_what_chance_means() -> None:
    """0.8 is within 25 % of 1 and 0.7; nothing is near all three."""
    assert chance(FAMILIES["how_fast"], [0.7, 1.0, 3.0]) == pytest.approx(2 / 3)
    assert chance(FAMILIES["faster"], []) == 0.5
    assert chance(FAMILIES["how_far"], []) == 0.25


def test_another_side_shows_the_same_motion_from_elsewhere(told: list[Story]) -> None:
    sides: dict[int, list[Story]] = {}
    for each in told:
        sides.setdefault(each.seed, []).append(each)
    compared = 0
    for first, *others in sides.values():
        for other in others:
            compared += 1
            for entity in range(2):
                assert other.distance_m(entity) == pytest.approx(first.distance_m(entity))
            assert not np.allclose(other.centres_m, first.centres_m)
    assert compared > 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    write_scene_questions(folder, seeds=SEEDS, views=4)
    return folder


def test_the_dataset_has_a_readable_answer_for_every_question(folder: Path) -> None:
    rows = open_dataset(folder).table("questions").to_pylist()
    assert len(rows) > 100
    for row in rows:
        ExpectedAnswer.from_row(row | {"solution": row["answer"]})
    assert {row["split"] for row in rows} == {"test"}


def test_the_blind_check_reads_the_folder_and_finds_every_family_at_chance(folder: Path) -> None:
    found = check_manifest(folder)
    rows = open_dataset(folder).table("questions").to_pylist()
    assert {each.family for each in found.families} == {row["category"] for row in rows}
    assert {each.videos for each in found.families} != {1}
    assert not [each.family for each in found.families if each.leaks]


def test_the_numbers_to_think_of_stand_in_the_profile(folder: Path) -> None:
    import json

    dataset = open_dataset(folder)
    names = ("clips", "segments", "phrases", "entities", "motions")
    for row in dataset.table("questions").to_pylist()[:60]:
        clip = dataset.clip(row["clip_id"])
        text = motion_profile({name: clip.table(name) for name in names})
        for number in json.loads(row["further"])["thinking"].split():
            assert number in text


def test_equal_seeds_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    write_scene_questions(tmp_path, seeds=SEEDS, views=4)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*.parquet"))
    assert len(files) == 9
    for file in files:
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()


def test_pictures_beside_the_tables_are_those_of_the_scene(folder: Path, tmp_path: Path) -> None:
    clip = open_dataset(folder).table("clips").slice(3, 1).to_pylist()[0]
    frames = picture_frames(clip["n_frames"])
    assert frames == (0, 21, 42, 63)
    stored, rendered = (
        scene_pictures(where, clip["clip_id"], uri=clip["uri"], frames=frames)
        for where in (folder, tmp_path)
    )
    for one, other in zip(stored, rendered, strict=True):
        assert one.shape == (32, 32, 3)
        assert (one == other).all()
    assert (stored[0] != stored[3]).any()


@pytest.mark.parametrize(
    ("seeds", "names", "message"),
    [
        (range(999_998, 1_000_003), (), "both splits"),
        (range(900_256, 900_257), ("weight",), "no family 'weight'; families: which_way"),
        (range(900_256, 900_257), ("how_far",), "no balanced question"),
    ],
    ids=["training and held-out", "unknown family", "too few to balance"],
)
def test_what_cannot_be_asked_is_refused(
    seeds: range, names: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        write_scene_questions(tmp_path, seeds=seeds, names=names)


def test_an_annotated_dataset_is_not_written_into(tmp_path: Path) -> None:
    other = tmp_path / "data/clips/000000.parquet"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"tables of the annotator")
    with pytest.raises(UsageError, match=r"another dataset there \(data/clips/000000.parquet\)"):
        write_scene_questions(tmp_path, seeds=SEEDS, views=4)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [other]


def test_a_family_that_the_balance_leaves_nothing_of_is_counted_too(tmp_path: Path) -> None:
    found = write_scene_questions(tmp_path, seeds=SEEDS, names=("hits", "when_it_lands"))
    assert found["hits"] > 0
    assert dict(found) == {"hits": found["hits"], "when_it_lands": 0}
