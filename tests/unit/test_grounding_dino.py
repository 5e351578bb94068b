"""Grounding DINO: the boxes and scores that transformers' own processor reads, per phrase."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from massannot.errors import BadModelOutput, BadPhrase, MissingWeights
from massannot.models.grounding_dino import GroundingDino
from massannot.models.protocols import ContextDetector, Detections, PhraseDetector
from massannot.models.weights import Weights
from tests.tiny_models import frames_of, noise_frames, tiny_detector

try:
    from transformers import GroundingDinoImageProcessorPil
except ImportError:  # transformers before the backends were split
    from transformers import GroundingDinoImageProcessor as GroundingDinoImageProcessorPil

PHRASES = ("a red ball", "box", "the blue cup")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_detector(tmp_path_factory.mktemp("detector"))


def model(folder: Path, **options: Any) -> GroundingDino:
    detector = GroundingDino(Weights(str(folder)), **options)
    detector.setup(device="cpu")
    return detector


def everything(folder: Path, **options: Any) -> GroundingDino:
    """Every query answers: thresholds and caps out of the way."""
    return model(folder, **{"box_threshold": 0.0, "text_threshold": 0.0, "top_k": 20} | options)


def official(folder: Path, picture: np.ndarray, *, threshold: float) -> dict[str, Any]:
    """The library's own path: PIL processor, text, network, grounded post-processing."""
    images = GroundingDinoImageProcessorPil.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    net = transformers.GroundingDinoForObjectDetection.from_pretrained(folder).eval()
    text = tokenizer(" . ".join(PHRASES) + " .", return_tensors="pt")
    with torch.inference_mode():
        out = net(**images(Image.fromarray(picture), return_tensors="pt"), **text)
    (boxes,) = images.post_process_object_detection(
        out, threshold=threshold, target_sizes=[picture.shape[:2]]
    )
    return {"boxes": boxes, "out": out, "ids": text["input_ids"][0].tolist()}


def test_boxes_and_scores_are_what_transformers_says(folder: Path) -> None:
    frames = noise_frames(3, 90, 140)
    found = everything(folder).detect(frames, at=[0, 2], phrases=PHRASES)
    for frame in (0, 2):
        wanted = official(folder, frames.pixels_THWC[frame], threshold=-1.0)
        probabilities = wanted["out"].logits[0].sigmoid().numpy()
        stops = [i for i, token in enumerate(wanted["ids"]) if token == 1012]
        for phrase, (first, end) in enumerate(zip([1, *(s + 1 for s in stops)], stops)):
            mine = (found.frame == frame) & (found.phrase == phrase)
            scores = probabilities[:, first:end].max(-1)
            order = np.argsort(-scores, kind="stable")
            boxes = np.clip(wanted["boxes"]["boxes"].numpy()[order], 0, [140, 90, 140, 90])
            np.testing.assert_allclose(found.score[mine], scores[order], atol=2e-3)
            np.testing.assert_allclose(found.boxes_xyxy[mine], boxes, atol=0.2)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: p[..., ::-1],
        lambda p: np.roll(p, 2, axis=2),
        lambda p: np.clip(p.astype(int) + 6, 0, 255).astype(np.uint8),
    ],
    ids=["channels in the order B G R", "two pixels to the right", "another mean"],
)
def test_the_comparison_with_transformers_would_notice(folder: Path, spoil: Any) -> None:
    frames = noise_frames(1, 90, 140)
    spoiled = frames_of(np.ascontiguousarray(spoil(frames.pixels_THWC)))
    detector = everything(folder)
    right, wrong = (detector.detect(f, at=[0], phrases=PHRASES) for f in (frames, spoiled))
    assert np.abs(right.score - wrong.score).max() > 4e-3


