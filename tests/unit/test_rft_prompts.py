"""A prompt's parts, and what a token budget drops from it: whole pieces, named, and no line cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massannot.errors import BadQuestion
from massannot.questions.answers import Kind
from massannot.questions.profile import motion_profile
from massannot.questions.profile_blocks import Template, profile_blocks
from massannot.questions.prompts import (
    Budget,
    Dropped,
    ImagePart,
    TextPart,
    TypedQuestion,
    VideoPrompt,
    build_prompt,
)
from massannot.questions.units import UnknownUnit
from massannot.rft.tgrpo import shuffled_order
from massannot.rft.trl_rewards import refuse_video
from tests.unit.test_motion_profile import motion_row, profile_tables

NAMES = ("ball", "hoop", "ball", "dog")
MOTIONS = [motion_row(i, s, (i, s, 3), (i, s, 4)) for i in range(4) for s in (0, 1)]
PROFILES = {
    template: motion_profile(profile_tables(MOTIONS, texts=NAMES), template=template)
    for template in ("mass-v1", "mass-v2")
}
PROFILE = PROFILES["mass-v1"]
FRAMES = [(0, 0.0), (20, 2.0), (40, 4.0)]
SEGMENTS = ("  Video Segment 1: Frame 0...31", "  Video Segment 2: Frame 32...63")

SEGMENTS_OF_4 = tuple(f"  Video Segment {i + 1}: Frame {32 * i}...{32 * i + 31}" for i in range(4))


def question(**changes: Any) -> TypedQuestion:
    given: dict[str, Any] = {
        "question_id": "q7",
        "text": "Which way does the ball go?",
        "problem_type": "multiple_choice",
        "options": ("left", "right"),
    }
    return TypedQuestion(**{**given, **changes})


def lines(text: str) -> int:
    return text.count("\n") + 1


def budget(n_tokens: int, *, reserved: int = 0) -> Budget:
    """A token a line, ten an image."""

    def count(prompt: VideoPrompt) -> int:
        return lines(prompt.text(image="")) + 10 * len(prompt.frames) + reserved

    return Budget(n_tokens=n_tokens, count=count)


HOW = (
    "First reason between <think> and </think>, "
    "then give only the answer between <answer> and </answer>."
)


def test_frames_profile_and_question_stand_in_this_order() -> None:
    prompt = build_prompt(question(), frames=FRAMES[:2], profile=PROFILE)
    assert prompt.parts == [
        TextPart("0.00 s:", "time"),
        ImagePart(0),
        TextPart("2.00 s:", "time"),
        ImagePart(20),
        TextPart(PROFILE, "profile"),
        TextPart(
            "Which way does the ball go?\nA. left\nB. right\n"
            f"Answer with the letter of one option.\n{HOW}",
            "question",
        ),
    ]
    assert prompt.dropped == ()


def test_a_chat_has_a_placeholder_where_an_image_goes() -> None:
    prompt = build_prompt(question(), frames=FRAMES[:1])
    assert prompt.messages == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "0.00 s:", "role": "time"},
                {"type": "image", "role": "image"},
                {"type": "text", "text": prompt.question, "role": "question"},
            ],
        }
    ]
    refuse_video([prompt.messages])
    assert prompt.text(image="<IMG>") == f"0.00 s:\n<IMG>\n{prompt.question}"


def test_a_blind_prompt_is_the_question_alone() -> None:
    prompt = build_prompt(question())
    assert prompt.parts == [TextPart(prompt.question, "question")]


@pytest.mark.parametrize(
    ("kind", "unit", "how"),
    [
        ("number", "m/s", "Answer with one number in m/s."),
        ("number", "meters", "Answer with one number in m."),
        ("number", None, "Answer with one number."),
        ("yes_no", None, "Answer yes or no."),
        ("clock", None, "Answer with an hour of the clock from 1 to 12; 12 is straight on."),
        ("interval", None, 'Answer with a start and an end in seconds, as in "3.5 to 4.5".'),
        ("text", None, "Answer in one sentence."),
    ],
)
def test_the_question_says_how_to_answer(kind: Kind, unit: str | None, how: str) -> None:
    asked = question(problem_type=kind, options=(), unit=unit)
    found = build_prompt(asked).question
    assert found == f"Which way does the ball go?\n{how}\n{HOW}"


@pytest.mark.parametrize("template", ["mass-v1", "mass-v2"])
def test_a_profile_taken_apart_is_put_together_equal(template: Template) -> None:
    text = PROFILES[template]
    blocks = profile_blocks(text)
    assert blocks.text == text
    assert blocks.entities == ("ball 1", "hoop", "ball 2", "dog")
    assert tuple(each.title for each in blocks.segments) == SEGMENTS


def test_a_profile_without_motions_is_put_together_equal() -> None:
    text = motion_profile(profile_tables([]), template="mass-v2")
    assert profile_blocks(text).text == text


def test_a_line_that_no_template_has_is_refused() -> None:
    with pytest.raises(BadQuestion, match="found the line 'and so on'"):
        profile_blocks(PROFILE + "and so on\n")


# The profile has 1 + 2 + 2 * 4 * 2 = 19 lines and its own last line end; the question 5.
BARE = 6
FULL = 20 + BARE
DROPS: list[tuple[str, TypedQuestion, int, list[Dropped]]] = [
    ("it fits", question(entities=("ball",)), FULL, []),
    ("a line too many", question(entities=("ball",)), FULL - 1, [Dropped("entity", "dog")]),
    (
        "all that nobody asked about",
        question(entities=("ball",)),
        FULL - 8,
        [Dropped("entity", "dog"), Dropped("entity", "hoop")],
    ),
    (
        "and the segment outside",
        question(entities=("ball",), frames=(40, 50)),
        FULL - 9,
        [Dropped("entity", "dog"), Dropped("entity", "hoop"), Dropped("segment", SEGMENTS[0])],
    ),
    (
        "the other segment, all entities asked about",
        question(frames=(0, 31)),
        FULL - 1,
        [Dropped("segment", SEGMENTS[1])],
    ),
    (
        "one of two of a phrase, by its number",
        question(entities=("ball 2", "dog", "hoop")),
        FULL - 4,
        [Dropped("entity", "ball 1")],
    ),
]


@pytest.mark.parametrize(
    ("asked", "n_tokens", "dropped"), [row[1:] for row in DROPS], ids=[row[0] for row in DROPS]
)
def test_the_budget_is_kept_by_dropping_what_is_least_needed(
    asked: TypedQuestion, n_tokens: int, dropped: list[Dropped]
) -> None:
    prompt = build_prompt(asked, profile=PROFILE, budget=budget(n_tokens))
    assert list(prompt.dropped) == dropped
    assert prompt.n_tokens is not None
    assert prompt.n_tokens <= n_tokens


@pytest.mark.parametrize(
    ("frames", "farthest"),
    [((0, 31), SEGMENTS_OF_4[3]), ((96, 127), SEGMENTS_OF_4[0]), ((40, 41), SEGMENTS_OF_4[3])],
    ids=["asked about the start", "about the end", "about the second"],
)
def test_the_segment_farthest_from_the_frames_asked_about_goes_first(
    frames: tuple[int, int], farthest: str
) -> None:
    profile = "Motion Profile\n" + "".join(f"{title}\n" for title in SEGMENTS_OF_4)
    full = lines(profile) + 5
    prompt = build_prompt(question(frames=frames), profile=profile, budget=budget(full - 1))
    assert prompt.dropped == (Dropped("segment", farthest),)


@pytest.mark.parametrize("template", ["mass-v1", "mass-v2"])
@pytest.mark.parametrize("n_tokens", range(20, 70, 3))
def test_whatever_is_dropped_no_line_is_cut_and_no_other_is_missing(
    template: Template, n_tokens: int
) -> None:
    asked = question(entities=("ball",), frames=(0, 20))
    whole = PROFILES[template]
    try:
        prompt = build_prompt(asked, profile=whole, budget=budget(n_tokens))
    except BadQuestion:
        return
    assert prompt.profile is not None
    kept = prompt.profile.splitlines()
    assert set(kept) <= set(whole.splitlines())
    expected = profile_blocks(whole)
    for piece in prompt.dropped:
        drop = expected.without_entity if piece.what == "entity" else expected.without_segment
        expected = drop(piece.name)
    assert prompt.profile == expected.text
    assert sum("Entity: ball" in line for line in kept) >= 2  # what was asked about stays


def test_images_and_the_chat_template_count() -> None:
    prompt = build_prompt(question(), frames=FRAMES, budget=budget(100, reserved=7))
    assert prompt.n_tokens == lines(prompt.text(image="")) + 3 * 10 + 7


@pytest.mark.parametrize(
    ("asked", "profile", "said"),
    [
        (question(), None, "q7: found 41 tokens with 3 frames, expected at most 20"),
        (question(), PROFILE, "q7: found 62 tokens with 3 frames, expected"),
        (question(entities=("ball",)), PROFILE, "3 frames and 2 pieces of the profile dropped"),
    ],
    ids=["no profile", "nothing droppable", "all dropped"],
)
def test_a_prompt_that_cannot_fit_is_refused_with_the_way_out(
    asked: TypedQuestion, profile: str | None, said: str
) -> None:
    with pytest.raises(BadQuestion, match=said) as refusal:
        build_prompt(asked, frames=FRAMES, profile=profile, budget=budget(20))
    assert "raise the budget or show fewer or smaller frames" in str(refusal.value)


@pytest.mark.parametrize(
    ("asked", "profile", "frames", "said"),
    [
        (question(entities=("cat",)), PROFILE, [], "q7: found no motion of 'cat'.*ball 1, hoop"),
        (question(entities=("bal",)), PROFILE, [], "no motion of 'bal'"),
        (question(text="What is in <image>?"), None, [], "q7: found '<image>' in the text"),
        (question(options=("a <|image_pad|>", "b")), None, [], "found '<|' in the text"),
        (question(text=" "), None, [], "q7: found no text"),
        (question(options=("left",)), None, [], "options: found 1"),
        (question(), None, [(0, 1.0), (1, 1.0)], "expected rising times"),
        (question(), None, [(1, 1.0), (0, 0.0)], "expected rising times"),
    ],
    ids=["no track", "part", "placeholder", "token", "empty", "option", "same time", "backwards"],
)
def test_a_question_that_makes_no_prompt_is_refused_by_name(
    asked: TypedQuestion, profile: str | None, frames: list[tuple[int, float]], said: str
) -> None:
    with pytest.raises(BadQuestion, match=said.replace("|", r"\|")):
        build_prompt(asked, frames=frames, profile=profile)


def test_an_unknown_unit_is_refused_before_it_is_asked_for() -> None:
    with pytest.raises(UnknownUnit, match="found 'ells'"):
        build_prompt(question(problem_type="number", options=(), unit="ells"))


def shuffled(prompt: VideoPrompt, seed: int, *, profile: bool) -> VideoPrompt:
    frames = shuffled_order(len(prompt.frames), seed=seed)
    segments = shuffled_order(2, seed=seed)
    assert frames is not None
    return prompt.shuffled(frames, segments=segments if profile else None)


@given(st.integers(0, 200))
def test_shuffled_frames_lie_under_times_that_still_rise(seed: int) -> None:
    prompt = build_prompt(question(), frames=FRAMES, profile=PROFILE)
    found = shuffled(prompt, seed, profile=False)
    assert found.times_s == prompt.times_s
    assert sorted(found.frames) == sorted(prompt.frames)
    assert found.frames != prompt.frames
    assert found.profile == prompt.profile
    assert [type(part) for part in found.parts] == [type(part) for part in prompt.parts]


def test_a_shuffled_profile_keeps_its_titles_and_all_its_lines() -> None:
    prompt = build_prompt(question(), frames=FRAMES, profile=PROFILE)
    found = shuffled(prompt, 0, profile=True).profile
    assert found is not None
    before, after = profile_blocks(PROFILE).segments, profile_blocks(found).segments
    assert [each.title for each in after] == [each.title for each in before]
    assert [each.entities for each in after] == [each.entities for each in reversed(before)]
