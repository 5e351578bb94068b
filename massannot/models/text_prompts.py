"""Phrases as a grounding detector reads them: one text, full stops between, a token span each.

The network's attention mask lets tokens see only their own phrase, and it finds the borders by
token: a full stop, a question mark or a literal "[SEP]" inside a phrase would silently make two.
Such phrases are refused by name, like empty ones and ones with a word that the vocabulary lacks.
Imports neither torch nor transformers: planning refuses such phrases too, by `unknown_words`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from massannot.counts import counted
from massannot.errors import BadPhrase, MissingWeights
from massannot.models.weights import Weights, find

CLS, SEP, STOP, QUESTION, PAD, UNKNOWN = 101, 102, 1012, 1029, 0, 100
"""Hard-coded in the network's mask (BERT's uncased vocabulary), so a tokenizer must agree."""

BORDERS = frozenset({CLS, SEP, STOP, QUESTION, PAD})


@dataclass(frozen=True)
class DetectorPrompt:
    """One text for one forward pass: its tokens, and for each of its phrases the index among the
    phrases asked and the half-open span of its tokens."""

    ids: tuple[int, ...]
    phrases: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]


def prompts_of(
    phrases: Sequence[str],
    tokenize: Callable[[str], Sequence[int]],
    *,
    limit: int,
    vocabulary: frozenset[str] | None = None,
) -> tuple[DetectorPrompt, ...]:
    """As few texts of at most `limit` tokens as hold the phrases in their order.

    A phrase's words are tokenized alone: the vocabulary is of words, so they read the same in
    company. `vocabulary` stands in the refusal of an unknown word. Raises BadPhrase, naming the
    phrase.
    """
    tokens = [tuple(tokenize(cleaned(phrase))) for phrase in phrases]
    prompts: list[DetectorPrompt] = []
    ids: list[int] = [CLS]
    members: list[int] = []
    spans: list[tuple[int, int]] = []
    for index, (phrase, own) in enumerate(zip(phrases, tokens)):
        _refuse_tokens(phrase, own, limit, vocabulary)
        if len(ids) + len(own) + 2 > limit:
            prompts.append(DetectorPrompt((*ids, SEP), tuple(members), tuple(spans)))
            ids, members, spans = [CLS], [], []
        members.append(index)
        spans.append((len(ids), len(ids) + len(own)))
        ids += [*own, STOP]
    if members:
        prompts.append(DetectorPrompt((*ids, SEP), tuple(members), tuple(spans)))
    return tuple(prompts)


def cleaned(phrase: str) -> str:
    """Lower case, single spaces, no full stop at the end. Raises BadPhrase."""
    text = re.sub(r"[\s.]+$", "", " ".join(phrase.split()).lower())
    if not text:
        raise BadPhrase(f"phrase {phrase!r}: found nothing to look for, expected a noun phrase")
    if "." in text or "?" in text:
        raise BadPhrase(
            f"phrase {phrase!r}: found {'.' if '.' in text else '?'!r} inside, which separates "
            "phrases for this detector; write it without, or as two phrases"
        )
    return text


def vocabulary_of(weights: Weights) -> frozenset[str] | None:
    """The words that a detector with these weights can be asked for. None: an open vocabulary,
    whose tokenizer spells other words in pieces, or weights that are not on this machine."""
    try:
        file = find(weights, download=False).folder / "tokenizer.json"
        pieces = json.loads(file.read_text(encoding="utf-8"))["model"]["vocab"]
    except (MissingWeights, FileNotFoundError):
        return None
    spells = any(piece.startswith("##") for piece in pieces)
    return None if spells else frozenset(piece for piece in pieces if piece.isalpha())


def unknown_words(
    phrases: Iterable[str], vocabulary: frozenset[str] | None
) -> dict[str, tuple[str, ...]]:
    """By phrase, the words that `vocabulary` lacks; phrases that can be asked are left out, and
    with an open vocabulary (None) all can. Raises BadPhrase for a text that is no phrase."""
    if vocabulary is None:
        return {}
    unknown = {
        phrase: tuple(word for word in _words(phrase) if word not in vocabulary)
        for phrase in phrases
    }
    return {phrase: words for phrase, words in unknown.items() if words}


def expected_words(vocabulary: frozenset[str] | None) -> str:
    """The words that a phrase may hold, for a message."""
    return (
        "English words" if vocabulary is None else f"words out of {', '.join(sorted(vocabulary))}"
    )


def _words(phrase: str) -> list[str]:
    """Words and marks as BERT's uncased tokenizer parts them: without accents."""
    decomposed = unicodedata.normalize("NFD", cleaned(phrase))
    plain = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
    return re.findall(r"\w+|[^\w\s]", plain)


def _refuse_tokens(
    phrase: str, ids: tuple[int, ...], limit: int, vocabulary: frozenset[str] | None
) -> None:
    if UNKNOWN in ids:
        raise BadPhrase(
            f"phrase {phrase!r}: found what the detector's vocabulary lacks, expected "
            f"{expected_words(vocabulary)}"
        )
    if not ids or BORDERS & set(ids):
        raise BadPhrase(f"phrase {phrase!r}: found a mark that separates phrases, expected words")
    if len(ids) + 3 > limit:
        raise BadPhrase(
            f"phrase {phrase!r}: found {counted(len(ids), 'token')}, expected at most "
            f"{limit - 3}; shorten it"
        )
