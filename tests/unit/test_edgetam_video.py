"""EdgeTAM: the masks of transformers' own session on the same weights, and only on its backbone.

Needs timm and torchvision, an extra of its own; CONTRIBUTING says how these tests are run with it.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from safetensors import safe_open

from massannot.errors import MissingWeights
from massannot.models.edgetam_video import EdgeTamVideo
from massannot.models.weights import Weights
from tests.random_weights import write_repository
from tests.timm_here import why_not
from tests.tiny_models import noise_frames, tiny_edgetam
from tests.unit.library_session import LibrarySession, assert_same
from tests.unit.test_sam2_video import BOXES, box, held_bytes

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

SIDE = 128
HUB_ID = "yonigozlan/EdgeTAM-hf"
PUBLISHED_BYTES = 55_912_824
"""Of model.safetensors on the hub: every name, type and shape in its header counts."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_edgetam(tmp_path_factory.mktemp("masks"), side=SIDE)


def model(folder: Path, **options: Any) -> EdgeTamVideo:
    masks = EdgeTamVideo(Weights(str(folder)), **options)
    masks.setup(device="cpu")
    return masks


def library(folder: Path, frames: Any) -> LibrarySession:
    return LibrarySession(folder, frames, kind=transformers.EdgeTamVideoModel)


assert_equal = partial(assert_same, nothing=1e-3, n_sure=0.99, score=1e-5)
"""Every pixel whose logit is farther from nothing than sums in another order move it."""


@pytest.mark.seen("masks through time", "random weights")
@pytest.mark.parametrize(
    ("prompt", "first", "end", "options"),
    [
        (0, 0, 9, {}),
        (8, 8, -1, {}),
        (4, 3, -1, {}),
        (0, 0, 9, {"enable_temporal_pos_encoding_for_object_pointers": False,
                   "enable_occlusion_spatial_embedding": False}),
    ],
    ids=["forwards", "backwards", "from the middle", "configured as published"],
)  # fmt: skip
def test_boxes_are_followed_as_transformers_follows_them(
    tmp_path: Path, prompt: int, first: int, end: int, options: dict[str, bool]
) -> None:
    folder = tiny_edgetam(tmp_path, side=SIDE, **options)
    # Of a prompted frame a hard mask is remembered: in these frames it has no logit of 3e-7, whose
    # sign the order of a sum would decide.
    frames = noise_frames(9, SIDE, SIDE, seed=1)
    mine, theirs = model(folder).session(frames), library(folder, frames)
    for object_id in BOXES:
        mine.add_box(object_id, frame=prompt, box_xyxy=box(object_id))
    for object_id in BOXES:
        theirs.add_box(object_id, prompt, box(object_id))
        theirs.session.frames_tracked_per_obj[theirs.session.obj_id_to_idx(object_id)] = {}
    assert_equal(list(mine.propagate(first=first, end=end)), theirs.propagate(first, end))


def test_points_and_masks_are_followed_as_transformers_follows_them(folder: Path) -> None:
    frames, adapter = noise_frames(5, SIDE, SIDE), model(folder)
    at, mask = np.array([40, 50, 40, 50], np.float32), np.zeros((SIDE, SIDE), np.bool_)
    mask[20:70, 30:90] = True
    mine, theirs = adapter.session(frames), library(folder, frames)
    mine.add_box(1, frame=0, box_xyxy=at)
    theirs.add_point(1, 0, at[:2])
    assert_equal(list(mine.propagate(first=1, end=5)), theirs.propagate(1, 5))
    mine, theirs = adapter.session(frames), library(folder, frames)  # theirs cannot mix the two
    mine.add_mask(1, frame=0, mask=mask)
    theirs.add_mask(1, 0, mask)
    assert_equal(list(mine.propagate(first=1, end=5)), theirs.propagate(1, 5))


@pytest.mark.parametrize("at_most", [-1, 1])
def test_several_prompts_of_an_object_are_remembered_as_configured(
    tmp_path: Path, at_most: int
) -> None:
    folder = tiny_edgetam(tmp_path, side=SIDE, max_cond_frame_num=at_most)
    frames = noise_frames(9, SIDE, SIDE)
    mine, theirs = model(folder).session(frames), library(folder, frames)
    for frame in (0, 4, 7):
        mine.add_box(1, frame=frame, box_xyxy=box(1))
        theirs.add_box(1, frame, box(1))
    assert_equal(list(mine.propagate(first=0, end=9)), theirs.propagate(0, 9))


def test_pictures_of_another_shape_are_read_as_transformers_reads_them(folder: Path) -> None:
    frames = noise_frames(2, 90, 140)
    mine, theirs = model(folder).session(frames), library(folder, frames)
    mine.add_box(1, frame=0, box_xyxy=box(1))
    theirs.add_box(1, 0, box(1))
    assert_same(list(mine.propagate(first=0, end=1)), theirs.propagate(0, 1))


def test_sixty_frames_take_the_memory_of_twenty(folder: Path) -> None:
    held = held_bytes(model(folder, kept_mib=1), n_frames=60, at=(0, 20, 59))
    assert held[59] == held[20] > held[0]


def test_batches_of_any_size_say_the_same(folder: Path) -> None:
    frames, answers = noise_frames(5, SIDE, SIDE), []
    for options in ({}, {"object_batch": 1}, {"encode_batch": 4, "object_batch": 2}):
        session = model(folder, **options).session(frames)
        for object_id in BOXES:  # alone: a pixel of no logit falls this way or that in a batch
            session.add_box(object_id, frame=0, box_xyxy=box(object_id))
        answers.append(list(session.propagate(first=1, end=5)))
    for a, *others in zip(*answers):
        for b in others:
            assert (a.masks != b.masks).mean() < 1e-3
            np.testing.assert_allclose(a.score, b.score, atol=1e-4)


def test_its_weights_are_those_of_the_hub_to_the_byte_and_its_backbone_is_repvit(
    tmp_path: Path,
) -> None:
    folder = write_repository(HUB_ID, tmp_path)
    assert (folder / "model.safetensors").stat().st_size == PUBLISHED_BYTES
    with safe_open(folder / "model.safetensors", "pt") as file:
        names = set(file.keys())
    stages = {name.split(".")[3] for name in names if ".backbone.timm_model." in name}
    assert stages == {"stem", *(f"stages_{stage}" for stage in range(4))}
    assert any(".token_mixer.conv." in name for name in names)
    card = model(folder).card()
    assert (card.name, card.n_parameters) == ("edgetam_video", 13_895_794)


@pytest.mark.parametrize(
    ("vision", "found"),
    [(None, "sam2_hiera_det_model"), ({"model_type": "edgetam_vision_model"}, "resnet50")],
    ids=["nothing said of the picture's part", "nothing said of the backbone"],
)
def test_a_configuration_that_builds_another_backbone_is_refused(
    folder: Path, tmp_path: Path, vision: dict[str, str] | None, found: str
) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["vision_config"]
    (tmp_path / "config.json").write_text(
        json.dumps(config | ({} if vision is None else {"vision_config": vision}))
    )
    for name in ("model.safetensors", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(MissingWeights, match=f"builds the backbone '{found}', expected a RepViT"):
        model(tmp_path)
