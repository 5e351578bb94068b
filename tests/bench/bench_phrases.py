"""Phrases asked together, each alone, and each behind the earlier ones: boxes, absent things, cost.

    python -m tests.bench.bench_phrases [CLIPS]

The shipped detector on validation scenes: four key frames, six phrases, true names and near misses.
An absent thing counts as found if one of its boxes passes the threshold in any key frame. Alone,
the image encoder runs once per key frame all the same. A way's own threshold is the one at which it
finds as many true boxes as phrases asked together do at the profile's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch

from massannot.clip import Frames
from massannot.evaluate.box_scores import TextBoxes, area_under_precision, right_boxes
from massannot.geometry.intervals import ConfidenceInterval, bootstrap
from massannot.models.grounding_dino import GroundingDino
from massannot.models.profiles import named
from massannot.models.protocols import Detections
from massannot.scenes.shapes import SHAPE_NAMES
from massannot.scenes.world import COLOUR_NAMES, VALIDATION_SEEDS
from tools.embedded.measured import KEY_FRAMES, TrueClip, phrases_of, true_clip
from tools.embedded.pool import SMALLEST_AREA_PX, boxes_and_areas

CLIPS = 64
LOWEST = 0.03
"""Threshold of the boxes that AP50 ranks."""
COUNTS = (1, 5, 20)
RUNS = 7

Texts = Sequence[str]
Way = Callable[[GroundingDino, Frames, Texts], list[Detections]]
"""Asks for the phrases: an answer for each, in which it is phrase 0."""


def together(detector: GroundingDino, frames: Frames, texts: Texts) -> list[Detections]:
    found = detector.detect(frames, at=KEY_FRAMES, phrases=texts)
    return [_of_phrase(found, index) for index in range(len(texts))]


def alone(detector: GroundingDino, frames: Frames, texts: Texts) -> list[Detections]:
    return [detector.detect(frames, at=KEY_FRAMES, phrases=[text]) for text in texts]


def behind(detector: GroundingDino, frames: Frames, texts: Texts) -> list[Detections]:
    return [
        detector.detect_added(frames, at=KEY_FRAMES, phrases=[text], earlier=texts[:index])
        for index, text in enumerate(texts)
    ]


WAYS: dict[str, Way] = {"together": together, "alone": alone, "behind the earlier": behind}


@dataclass(frozen=True, eq=False)
class ClipScores:
    """One clip's boxes, right or not, and the best score of each absent thing."""

    right: np.ndarray
    score: np.ndarray
    absent: np.ndarray
    n_true: int


def main(n_clips: int) -> None:
    torch.set_num_threads(1)
    detector = _detector(box_threshold=LOWEST, text_threshold=LOWEST)
    scores: dict[str, list[ClipScores]] = {name: [] for name in WAYS}
    for seed in VALIDATION_SEEDS[:n_clips]:
        clip = true_clip(seed)
        for name, way in WAYS.items():
            scores[name].append(
                clip_scores(clip, way(detector, clip.frames, phrases_of(clip.scene)))
            )
    threshold = _detector().box_threshold
    wanted = recall(scores["together"], threshold)
    print(
        "| asked | AP50 | minus together | absent found | its own threshold | absent found there |"
    )
    print("|---|---|---|---|---|---|")
    for name, of_way in scores.items():
        own = threshold if name == "together" else _threshold_of(of_way, wanted)
        print(f"| {name} | {_row(of_way, scores['together'], threshold, own)} |")
    print_cost(true_clip(VALIDATION_SEEDS[0]).frames)


def _row(
    of_way: list[ClipScores], of_together: list[ClipScores], threshold: float, own: float
) -> str:
    shown = (
        _over(lambda s: ap50(s[0]), of_way),
        _over(lambda s: ap50(s[0]) - ap50(s[1]), of_way, of_together),
        _over(lambda s: absent_found(s[0], threshold), of_way),
        _over(lambda s: absent_found(s[0], own), of_way),
    )
    ap, less, absent, there = (f"{i.value:.3f} [{i.low:.3f}, {i.high:.3f}]" for i in shown)
    return f"{ap} | {less} | {absent} | {own:.3f} | {there}"