class Stored(torch.nn.Module):
    """A network that answers what it was given: the logits and boxes of every query."""

    def __init__(self, logits_QL: Any, boxes_cxcywh: Any):
        super().__init__()
        self.logits = torch.tensor(logits_QL, dtype=torch.float32)
        self.boxes = torch.tensor(boxes_cxcywh, dtype=torch.float32)

    def forward(self, pixel_values: torch.Tensor, **_: Any) -> Any:
        n = len(pixel_values)
        return transformers.utils.ModelOutput(
            logits=self.logits.expand(n, -1, -1), pred_boxes=self.boxes.expand(n, -1, -1)
        )


def answering(folder: Path, logits: Any, boxes: Any, **options: Any) -> Detections:
    """What the adapter reads from stored logits, asked for "red ball" and "box" in 100 x 200.
    Tokens: [CLS] red ball . box . [SEP]."""
    detector = model(folder, **options)
    object.__setattr__(detector._loaded, "net", Stored(logits, boxes))
    return detector.detect(noise_frames(1, 100, 200), at=[0], phrases=["red ball", "box"])


def logit(*probabilities: float) -> list[float]:
    return [float(np.log(p / (1 - p))) for p in probabilities]


LOW = 0.01
A_BOX = [0.5, 0.5, 0.2, 0.4]


@pytest.mark.parametrize(
    ("probabilities", "wanted"),
    [
        ([LOW, 0.2, 0.9, LOW, LOW, LOW, LOW], [(0, 0.9)]),
        ([LOW, 0.9, 0.2, LOW, 0.3, LOW, LOW], [(0, 0.9), (1, 0.3)]),
        ([LOW, 0.9, 0.2, LOW, 0.24, LOW, LOW], [(0, 0.9)]),
        ([LOW, 0.34, 0.3, LOW, 0.34, LOW, LOW], []),
        ([0.9, LOW, LOW, 0.9, LOW, 0.9, 0.9], []),
    ],
    ids=[
        "a phrase scores as its best token",
        "a kept box answers for every phrase over the text threshold",
        "and for none under it",
        "a box under the box threshold is dropped",
        "stops and special tokens never count",
    ],
)
def test_thresholds_mean_what_is_documented(
    folder: Path, probabilities: list[float], wanted: list[tuple[int, float]]
) -> None:
    found = answering(folder, [logit(*probabilities)], [A_BOX])
    assert list(zip(found.phrase.tolist(), found.score.astype(float).round(4).tolist())) == wanted


@pytest.mark.parametrize(
    ("cxcywh", "xyxy"),
    [
        ([0.5, 0.5, 0.2, 0.4], [80, 30, 120, 70]),
        ([0.0025, 0.005, 0.005, 0.01], [0, 0, 1, 1]),
        ([0.95, 0.9, 0.2, 0.4], [170, 70, 200, 100]),
    ],
    ids=["centre and size to corners", "the first pixel, from edge to edge", "cut at the edge"],
)
def test_boxes_are_corner_origin_and_half_open(
    folder: Path, cxcywh: list[float], xyxy: list[float]
) -> None:
    found = answering(folder, [logit(LOW, 0.9, LOW, LOW, LOW, LOW, LOW)], [cxcywh])
    np.testing.assert_allclose(found.boxes_xyxy, [xyxy], atol=1e-4)


def test_a_box_outside_the_picture_is_no_box(folder: Path) -> None:
    high = logit(LOW, 0.9, LOW, LOW, LOW, LOW, LOW)
    assert len(answering(folder, [high], [[-0.3, 0.5, 0.2, 0.2]]).score) == 0


def test_duplicates_within_a_phrase_go_when_asked(folder: Path) -> None:
    ball = [logit(LOW, p, LOW, LOW, q, LOW, LOW) for p, q in ((0.6, LOW), (0.9, LOW), (LOW, 0.8))]
    boxes = [[0.5, 0.5, 0.2, 0.4], [0.5, 0.5, 0.21, 0.4], [0.5, 0.5, 0.2, 0.4]]
    assert len(answering(folder, ball, boxes).score) == 3
    found = answering(folder, ball, boxes, nms_iou=0.7)
    assert found.phrase.tolist() == [0, 1]
    np.testing.assert_allclose(found.score, [0.9, 0.8], rtol=1e-5)


