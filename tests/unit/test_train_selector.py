"""What the lessons of `tools/train_selector.py` teach: numbers follow the points that are shown."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from massannot.questions.scene_dataset import picture_frames
from massannot.questions.scene_depth import scene_point_cloud
from massannot.questions.scene_families import FAMILIES, ask_of_answers
from massannot.questions.scene_story import OPTIONS, stories
from massannot.rft.geometry_tokens import SELECTOR
from massannot.rft.tiny_model import tiny_model, tiny_processor
from massannot.rft.training_recipes import TINY
from massannot.scenes.world import VALIDATION_SEEDS, Scene, make_scene
from tools.draw_points import GRID, TAUGHT, Clip, draw, mixed, read
from tools.train_selector import THINNED, lesson, measured, new_words, thinned, words

SCENES = [make_scene(seed, OPTIONS) for seed in range(1_000_000, 1_000_003)]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    file = tmp_path_factory.mktemp("points") / "points.npz"
    draw(mixed(SCENES, count=12), file)
    return read(file)


def middle(clip: Clip, entity: int) -> Any:
    """(3,) of its points of the last frame that has any."""
    frame = max(f for f in range(4) if (clip.entity[f] == entity).any())
    return frame, clip.points[frame][clip.entity[frame] == entity].mean(axis=0)


def test_points_are_those_that_are_exported(tmp_path: Path) -> None:
    draw(SCENES, tmp_path / "points.npz")
    frames = picture_frames(OPTIONS.n_frames)
    for scene, clip in zip(SCENES, read(tmp_path / "points.npz"), strict=True):
        cloud = scene_point_cloud(tmp_path / "none", scene, frames, grid=(GRID, GRID))
        assert np.allclose(cloud.xyz.reshape(clip.points.shape), clip.points, atol=1e-5)
        assert np.array_equal(cloud.entity.reshape(clip.entity.shape), clip.entity)


def test_things_are_where_their_points_are(clips: list[Clip]) -> None:
    """Mixed, mirrored and exchanged alike: a surface is a body's size from its centre."""
    frames = picture_frames(OPTIONS.n_frames)
    seen = 0
    for clip in clips:
        for now in (clip, clip.mirrored, clip.exchanged, clip.mirrored.exchanged):
            for entity in range(OPTIONS.n_bodies):
                if (now.entity == entity).any():
                    frame, place = middle(now, entity)
                    away = np.linalg.norm(place - now.centres_m[frames[frame], entity])
                    assert away < 0.6
                    seen += 1
    assert seen > 40


def test_numbers_are_mirrored_and_change_places(clips: list[Clip]) -> None:
    for clip in clips:
        for family in TAUGHT:
            then, other = (
                [q.numbers for q in ask_of_answers(FAMILIES[family], now)]
                for now in (clip.mirrored, clip.exchanged)
            )
            for plain, mirrored, exchanged in zip(
                ask_of_answers(FAMILIES[family], clip), then, other, strict=True
            ):
                half = len(plain.numbers) // 2
                assert exchanged == plain.numbers[half:] + plain.numbers[:half]
                sign = {"faster": [-1, 1, 1] * 2, "in_front": [1, 1], "right_of": [-1, -1]}[family]
                assert mirrored == pytest.approx(np.multiply(plain.numbers, sign))


def test_a_question_names_the_things_whose_numbers_it_needs(clips: list[Clip]) -> None:
    """In the order of its numbers, and the points by the same names."""
    tokenizer = tiny_processor(words()).tokenizer
    entries, numbers = lesson(clips * 4, random.Random(0), tokenizer)
    assert len(entries) == len(numbers) > 30
    for entry in entries:
        text = tokenizer.decode(entry.question)
        first, second = (tokenizer.decode(ids).removeprefix("a ") for ids in entry.names)
        assert f"A. the {first}" in text
        assert f"B. the {second}" in text
        assert tokenizer.unk_token_id not in entry.question


def test_a_thinned_clip_keeps_the_points_on_things(clips: list[Clip]) -> None:
    for clip in clips:
        few = thinned(clip.geometry, random.Random(0))
        assert len(few.features) == THINNED
        on_things = int((clip.geometry.thing > 0).sum())
        assert int((few.thing > 0).sum()) == min(on_things, THINNED)


def test_the_shipped_selector_reads_scenes_that_it_was_not_taught_on(tmp_path: Path) -> None:
    """What it says is nearer to the numbers than their mean is, and tells which are greater."""
    scenes: list[Scene] = [
        story.scene
        for story in islice(stories(VALIDATION_SEEDS, views=4), 40)
        if story.scene is not None
    ]
    draw(scenes, tmp_path / "points.npz")
    processor = tiny_processor(["a word of its own", *words()])
    options = {"n_tokens": TINY.geometry.selected, "width": TINY.geometry.width, "layers": 1}
    model = tiny_model(processor, geometry=options)
    table = model.get_input_embeddings().weight
    found = measured(
        getattr(model, SELECTOR), table, read(tmp_path / "points.npz"), processor.tokenizer
    )
    assert len(found) == 4
    for scores in found.values():
        assert scores["error_m"] < 0.8 * scores["spread_m"]
        assert scores["right"] >= 70


def test_a_selector_of_another_shape_is_drawn() -> None:
    """And so are the words that came with the shipped one."""
    processor = tiny_processor(words())
    ids = processor.tokenizer.convert_tokens_to_ids(new_words(processor.tokenizer))
    rows = []
    for seed in (0, 1):
        options = {"n_tokens": 6, "width": TINY.geometry.width, "layers": 1}
        model = tiny_model(processor, geometry=options, seed=seed)
        rows.append((getattr(model, SELECTOR).names.weight, model.get_input_embeddings().weight))
    (names, table), (others, other_table) = rows
    assert not torch.equal(names, others)
    assert not torch.equal(table[ids], other_table[ids])
