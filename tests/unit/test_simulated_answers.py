"""Answers from a scene's truth tables are those that other code computes from its simulation."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from massannot.dataset.reading import open_dataset
from massannot.questions.ask.family import families_of
from massannot.questions.ask.moving_quantities import series_of
from massannot.questions.ask.program import CAMERA, StateSequence
from massannot.questions.ask.thing_tracks import ThingTrack
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from tools.measure_questions import Judged, Measuring, judged_questions, report
from tools.simulated_answers import legs

OPTIONS = SceneOptions(
    width=96, height=80, n_frames=18, fps=12, n_bodies=3, camera="static", n_fronts=1,
    scenario="sliding", antialias=False, noise=False,
)  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_scenes(folder, seeds=(903_100, 903_101), options=OPTIONS)
    return folder


def test_every_certain_answer_from_the_truth_is_right(world: Path) -> None:
    found = list(
        judged_questions(open_dataset(world), SceneLibrary(world), families_of(()), Measuring())
    )
    certain = [(family, question) for family, question in found if question.certain]
    assert len({family for family, _ in certain}) >= 8
    assert len(certain) >= 40
    assert [family for family, question in certain if not question.right] == []


def test_a_scene_before_the_first_seed_is_left_out(world: Path) -> None:
    how = Measuring(from_seed=903_101, margin=0.0)
    families = families_of(("dsr_direction", "event_happens"))
    found = list(judged_questions(open_dataset(world), SceneLibrary(world), families, how))
    assert {question.clip_id for _, question in found} <= {open_dataset(world).clip_ids[1]}


def test_where_all_are_right_the_interval_is_that_of_so_many_clips() -> None:
    right = [Judged(str(clip), True, True, 1.0) for clip in (0, 0, 1, 2)]
    found = report(right)
    assert (found["kept"], found["right"], found["high"]) == (4, 1.0, 1.0)
    assert found["low"] == pytest.approx(0.025 ** (1 / 3), abs=1e-4)
    wrong = [*right, Judged("3", False, False, 0.5)]
    assert report(wrong)["right_at_0"] == 0.8
    assert report(wrong)["kept"] == 4


@pytest.mark.parametrize(
    ("series", "known"),
    [
        ([0, 6, 12], ("up",)),
        ([0, 4, 8], ()),
        ([87, 69, 77.4], ("down",)),  # nine and a half in all, but the way back is too short
        ([0, 12, 1], ("up", "down")),
        ([0, -8, 0], ()),
    ],
)
def test_a_leg_counts_from_the_least_on_and_not_what_is_left_of_it(
    series: list[float], known: tuple[str, ...]
) -> None:
    assert legs(np.array(series, np.float64), 10.0) == known


def test_the_speed_of_a_thing_at_rest_is_no_surer_than_its_places() -> None:
    own = np.tile(0.02**2 * np.eye(3), (8, 1, 1))
    track = ThingTrack(np.arange(8) / 12, np.ones((8, 3)), own, 0.0)
    tracks: Any = SimpleNamespace(of=lambda *_, **__: track)
    series, sd = series_of(tracks, StateSequence("speed", 0, CAMERA, "absolute", 0, 7, 0.5))
    assert series.max() == 0.0
    assert sd == pytest.approx(2 * 0.02 / (2 / 12))
