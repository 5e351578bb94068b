"""Phrases as users write them: one text may name several things.

One rule for -p and for the `entities` of a manifest: ; or | or , and a full stop between blanks
separate phrases ("a ball; a hoop", "a ball . a hoop ."). A list, or a text that is one in
JSON or as Python prints it, names each phrase outright, so that one may have a comma inside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from massannot.errors import BadPhrase, UsageError
from massannot.inputs.text import escaped, is_unicode
from massannot.storage.json_text import parsed_cell

_SEPARATORS = re.compile(r"[;|,]|(?<=\s)\.(?=\s)")


def phrases_of(prompts: str | Sequence[str]) -> tuple[str, ...]:
    """The phrases of all -p, or of one text, each once. Raises UsageError for one that no detector
    can be asked for, whatever its vocabulary."""
    texts: list[str] = []
    for prompt in [prompts] if isinstance(prompts, str) else prompts:
        try:
            phrases = split_phrases(prompt)
        except BadPhrase as error:
            raise UsageError(f"-p: {error}") from error
        if not phrases:
            raise UsageError(f"-p {prompt!r}: an empty phrase names nothing; give a noun, 'a ball'")
        texts += phrases
    return tuple(dict.fromkeys(texts))


def split_phrases(value: Any) -> tuple[str, ...]:
    """The phrases of a text or a list of texts, each once, as they were written less a full stop at
    the end. Raises BadPhrase."""
    items = _items(value) if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise BadPhrase(f"found {value!r}, expected a text or a list of texts")
    return tuple(dict.fromkeys(map(_phrase, items)))


def _items(text: str) -> Any:
    if text.lstrip().startswith("["):
        try:
            return parsed_cell(text)
        except ValueError as error:
            raise BadPhrase(f"found {text!r}, which is no list: {error}") from error
    return [part for part in _SEPARATORS.split(f"{text} ") if part.strip(" \t\n.")]


def _phrase(item: str) -> str:
    text = re.sub(r"[\s.]+$", "", item.strip())
    if not text:
        raise BadPhrase("found an empty phrase, expected a noun phrase")
    if not is_unicode(text):
        raise BadPhrase(f"phrase '{escaped(text)}': found no valid Unicode, expected text in UTF-8")
    for mark in ".?":
        if mark in text:
            raise BadPhrase(
                f"phrase {text!r}: found {mark!r} inside, which separates phrases; write it "
                "without, or as two phrases"
            )
    return text
