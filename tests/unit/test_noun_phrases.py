"""Noun phrases are found in plain English questions, keep their place, and fit a detector."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from massannot.inputs.noun_phrases import LONGEST_WORD, MOST_WORDS, noun_phrases
from massannot.models.text_prompts import cleaned

CASES = [
    ("Does the basketball pass through the hoop?", ["basketball", "hoop"], "a question"),
    (
        "Does the basketball pass through the hoop from bottom to top?",
        ["basketball", "hoop"],
        "places are no things",
    ),
    (
        "The basketball player is shooting, but the ball moves upward across the hoop.",
        ["basketball player", "ball", "hoop"],
        "an annotation",
    ),
    ("Which ball hits the wooden block?", ["ball", "wooden block"], "an adjective stays"),
    ("a rolling ball", ["rolling ball"], "a verb before a noun describes it"),
    ("the ball rolling down the ramp", ["ball", "ramp"], "a verb after a noun ends it"),
    ("3 cats and a T-shirt", ["cats", "T-shirt"], "numbers go, hyphens stay"),
    ("Is it red or blue?", [], "adjectives alone name nothing"),
    ("What is the average speed of the car?", ["car"], "measures are no things"),
    ("How far and how fast does the ball roll?", ["ball"], "nor are questions of degree"),
    ("the player's hand", ["player's hand"], "a genitive"),
    ("The ball. The Ball!", ["ball"], "named twice, once"),
    ("ball, hoop; net.Then", ["ball", "hoop", "net"], "marks are borders"),
    ("a café table", ["café table"], "accents"),
    ("ボール rolls over the table", ["table"], "other scripts end a phrase"),
    ("Calculate the speed of the car throughout the video.", ["car"], "a task's verb"),
    ("Estimate how far the ball is from the box at 5s.", ["ball", "box"], "a time"),
    ("From the perspective of the man, where is the dog?", ["man", "dog"], "a point of view"),
    ("the object annotated with red bounding box", [], "a mark on the picture"),
    ("How many chair(s) are in this room?", ["chair", "room"], "the s of a plural"),
    ("Which is first: blanket, trash can, plant?", ["blanket", "trash can", "plant"], "a can"),
    ("the longest dimension of the sofa, measured in centimeters", ["sofa"], "a size"),
    ("Predict the moving direction of the bus.", ["bus"], "another task"),
    ("In the direction of 10 o'clock, is there a clock?", ["clock"], "an hour and a clock"),
    ("", [], "nothing"),
    ("???", [], "marks alone"),
    ("x" * (LONGEST_WORD + 1), [], "no word is so long"),
    ("small old red wooden garden chair", ["old red wooden garden chair"], "the last five words"),
]


@pytest.mark.parametrize(("text", "expected"), [pytest.param(t, e, id=why) for t, e, why in CASES])
def test_the_things_of_a_sentence_are_found(text: str, expected: list[str]) -> None:
    assert [phrase.text for phrase in noun_phrases(text)] == expected


@settings(max_examples=200)
@given(
    st.text(max_size=80)
    | st.lists(st.sampled_from(["the", "a", "ball.", "Hoop?", "red", "é", "7", "x's", "is"])).map(
        " ".join
    )
)
def test_every_phrase_is_a_slice_that_the_detector_accepts(text: str) -> None:
    for phrase in noun_phrases(text):
        assert text[phrase.start : phrase.end] == phrase.text
        assert cleaned(phrase.text)
        assert len(phrase.text.split()) <= MOST_WORDS