def clip_scores(clip: TrueClip, answers: Sequence[Detections]) -> ClipScores:
    texts = phrases_of(clip.scene)
    found = [
        (int(frame), text, box, float(score))
        for text, answer in zip(texts, answers, strict=True)
        for frame, box, score in zip(answer.frame, answer.boxes_xyxy, answer.score)
    ]
    true: list[tuple[int, str, Any, float]] = []
    for t in KEY_FRAMES:
        boxes, areas = boxes_and_areas(clip.pictures[t].ids)
        for entity, box, area in zip(clip.scene.entities, boxes, areas):
            if area >= SMALLEST_AREA_PX:
                true.append((t, entity.phrase, box, 1.0))
    predicted = _text_boxes(found)
    absent = [
        max(answer.score, default=0.0)
        for text, answer in zip(texts, answers, strict=True)
        if text not in clip.scene.phrases()
    ]
    right = right_boxes(predicted, _text_boxes(true))
    return ClipScores(right, predicted.score, np.array(absent), len(true))


def ap50(clips: Sequence[ClipScores]) -> float:
    right, score = (np.concatenate([getattr(c, n) for c in clips]) for n in ("right", "score"))
    return area_under_precision(right, score, n_true=sum(c.n_true for c in clips))


def recall(clips: Sequence[ClipScores], threshold: float) -> float:
    right = sum(np.count_nonzero(c.right[c.score > threshold]) for c in clips)
    return right / sum(c.n_true for c in clips)


def absent_found(clips: Sequence[ClipScores], threshold: float) -> float:
    return float((np.concatenate([c.absent for c in clips]) > threshold).mean())


def print_cost(frames: Frames) -> None:
    """CPU milliseconds of a key frame, medians; alone also without the image encoder's repeats."""
    names = [f"{colour} {shape}" for colour in COLOUR_NAMES for shape in SHAPE_NAMES]
    detector = _detector()
    print("\n| phrases | together, CPU-ms a key frame | alone | alone, pictures encoded once |")
    print("|---|---|---|---|")
    for count in COUNTS:
        ways = [together, alone]
        plain = [_milliseconds(way, detector, frames, names[:count]) for way in ways]
        sharing = _detector()
        net = sharing._loaded.net.model  # type: ignore[union-attr]
        net.backbone = EncodedOnce(net.backbone)
        once = _milliseconds(alone, sharing, frames, names[:count])
        print(f"| {count} | {plain[0]:.0f} | {plain[1]:.0f} | {once:.0f} |")


class EncodedOnce(torch.nn.Module):
    """An image encoder that answers a picture that it has seen from memory."""

    def __init__(self, inner: torch.nn.Module):
        super().__init__()
        self.inner = inner
        self.position_embedding = inner.position_embedding
        self.answers: dict[bytes, Any] = {}

    def forward(self, pixels: torch.Tensor, mask: torch.Tensor) -> Any:
        picture = pixels.numpy().tobytes()
        if picture not in self.answers:
            self.answers[picture] = self.inner(pixels, mask)
        features, positions = self.answers[picture]
        return features, list(positions)  # the network appends to it


def _milliseconds(way: Way, detector: GroundingDino, frames: Frames, texts: Texts) -> float:
    seconds = []
    for _ in range(RUNS):
        backbone = detector._loaded.net.model.backbone  # type: ignore[union-attr]
        if isinstance(backbone, EncodedOnce):
            backbone.answers.clear()
        start = time.process_time()
        way(detector, frames, texts)
        seconds.append(time.process_time() - start)
    return 1000 * median(seconds) / len(KEY_FRAMES)


def _over(
    statistic: Callable[[Sequence[Sequence[ClipScores]]], float], *ways: Sequence[ClipScores]
) -> ConfidenceInterval:
    """The same clips are drawn for every way."""
    return bootstrap(
        lambda clips: statistic([[way[i] for i in clips] for way in ways]),
        n_clips=len(ways[0]),
        seed=1,
        n_resamples=1000,
    )


def _threshold_of(clips: Sequence[ClipScores], wanted_recall: float) -> float:
    candidates = np.arange(0.2, 0.8, 0.002)
    return float(min(candidates, key=lambda t: abs(recall(clips, t) - wanted_recall)))


def _of_phrase(found: Detections, index: int) -> Detections:
    mine = found.phrase == index
    return Detections(
        found.frame[mine], found.phrase[mine] * 0, found.boxes_xyxy[mine], found.score[mine]
    )


def _text_boxes(rows: Sequence[tuple[int, str, Any, float]]) -> TextBoxes:
    return TextBoxes(
        np.array([r[0] for r in rows], np.int64),
        [r[1] for r in rows],
        np.array([r[2] for r in rows], np.float64).reshape(-1, 4),
        np.array([r[3] for r in rows], np.float64),
    )


def _detector(**options: Any) -> GroundingDino:
    detector: GroundingDino = named("embedded").model("detect").build(**options)
    detector.setup(device="cpu")
    return detector


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CLIPS)
