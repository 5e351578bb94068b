"""MM Grounding DINO: transformers' own boxes for the same pixels, and files of its own alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from massannot.errors import MissingWeights
from massannot.models.grounding_dino import GroundingDino
from massannot.models.mm_grounding_dino import MMGroundingDino
from massannot.models.weights import Weights
from tests.tiny_models import noise_frames, tiny_detector, tiny_mm_detector

try:
    from transformers import GroundingDinoImageProcessorPil
except ImportError:  # transformers before the backends were split
    from transformers import GroundingDinoImageProcessor as GroundingDinoImageProcessorPil

PHRASES = ("a red ball", "box", "the blue cup")
HEIGHT, WIDTH = 96, 144
"""Already the size of the network's input, so that both see the same levels."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[type, Path]:
    return {
        GroundingDino: tiny_detector(tmp_path_factory.mktemp("one")),
        MMGroundingDino: tiny_mm_detector(tmp_path_factory.mktemp("other")),
    }


def official(folder: Path, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Boxes (Q, 4) in pixels, probabilities (Q, L) and token ids of the library's own path."""
    images = GroundingDinoImageProcessorPil.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    net = transformers.MMGroundingDinoForObjectDetection.from_pretrained(folder).eval()
    text = tokenizer(" . ".join(PHRASES) + " .", return_tensors="pt")
    with torch.inference_mode():
        out = net(**images(Image.fromarray(picture), return_tensors="pt"), **text)
    (found,) = images.post_process_object_detection(
        out, threshold=-1.0, target_sizes=[picture.shape[:2]]
    )
    ids = text["input_ids"][0].tolist()
    return found["boxes"].numpy(), out.logits[0].sigmoid().numpy(), ids


def test_boxes_are_those_of_transformers_to_a_thousandth_of_a_pixel(
    folders: dict[type, Path],
) -> None:
    folder, frames = folders[MMGroundingDino], noise_frames(1, HEIGHT, WIDTH)
    detector = MMGroundingDino(
        Weights(str(folder)), box_threshold=0.0, text_threshold=0.0, top_k=20
    )
    detector.setup(device="cpu")
    found = detector.detect(frames, at=[0], phrases=PHRASES)
    boxes, probabilities, ids = official(folder, frames.pixels_THWC[0])
    stops = [i for i, token in enumerate(ids) if token == 1012]
    compared = 0
    for phrase, (first, end) in enumerate(zip([1, *(s + 1 for s in stops)], stops)):
        scores = probabilities[:, first:end].max(-1)
        order = np.argsort(-scores, kind="stable")
        wanted = np.clip(boxes[order], 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
        kept = (wanted[:, 2:] > wanted[:, :2]).all(axis=1)
        mine = found.phrase == phrase
        np.testing.assert_allclose(found.score[mine], scores[order][kept], atol=1e-5)
        np.testing.assert_allclose(found.boxes_xyxy[mine], wanted[kept], atol=1e-3)
        compared += int(mine.sum())
    assert compared > 40
    assert np.ptp(found.score) > 1e-3


@pytest.mark.parametrize(
    ("kind", "other"), [(GroundingDino, MMGroundingDino), (MMGroundingDino, GroundingDino)]
)
def test_the_files_of_the_other_are_refused(
    folders: dict[type, Path], kind: Any, other: type
) -> None:
    """Names and shapes fit so far that boxes would come out of them."""
    with pytest.raises(MissingWeights, match=r"config\.json describes .*grounding-dino"):
        kind(Weights(str(folders[other]))).setup(device="cpu")


def test_its_card_says_which_of_the_two_answered(folders: dict[type, Path]) -> None:
    assert MMGroundingDino(Weights("a/b")).card().name == "mm_grounding_dino"
    detector = MMGroundingDino(Weights(str(folders[MMGroundingDino])))
    detector.setup(device="cpu")
    assert (detector.card().name, len(detector.card().sha256)) == ("mm_grounding_dino", 64)
