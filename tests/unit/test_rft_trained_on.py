"""A run remembers what it was trained on, and so notices where it is judged by the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from massannot.rft.training_rows import digest_of, remember, seen_before


def row(video: str, question: str) -> dict[str, Any]:
    content = [{"type": "image"}, {"type": "text", "text": question}]
    return {"group": video, "prompt": [{"role": "user", "content": content}]}


TRAINED = [row("a", "Up?"), row("a", "Down?"), row("b", "Up?")]


@pytest.mark.parametrize(
    ("judged", "says"),
    [
        pytest.param([row("c", "Up?")], None, id="another video, the same words"),
        pytest.param([row("b", "Down?")], "0 of these 1 question, .* videos of 1", id="its video"),
        pytest.param(
            [row("a", "Up?"), row("b", "Left?"), row("c", "Up?")],
            "1 of these 3 questions, .* videos of 2",
            id="the same question",
        ),
    ],
)
def test_questions_and_videos_that_were_trained_on_are_counted(
    judged: list[dict[str, Any]], says: str | None, tmp_path: Path
) -> None:
    remember(tmp_path, TRAINED)
    found = seen_before(tmp_path, judged)
    assert found is None if says is None else re.search(says, found or "")


def test_a_run_that_does_not_say_is_not_accused(tmp_path: Path) -> None:
    assert seen_before(tmp_path, TRAINED) is None


def test_the_same_questions_in_another_order_are_the_same_data() -> None:
    assert digest_of(TRAINED) == digest_of(TRAINED[::-1]) != digest_of(TRAINED[1:])
