"""Phrases are split by one rule, whether they come from -p or from a manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from massannot.errors import UsageError
from massannot.inputs.manifest import read_manifests
from massannot.inputs.phrase_list import phrases_of

TEXTS = [
    "a ball",
    "a ball; t-shirt",
    "a ball ; t-shirt;",
    "a ball | a hoop",
    "a ball, a hoop",
    "a ball . a hoop .",
    "A Red Ball.",
    "ball . ball",
    '["hoop, net", "a ball"]',
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_prompt_and_a_manifest_name_the_same_phrases(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps([{"video": "a.mp4", "entities": text}]))
    (row,) = read_manifests([str(path)])
    assert row.problem is None
    assert phrases_of([text]) == row.entities


def test_one_text_is_not_a_list_of_letters() -> None:
    assert phrases_of("a red ball") == phrases_of(["a red ball"]) == ("a red ball",)


def test_a_list_as_python_prints_it_is_a_list_and_one_of_numpy_is_refused() -> None:
    """numpy prints no commas, and Python reads two texts side by side as one."""
    assert phrases_of("['a ball', \"a dog's bowl\"]") == ("a ball", "a dog's bowl")
    for text in ("['ball' 'box']", "['ball'\n 'box']", "[a, b]"):
        with pytest.raises(UsageError, match="which is no list"):
            phrases_of(text)
