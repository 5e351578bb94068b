"""What the lessons of `tools/train_tiny.py` teach: answers follow the pictures that are shown."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from massannot.questions.scene_families import FAMILIES, ask_of_answers
from massannot.rft.tiny_model import N_PATCHES, tiny_model, tiny_processor
from massannot.rft.tiny_warm_up import _questions
from massannot.scenes.world import COLOUR_NAMES, VALIDATION_SEEDS
from tools.train_tiny import (
    TAUGHT,
    ShownScene,
    _shown,
    draw,
    lesson_of_four,
    lesson_of_one,
    measured,
    read,
    words,
)

ACROSS = np.array([[-0.6, 0.7], [-0.3, 0.7], [0.2, 0.3], [0.5, -0.4]], np.float32)


def scene() -> ShownScene:
    """The red thing goes to the right, the blue one to the left; picture k is all k."""
    pictures = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((1, 32, 32, 3), np.uint8)
    return _shown(pictures, ACROSS, ("red", "blue"))


def answers(shown: ShownScene, family: str) -> dict[str, str]:
    return {asked.text: asked.answer for asked in ask_of_answers(FAMILIES[family], shown)}


@pytest.mark.parametrize(
    ("family", "backwards", "mirrored"),
    [("colour", False, False), ("side", True, True), ("order", True, True)],
)
def test_answers_change_with_the_order_and_the_mirror(
    family: str, backwards: bool, mirrored: bool
) -> None:
    now = answers(scene(), family)
    assert len(now) == {"colour": 8, "side": 4, "order": 2}[family]
    for other, changes in (
        (scene().in_order((3, 2, 1, 0)), backwards),
        (scene().mirrored(), mirrored),
    ):
        then = answers(other, family)
        assert then.keys() == now.keys()
        assert all((then[text] != now[text]) == changes for text in now)


def test_a_lesson_shows_the_pictures_in_the_order_that_its_answers_are_of() -> None:
    orders = set()
    for seed in range(40):
        rows = lesson_of_four(scene(), random.Random(seed))
        order = tuple(int(picture.mean()) for picture in rows[0]["pictures"])
        orders.add(order)
        for row in rows[:-1]:
            text = row["prompt"][0]["content"][-1]["text"].split("\n")[0]
            assert answers(scene().in_order(order), row["category"])[text] == row["solution"]
    assert len(orders) > 5


def test_one_picture_has_the_places_that_it_has_among_four() -> None:
    processor: Any = tiny_processor(words())
    places, pictures = set(), set()
    for seed in range(40):
        rows = lesson_of_one(scene(), random.Random(seed))
        alone = _questions(rows, processor.tokenizer)
        assert alone.question.count(0) == 1 + N_PATCHES
        places.add(alone.place[0])
        (picture,) = rows[0]["pictures"]
        pictures.add(int(picture.mean()))
        column = f"0.{int((ACROSS[int(picture.mean()), 0] + 1) * 4)}"
        assert rows[0]["described"].split()[:3] == ["red", column, "blue"]
    assert places == {number * (1 + N_PATCHES) for number in range(4)}
    assert pictures == {0, 1, 2, 3}


def test_the_words_of_all_lessons_are_known() -> None:
    tokenizer = tiny_processor(words()).tokenizer
    for colour in COLOUR_NAMES:
        other = COLOUR_NAMES[COLOUR_NAMES.index(colour) - 1]
        shown = _shown(scene().pictures, ACROSS, (colour, other))
        for name in TAUGHT:
            for asked in ask_of_answers(FAMILIES[name], shown):
                assert tokenizer.unk_token_id not in tokenizer(asked.text)["input_ids"]


def test_the_shipped_model_sees_scenes_that_it_was_not_taught_on(tmp_path: Path) -> None:
    draw(VALIDATION_SEEDS[:10], tmp_path / "scenes.npz")
    processor = tiny_processor(["a word of its own", *words()])
    found = measured(tiny_model(processor), processor, read(tmp_path / "scenes.npz"))
    assert found["colour"]["in order"] >= 80
    assert found["side"]["in order"] >= 70


def test_a_word_has_its_meaning_in_every_vocabulary() -> None:
    rows = []
    for texts in (words(), ["a ball", *words()]):
        processor = tiny_processor(texts)
        table = tiny_model(processor).get_input_embeddings().weight
        rows.append(table[processor.tokenizer.convert_tokens_to_ids(["red", "0.3", "</answer>"])])
    assert (rows[0] == rows[1]).all()