def test_at_most_so_many_boxes_a_phrase_the_best_first(folder: Path) -> None:
    scores = np.linspace(0.4, 0.9, 15)
    rows = [logit(LOW, p, LOW, LOW, LOW, LOW, LOW) for p in scores]
    found = answering(folder, rows, [[0.05 * (i + 1), 0.5, 0.04, 0.4] for i in range(15)], top_k=4)
    np.testing.assert_allclose(found.score, scores[::-1][:4], rtol=1e-4)


@pytest.mark.parametrize("readout", ["decoder", "encoder"])
def test_a_network_that_answers_everywhere_keeps_to_the_cap(folder: Path, readout: str) -> None:
    detector = everything(folder, readout=readout, top_k=3)
    found = detector.detect(noise_frames(2, 90, 140), at=[0, 1], phrases=PHRASES)
    counts = np.unique(np.stack([found.frame, found.phrase]), axis=1, return_counts=True)[1]
    assert counts.tolist() == [3] * 6


def test_the_encoders_boxes_lie_where_its_tokens_are(folder: Path) -> None:
    """With the box head silenced, a proposal is its own token's place: the half pixel shows."""
    detector = everything(folder, readout="encoder", top_k=1000)
    head = detector._loaded.net.model.encoder_output_bbox_embed.layers[-1]
    with torch.no_grad():
        head.weight.zero_(), head.bias.zero_()
    found = detector.detect(noise_frames(1, 96, 128), at=[0], phrases=["box"])
    centres = (found.boxes_xyxy[:, :2] + found.boxes_xyxy[:, 2:]) / 2
    size = found.boxes_xyxy[:, 2] - found.boxes_xyxy[:, 0]
    finest = np.isclose(
        size, 0.05 * 128, atol=1e-3
    )  # level 0: a twentieth of the picture, stride 8
    wanted = [(x * 8 + 4, y * 8 + 4) for y in range(1, 11) for x in range(1, 15)]
    found_there = sorted(map(tuple, centres[finest].round(3)), key=lambda p: (p[1], p[0]))
    np.testing.assert_allclose(
        [p for p in found_there if 8 < p[0] < 120 and 8 < p[1] < 88], wanted, atol=1e-3
    )


def test_batches_of_any_size_say_the_same(folder: Path) -> None:
    frames = noise_frames(5, 60, 80)
    one, many = (
        everything(folder, batch=n).detect(frames, at=range(5), phrases=PHRASES) for n in (1, 3)
    )
    assert one.frame.tolist() == many.frame.tolist()
    np.testing.assert_allclose(one.score, many.score, atol=1e-4)
    np.testing.assert_allclose(one.boxes_xyxy, many.boxes_xyxy, atol=1e-2)


def rows_of(found: Detections, phrase: int) -> list[np.ndarray]:
    mine = found.phrase == phrase
    return [found.frame[mine], found.boxes_xyxy[mine], found.score[mine]]


@pytest.mark.parametrize("limit", [64, 12], ids=["in one text", "over the text limit"])
def test_adding_a_phrase_changes_no_row_of_another(tmp_path: Path, limit: int) -> None:
    detector = everything(tiny_detector(tmp_path, max_text_len=limit))
    assert isinstance(detector, ContextDetector)
    frames = noise_frames(2, 60, 80)
    texts = ["a red ball", "box", "the blue cup", "a green cone", "cat"]
    rows: list[list[np.ndarray]] = []
    for end in range(1, len(texts) + 1):
        added = detector.detect_added(
            frames, at=[0, 1], phrases=texts[end - 1 : end], earlier=texts[: end - 1]
        )
        assert added.phrase.tolist() == [0] * len(added.phrase)
        rows.append(rows_of(added, 0))
    for end in range(1, len(texts) + 1):
        together = detector.detect(frames, at=[0, 1], phrases=texts[:end])
        for mine, wanted in zip(rows[end - 1], rows_of(together, end - 1), strict=True):
            np.testing.assert_array_equal(mine, wanted)


