"""The oracle finds things whose name is of two words: toy cars and arrow blocks."""

from __future__ import annotations

import numpy as np
import pytest

from massannot.models.oracle import OracleDetector
from massannot.scenes.true_answers import Answers
from massannot.scenes.world import SceneOptions, make_scene

SCENE = make_scene(5, SceneOptions(width=64, height=48, n_frames=2, n_bodies=2, n_fronts=2))


@pytest.mark.parametrize(("thing", "name"), list(enumerate(SCENE.phrases())))
def test_a_thing_with_a_front_is_meant_by_its_name(thing: int, name: str) -> None:
    answers = Answers(SCENE, (0, 1), 48, 64, np.ones(2))
    assert len(name.split()) == 4  # an article, a colour and two words for the shape
    assert OracleDetector(scenes="nowhere")._meant(answers, name) == [thing]
    assert OracleDetector(scenes="nowhere")._meant(answers, f"{name} zebra") == []
