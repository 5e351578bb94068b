"""--box, --point: what is typed at a typed time is the one that is followed, in source pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from massannot.errors import UsageError
from massannot.models.prompts_by_hand import PromptsByHand, check_phrases, typed_prompt
from massannot.models.protocols import GivenBoxes
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.scenes.true_answers import Answers
from massannot.scenes.world import SceneOptions, make_scene
from massannot.stages.detect_phrases import DetectPhrases
from massannot.stages.propagate_masks import PropagateMasks
from tests.drawn_world import clip_of
from tests.unit.scene_clip import scene_frames, write_record

SCENE = make_scene(3, SceneOptions(width=96, height=72, n_frames=8))
FRAMES = scene_frames(SCENE)
FPS = SCENE.options.fps


@pytest.mark.parametrize(
    ("text", "phrase", "t_s", "xyxy"),
    [
        ("2.4s:100,80,140,120", None, 2.4, (100, 80, 140, 120)),
        ("a red ball@0s:1.5,2,3,4.25", "a red ball", 0, (1.5, 2, 3, 4.25)),
    ],
)
def test_a_box_is_read_as_it_is_typed(
    text: str, phrase: str | None, t_s: float, xyxy: tuple[float, ...]
) -> None:
    box = typed_prompt(text, flag="--box")
    assert (box.phrase, box.t_s, box.xyxy) == (phrase, t_s, xyxy)


@pytest.mark.parametrize("text", ["1,2,3,4", "2s:1,2,3", "-1s:1,2,3,4", "2s:3,2,3,4", "s:1,2,3,4"])
def test_another_text_is_refused_with_an_example(text: str) -> None:
    for flag in ("--box", "--point"):
        with pytest.raises(UsageError, match=flag):
            typed_prompt(text, flag=flag)


def test_a_point_is_a_box_without_extent() -> None:
    point = typed_prompt("ball@2.4s:120,95.5", flag="--point")
    assert (point.phrase, point.xyxy) == ("ball", (120, 95.5, 120, 95.5))


@pytest.mark.parametrize(
    ("t_s", "frames"),
    [(0.0, [0]), (2 / FPS, [2]), (2.4 / FPS, [2]), (2.6 / FPS, [3]), (7.6 / FPS, []), (9.0, [])],
)
def test_a_box_belongs_to_the_frame_within_half_a_frame(t_s: float, frames: list[int]) -> None:
    model = PromptsByHand(f"{t_s:.6f}s:1,2,30,40")
    assert isinstance(model, GivenBoxes)
    assert model.frames_named(FRAMES) == frames


def test_boxes_are_in_source_pixels_and_answer_their_phrase() -> None:
    half = scene_frames(SCENE, size=(48, 36))
    model = PromptsByHand("b@0s:10,20,30,40;a@0s:90,60,200,200", "b@0s:12,22")
    found = model.detect(half, at=[0], phrases=["a", "b"])
    assert found.phrase.tolist() == [0, 1, 1]
    expected = [[45, 30, 48, 36], [5, 10, 15, 20], [6, 11, 6, 11]]
    np.testing.assert_allclose(found.boxes_xyxy, expected)


@pytest.mark.parametrize("by", ["box", "point"])
def test_the_thing_that_is_meant_is_followed_both_ways(tmp_path: Path, by: str) -> None:
    write_record(SCENE, tmp_path)
    truth = Answers.of(SCENE, FRAMES)
    entity = max(range(len(SCENE.entities)), key=lambda k: np.count_nonzero(truth.mask(3, k)))
    box = x0, y0, x1, y1 = truth.box_xyxy(3, entity)
    rows, columns = np.nonzero(truth.mask(3, entity))
    middle = len(rows) // 2
    typed = {
        "box": (f"{3 / FPS:.4f}s:{x0:g},{y0:g},{x1:g},{y1:g}",),
        "point": (f"{3 / FPS:.4f}s:{columns[middle] + 0.5},{rows[middle] + 0.5}",),
    }
    flags = ModelFlags(
        profile="none",
        scenes=str(tmp_path),
        oracles=("masks", "depth"),
        boxes_by_hand=typed["box"] if by == "box" else (),
        points_by_hand=typed["point"] if by == "point" else (),
    )
    spec = run_spec(phrases=["thing"], flags=flags, recipe="detect_and_segment")
    stages = {type(stage): stage for stage in spec.pipeline().stages}
    clip = clip_of(FRAMES, ["thing"])
    for kind in (DetectPhrases, PropagateMasks):
        for model in vars(stages[kind]).values():
            if hasattr(model, "setup"):
                model.setup(device="cpu")
        clip = stages[kind].process(clip)
    (row,) = clip.table("entities").to_pylist()
    visible = [t for t in range(8) if truth.mask(t, entity).any()]
    assert (row["first_frame"], row["last_frame"]) == (visible[0], visible[-1])
    (given,) = clip.table("detections").to_pylist()
    assert given["origin"] == "given"
    assert [given[side] for side in ("x0", "y0", "x1", "y1")] == list(box)


def test_what_lies_beyond_the_picture_is_rejected() -> None:
    detector = PromptsByHand("0s:200,200,210,210", "0s:95.9,71;0s:96,3;0s:300,300")
    clip = DetectPhrases(detector=detector).process(clip_of(FRAMES, ["thing"]))
    rows = {(r["x0"], r["y0"]): r["rejected"] for r in clip.table("detections").to_pylist()}
    assert rows.pop((np.float32(95.9), 71)) is None
    assert set(rows.values()) == {"empty_mask"}
    assert clip.table("detections").num_rows == 4


def test_of_several_phrases_a_box_names_its_own() -> None:
    check_phrases(["0s:1,2,3,4"], ["ball"], flag="--box")
    check_phrases(["ball@0s:1,2"], ["hoop", "ball"], flag="--point")
    check_phrases(["0s:1,2,3,4"], [], flag="--box")
    with pytest.raises(UsageError, match="found no phrase, expected one of"):
        check_phrases(["0s:1,2,3,4"], ["hoop", "ball"], flag="--box")
