"""The shipped tiny weights, through their adapters, on scenes that no training has seen.

What each scored when it was exported is in its card; here the same clips are measured again. The
margins are for other processors and library versions, not for other weights.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from massannot.errors import BadPhrase
from massannot.models.grounding_dino import GroundingDino
from massannot.models.weights import Weights
from tools.embedded import measured

FOLDER = Path(__file__).parents[2] / "massannot" / "weights" / "embedded"
MARGIN = 0.03
MODELS = {
    "grounding_dino": measured.detection,
    "sam2_video": measured.segmentation,
    "depth_anything": measured.depth,
}


def card(model: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((FOLDER / model / "card.json").read_text())
    return read


@pytest.fixture(scope="module")
def clips() -> list[measured.TrueClip]:
    return measured.validation_clips(card("sam2_video")["check"]["clips"])


@pytest.mark.parametrize("model", sorted(MODELS))
def test_shipped_weights_score_what_their_card_says(
    model: str, clips: list[measured.TrueClip]
) -> None:
    said = card(model)["check"]
    _, scores = MODELS[model](FOLDER / model, clips)
    errors = {n: v - said[n] for n, v in scores.items() if n in said and n != "threshold"}
    assert errors
    assert max(abs(e) for e in errors.values()) < MARGIN, errors


def test_a_phrase_beyond_the_tiny_vocabulary_is_told_the_words_in_it(
    clips: list[measured.TrueClip],
) -> None:
    detector = GroundingDino(Weights("embedded/grounding_dino"))
    detector.setup(device="cpu")
    with pytest.raises(BadPhrase, match=r"'person'.* words out of a, an, ball, blue, box"):
        detector.detect(clips[0].frames, at=[0], phrases=["person"])


@pytest.mark.parametrize("model", sorted(MODELS))
def test_the_card_names_the_weights_that_lie_beside_it(model: str) -> None:
    weights = (FOLDER / model / "model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == card(model)["sha256"]


@pytest.mark.parametrize(
    ("model", "better", "trivial", "smaller_is_better"),
    [
        ("grounding_dino", "AP50_{readout}", "AP50_mean_box", False),
        ("sam2_video", "J0", "J0_filled_box", False),
        ("sam2_video", "J8", "J8_copied", False),
        ("sam2_video", "J16", "J16_copied", False),
        ("sam2_video", "J24", "J24_copied", False),
        ("depth_anything", "AbsRel", "AbsRel_constant_3.4m", True),
        ("depth_anything", "AbsRel_bodies", "AbsRel_bodies_constant_3.4m", True),
    ],
)
def test_every_model_beats_its_trivial_baseline(
    model: str, better: str, trivial: str, smaller_is_better: bool
) -> None:
    said = card(model)
    name = better.format(readout=said["options"].get("readout"))
    gain = said["validation"][name] - said["validation"][trivial]
    assert (-gain if smaller_is_better else gain) > 0.05


def test_all_weights_together_fit_into_the_wheel() -> None:
    total = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    assert total <= 16e6
