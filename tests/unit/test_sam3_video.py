"""SAM 3 video: the masks, numbers and scores of transformers' own session, on the same pixels."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from massannot.errors import BadPhrase, ModelFailed
from massannot.models.protocols import MaskPropagator, PhraseDetector
from massannot.models.sam3.mask_operations import MaskOperations
from massannot.models.sam3.video import Sam3Video, _kept
from massannot.models.weights import Weights
from tests.tiny_models import frames_of, noise_frames, tiny_sam3
from tests.unit.test_sam2_video import tensor_bytes

HEIGHT, WIDTH, T = 112, 112, 9
PHRASES = ("ball", "red box")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sam3(tmp_path_factory.mktemp("sam3"))


def model(folder: Path) -> Sam3Video:
    adapter = Sam3Video(Weights(str(folder)))
    adapter.setup(device="cpu")
    return adapter


def processor() -> Any:
    """transformers' own post-processing. Its module needs torchvision, so its functions are read
    from there as they stand."""
    spec = importlib.util.find_spec("transformers.models.sam3_video")
    assert spec is not None
    assert spec.origin is not None
    source = (Path(spec.origin).parent / "processing_sam3_video.py").read_text()
    (kind,) = [n for n in ast.parse(source).body if isinstance(n, ast.ClassDef)]
    wanted = [n for n in kind.body if (isinstance(n, ast.FunctionDef) and "_constraints" in n.name)
              or getattr(n, "name", "") == "postprocess_outputs"]  # fmt: skip
    text = "from __future__ import annotations\n" + "\n".join(map(ast.unparse, wanted))
    scope: dict[str, Any] = {
        "torch": torch,
        "masks_to_boxes": lambda masks: torch.zeros(len(masks), 4),
    }
    exec(text, scope)
    found = SimpleNamespace()
    for node in wanted:
        setattr(found, node.name, scope[node.name].__get__(found))
    return found


def official(folder: Path, frames: Any) -> list[dict[str, Any]]:
    """Numbers, scores and masks of every frame of the library's own session, which forgets
    nothing."""
    from transformers.models.sam3_video import modeling_sam3_video as theirs

    theirs.cv_utils_kernel = MaskOperations
    net = transformers.Sam3VideoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    levels = torch.from_numpy(frames.pixels_THWC).permute(0, 3, 1, 2).float()
    session = theirs.Sam3VideoInferenceSession(
        video=(levels * (1 / 255) - 0.5) / 0.5, video_height=HEIGHT, video_width=WIDTH,
        dtype=torch.float32,
    )  # fmt: skip
    for phrase in PHRASES:
        number = session.add_prompt(phrase)
        text = tokenizer(phrase, return_tensors="pt", padding="max_length", max_length=32)
        session.prompt_input_ids[number] = text.input_ids
        session.prompt_attention_masks[number] = text.attention_mask
    read = processor()
    return [
        read.postprocess_outputs(session, out) for out in net.propagate_in_video_iterator(session)
    ]


def test_masks_numbers_and_scores_are_those_of_transformers(folder: Path) -> None:
    frames = noise_frames(T, HEIGHT, WIDTH)
    adapter, wanted = model(folder), official(folder, frames)
    adapter.detect(frames, at=[0], phrases=PHRASES)
    (things,) = _kept(frames, adapter.weights).values()
    compared = 0
    for frame, theirs in enumerate(wanted):
        masks = {int(n): m.numpy() for n, m in zip(theirs["object_ids"], theirs["masks"])}
        for thing in things:
            mask = masks.pop(thing.number, np.zeros((HEIGHT, WIDTH), bool))
            np.testing.assert_array_equal(thing.mask(frame, frames), mask)
            compared += int(mask.any())
        assert not any(mask.any() for mask in masks.values())
        scores = dict(zip(theirs["object_ids"].tolist(), theirs["scores"].tolist()))
        for thing in things:
            if frame in thing.scores:
                assert thing.scores[frame] == pytest.approx(scores[thing.number], abs=1e-5)
    assert compared >= 2 * T, "else the weights found too little to compare"
    assert {thing.phrase for thing in things} == {0, 1}


def test_boxes_lead_to_the_masks_that_they_came_from(folder: Path) -> None:
    frames, adapter = noise_frames(4, HEIGHT, WIDTH), model(folder)
    found = adapter.detect(frames, at=[0, 2], phrases=PHRASES)
    assert len(found.frame)
    session = model(folder).session(frames)  # the other job's adapter
    for row, (frame, box) in enumerate(zip(found.frame.tolist(), found.boxes_xyxy)):
        mask = session.add_box(row, frame=frame, box_xyxy=box)
        y, x = np.nonzero(mask)
        assert [x.min(), y.min(), x.max() + 1, y.max() + 1] == box.tolist()
    forwards = list(session.propagate(first=0, end=4, objects=[0]))
    backwards = list(session.propagate(first=3, end=-1, objects=[0]))
    assert [one.frame for one in forwards] == [0, 1, 2, 3]
    for one, other in zip(forwards, reversed(backwards)):
        np.testing.assert_array_equal(one.masks, other.masks)
    nowhere = session.add_box(99, frame=0, box_xyxy=np.float32([-9, -9, -5, -5]))
    assert not nowhere.any()


def test_what_the_tracker_no_longer_looks_at_is_forgotten(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter, held = model(folder), []
    loaded = adapter._loaded
    forget = type(loaded).forget

    def counted(self: Any, session: Any, *, before: int) -> None:
        forget(self, session, before=before)
        held.append(
            max(len(o["non_cond_frame_outputs"]) for o in session.output_dict_per_obj.values())
        )

    monkeypatch.setattr(type(loaded), "forget", counted)
    adapter.detect(noise_frames(T, HEIGHT, WIDTH), at=[0], phrases=PHRASES)
    assert max(held) <= loaded.window + 1 < T


def test_sixty_frames_take_the_memory_of_twenty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = model(tiny_sam3(tmp_path, side=56, max_num_objects=1))
    kind, held, pixels = type(adapter._loaded), [], noise_frames(7, 56, 56).pixels_THWC
    forget = kind.forget

    def weighed(self: Any, session: Any, *, before: int) -> None:
        forget(self, session, before=before)
        held.append(tensor_bytes() if len(held) in (0, 20, 59) else 0)

    monkeypatch.setattr(kind, "forget", weighed)
    clip = frames_of(np.resize(pixels, (60, *pixels.shape[1:])))
    adapter.detect(clip, at=[0], phrases=["ball"])
    assert len(held) == 60
    assert held[59] == held[20] > held[0]


def test_masks_of_another_detector_are_refused(folder: Path) -> None:
    with pytest.raises(ModelFailed, match="give it both jobs"):
        model(folder).session(noise_frames(2, HEIGHT, WIDTH))


def test_a_phrase_of_too_many_tokens_is_refused(folder: Path) -> None:
    with pytest.raises(BadPhrase, match="expected at most 32"):
        model(folder).detect(noise_frames(2, HEIGHT, WIDTH), at=[0], phrases=["a" * 40])


def test_it_does_two_jobs(folder: Path) -> None:
    assert isinstance(model(folder), PhraseDetector)
    assert isinstance(model(folder), MaskPropagator)


def test_the_better_of_two_that_overlap_is_kept() -> None:
    ious = torch.tensor([[1.0, 0.6, 0.0], [0.6, 1.0, 0.2], [0.0, 0.2, 1.0]])
    kept = MaskOperations.generic_nms(ious, torch.tensor([0.5, 0.9, 0.4]), 0.5)
    assert kept.tolist() == [1, 2]


def test_components_touch_at_corners_and_have_their_areas() -> None:
    masks = torch.tensor([[[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 1]]], dtype=torch.uint8)[None]
    labels, areas = MaskOperations.cc_2d(masks)
    assert areas[0, 0].tolist() == [[2, 0, 0, 1], [0, 2, 0, 0], [0, 0, 0, 1]]
    assert labels[0, 0, 0, 0] == labels[0, 0, 1, 1]
    assert len(labels.unique()) == 4