def test_without_the_earlier_phrases_it_would_be_another_answer(folder: Path) -> None:
    """So neither `detect` of all phrases again nor of the new one alone would do."""
    frames = noise_frames(1, 60, 80)
    detector = everything(folder)
    first, both = (detector.detect(frames, at=[0], phrases=PHRASES[:n]) for n in (1, 2))
    assert not np.array_equal(first.score, both.score[both.phrase == 0])
    alone = detector.detect(frames, at=[0], phrases=PHRASES[1:2])
    added = detector.detect_added(frames, at=[0], phrases=PHRASES[1:2], earlier=PHRASES[:1])
    assert not np.array_equal(alone.score, added.score)


def test_earlier_phrases_in_texts_of_their_own_cost_no_pass(tmp_path: Path) -> None:
    detector = everything(tiny_detector(tmp_path, max_text_len=12))
    passes: list[int] = []
    detector._loaded.net.register_forward_hook(lambda *_: passes.append(1))
    texts = ["a red ball", "the blue cup", "a green cone", "cat"]
    detector.detect(noise_frames(1, 60, 80), at=[0], phrases=texts)
    assert len(passes) == 2
    detector.detect_added(noise_frames(1, 60, 80), at=[0], phrases=texts[3:], earlier=texts[:3])
    assert len(passes) == 3


def test_a_prompt_over_the_text_limit_is_asked_in_several_passes(tmp_path: Path) -> None:
    detector = everything(tiny_detector(tmp_path, max_text_len=12), top_k=2)
    phrases = ["a red ball", "box", "the blue cup", "a green cone", "cat"]
    found = detector.detect(noise_frames(1, 60, 80), at=[0], phrases=phrases)
    assert found.phrase.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    alone = detector.detect(noise_frames(1, 60, 80), at=[0], phrases=phrases[3:])
    np.testing.assert_allclose(found.score[found.phrase == 3], alone.score[alone.phrase == 0])


@pytest.mark.parametrize(
    ("phrase", "why"),
    [("", "nothing"), ("st. bernard", "inside"), ("犬", "vocabulary")],
    ids=["empty", "full stop inside", "unknown letters"],
)
def test_a_phrase_that_cannot_be_asked_is_refused(folder: Path, phrase: str, why: str) -> None:
    with pytest.raises(BadPhrase, match=why):
        model(folder).detect(noise_frames(1, 60, 80), at=[0], phrases=["ball", phrase])


def test_accents_are_read_without_them(folder: Path) -> None:
    detector = everything(folder)
    frames = noise_frames(1, 60, 80)
    plain, accented = (detector.detect(frames, at=[0], phrases=[p]) for p in ("cafe", "Café"))
    np.testing.assert_array_equal(plain.score, accented.score)


@pytest.mark.parametrize(
    ("at", "phrases"), [([], ["ball"]), ([0], [])], ids=["no frame", "no phrase"]
)
def test_nothing_asked_is_nothing_found(folder: Path, at: list[int], phrases: list[str]) -> None:
    found = model(folder).detect(noise_frames(1, 60, 80), at=at, phrases=phrases)
    assert found.boxes_xyxy.shape == (0, 4)
    assert found.frame.dtype == np.int32


def test_weights_that_answer_nan_cost_the_clip(folder: Path) -> None:
    with pytest.raises(BadModelOutput, match="NaN"):
        answering(folder, [[np.nan] * 7], [A_BOX])


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = tiny_detector(tmp_path)
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "a", "##b"]
    transformers.BertTokenizer(vocab={w: i for i, w in enumerate(vocab)}).save_pretrained(folder)
    with pytest.raises(MissingWeights, match="border between phrases"):
        model(folder)


def test_it_is_a_phrase_detector(folder: Path) -> None:
    assert isinstance(model(folder), PhraseDetector)
    assert model(folder).card().n_parameters > 10_000
