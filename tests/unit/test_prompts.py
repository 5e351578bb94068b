"""Phrases become prompts with exact token spans, or are refused by name."""

from __future__ import annotations

import pytest

from massannot.errors import BadPhrase
from massannot.models.text_prompts import CLS, QUESTION, SEP, STOP, UNKNOWN, cleaned, prompts_of


def tokens(text: str) -> list[int]:
    """One token a word: its length above 2000; what BERT's tokenizer does with marks."""
    special = {"?": QUESTION, ".": STOP, "[sep]": SEP, "猫": UNKNOWN}
    return [special.get(word, 2000 + len(word)) for word in text.split()]


def test_phrases_are_joined_with_full_stops_and_spans_cover_their_words() -> None:
    (prompt,) = prompts_of(["a red ball", "box"], tokens, limit=64)
    assert prompt.ids == (CLS, 2001, 2003, 2004, STOP, 2003, STOP, SEP)
    assert prompt.spans == ((1, 4), (5, 6))
    assert prompt.phrases == (0, 1)


@pytest.mark.parametrize(
    ("n", "limit", "sizes"),
    [(1, 5, [1]), (2, 7, [1, 1]), (2, 8, [2]), (5, 8, [2, 2, 1]), (0, 8, [])],
    ids=["just fits", "one over", "two fit", "three prompts", "nothing asked"],
)
def test_a_prompt_over_the_limit_is_split_between_phrases(
    n: int, limit: int, sizes: list[int]
) -> None:
    prompts = prompts_of(["red ball"] * n, tokens, limit=limit)
    assert [len(p.phrases) for p in prompts] == sizes
    assert [i for p in prompts for i in p.phrases] == list(range(n))
    assert all(len(p.ids) <= limit for p in prompts)
    for prompt in prompts:
        assert [prompt.ids[a:b] for a, b in prompt.spans] == [(2003, 2004)] * len(prompt.phrases)


@pytest.mark.parametrize(
    ("phrase", "wanted"),
    [
        ("  A  Red\tBall ", "a red ball"),
        ("ball.", "ball"),
        ("ball . ", "ball"),
        ("Café", "café"),
    ],
    ids=["spaces and capitals", "full stop at the end", "full stop and space", "accents"],
)
def test_phrases_are_cleaned_of_what_carries_no_meaning(phrase: str, wanted: str) -> None:
    assert cleaned(phrase) == wanted


@pytest.mark.parametrize(
    ("phrase", "why"),
    [
        ("", "nothing"),
        (" . ", "nothing"),
        ("st. bernard", "'.' inside"),
        ("ball? box", "'?' inside"),
        ("a [sep] b", "separates phrases"),
        ("猫", "vocabulary lacks"),
        ("word " * 30, "found 30 tokens, expected at most 29"),
    ],
    ids=["empty", "only a stop", "stop inside", "question", "special", "unknown", "too long"],
)
def test_a_phrase_that_cannot_be_asked_is_refused_by_name(phrase: str, why: str) -> None:
    with pytest.raises(BadPhrase) as refusal:
        prompts_of(["ball", phrase], tokens, limit=32)
    assert repr(phrase) in str(refusal.value)
    assert why in str(refusal.value)
