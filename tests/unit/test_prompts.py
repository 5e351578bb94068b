"""Phrases become prompts with exact token spans, or are refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from massannot.errors import BadPhrase
from massannot.models.text_prompts import (
    CLS,
    QUESTION,
    SEP,
    STOP,
    UNKNOWN,
    cleaned,
    prompts_of,
    unknown_words,
    vocabulary_of,
)
from massannot.models.weights import Weights


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


EMBEDDED = Weights("embedded/grounding_dino")
ASKED = {
    "known words": ("a red ball", ()),
    "capitals, accents and a full stop": ("An  Orange Bäll.", ()),
    "an unknown word": ("the green person", ("person",)),
    "every word unknown": ("t-shirt", ("t", "-", "shirt")),
    "a plural": ("two boxes", ("two", "boxes")),
    "a mark": ("red ball!", ("!",)),
    "another script": ("赤い ball", ("赤い",)),
}


@pytest.mark.parametrize(("phrase", "unknown"), ASKED.values(), ids=ASKED.keys())
def test_unknown_words_are_those_that_the_shipped_tokenizer_does_not_know(
    phrase: str, unknown: tuple[str, ...]
) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    found = unknown_words([phrase, "a ball"], vocabulary_of(EMBEDDED))
    assert found == ({phrase: unknown} if unknown else {})
    tokenizer = tokenizers.Tokenizer.from_file(str(EMBEDDED.path / "tokenizer.json"))
    ids = tokenizer.encode(cleaned(phrase), add_special_tokens=False).ids
    assert (UNKNOWN in ids) == bool(unknown)


def test_the_shipped_detector_knows_fifteen_words() -> None:
    vocabulary = vocabulary_of(EMBEDDED)
    assert vocabulary is not None
    assert len(vocabulary) == 15
    assert {"a", "cone", "cyan"} < vocabulary


def test_a_vocabulary_that_spells_words_or_lies_elsewhere_is_open(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    weights = Weights(str(tmp_path))
    assert vocabulary_of(weights) is None
    for pieces, vocabulary in (
        ({"[UNK]": 100, "ball": 1, "##s": 2}, None),
        ({"[UNK]": 100, "ball": 1, ".": 2}, {"ball"}),
    ):
        content = {"model": {"type": "WordPiece", "vocab": pieces}}
        (tmp_path / "tokenizer.json").write_text(json.dumps(content))
        assert vocabulary_of(weights) == vocabulary
    assert vocabulary_of(Weights("someone/never-downloaded")) is None
    assert unknown_words(["a person"], None) == {}
