"""What a user asks for on the command line, as the recipe gets it."""

from __future__ import annotations

import pytest

from massannot.cli.options import RecipeOptions
from massannot.errors import UsageError
from massannot.inputs.phrase_list import phrases_of
from massannot.stages.track_points import TrackPoints

PHRASES = [
    (["a ball"], ["a ball"], "as written"),
    (["A Red Ball."], ["A Red Ball"], "a full stop at the end"),
    (["a ball . a hoop ."], ["a ball", "a hoop"], "as Grounding DINO's users write it"),
    (["a ball", "a ball ."], ["a ball"], "twice"),
    (["a ball; t-shirt"], ["a ball", "t-shirt"], "with semicolons, as in a manifest"),
    (["a ball, a hoop|a net"], ["a ball", "a hoop", "a net"], "with commas and bars"),
    (['["hoop, net"]'], ["hoop, net"], "a JSON list, where a comma is part of a phrase"),
    (["ein Ball", "мяч"], ["ein Ball", "мяч"], "the detector's vocabulary decides later"),
]


@pytest.mark.parametrize(
    ("given", "texts"), [row[:2] for row in PHRASES], ids=[row[2] for row in PHRASES]
)
def test_a_prompt_is_a_phrase(given: list[str], texts: list[str]) -> None:
    assert phrases_of(given) == tuple(texts)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "empty phrase"),
        (" . ", "empty phrase"),
        (";", "empty phrase"),
        ("a half \ud83d", "no valid Unicode"),
        ("caf\udce9", "no valid Unicode"),
        ("no. 7", "found '.' inside"),
        ("a ball?", "found '?' inside"),
    ],
)
def test_a_prompt_that_cannot_be_asked_is_refused_before_any_video(given: str, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("?", r"\?").replace("'.'", r"'\.'")):
        phrases_of(["a hoop", given])


@pytest.mark.parametrize(
    ("grid", "points"),
    [({}, 64), *(({"grid_size": side}, side**2) for side in (1, 8, 22))],
)
def test_the_grid_size_is_the_number_of_points_on_a_thing(
    grid: dict[str, int], points: int
) -> None:
    given = RecipeOptions(
        profile="none", scenes="world", oracle="detect,masks,depth,tracks", **grid
    )
    stages = given.spec((), given.flags(), depth_maps=False).pipeline().stages
    (stage,) = (stage for stage in stages if isinstance(stage, TrackPoints))
    assert stage.max_per_entity == points
