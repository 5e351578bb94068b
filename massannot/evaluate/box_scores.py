"""Boxes against truth: overlaps, and average precision where the words must match too.

A found box is right when it overlaps a true box of the same picture and the same text enough, and
no better-scored box took that one before (each then takes the free true box it overlaps most).
Average precision is the area under precision over recall, with precision made non-increasing
(Everingham et al., Pascal VOC, 2010 on; not COCO's 101 points).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TextBoxes:
    """D boxes: `picture` (D,) any number that names the picture across clips, `text` (D,) compared
    without regard to case and spacing, `boxes_xyxy` (D, 4), `score` (D,), ignored for the truth."""

    picture: NDArray[np.int64]
    text: Sequence[str]
    boxes_xyxy: F64
    score: F64

    def __post_init__(self) -> None:
        lengths = len(self.picture), len(self.text), len(self.boxes_xyxy), len(self.score)
        if len(set(lengths)) != 1:
            raise ValueError(f"boxes: found {lengths} pictures, texts, boxes and scores")

    def groups(self) -> list[tuple[int, str]]:
        """The picture and the text of each box, which a true box must share."""
        words = (" ".join(text.casefold().split()) for text in self.text)
        return list(zip(map(int, self.picture), words))


def iou_matrix(boxes_xyxy: ArrayLike, others_xyxy: ArrayLike) -> F64:
    """Intersection over union (M, N) of half-open boxes (M, 4) and (N, 4); 0 for empty boxes."""
    boxes = np.reshape(np.asarray(boxes_xyxy, np.float64), (-1, 1, 4))
    others = np.reshape(np.asarray(others_xyxy, np.float64), (1, -1, 4))
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., 2:], others[..., 2:])
    inside = _area(low, high)
    union = _area(boxes[..., :2], boxes[..., 2:]) + _area(others[..., :2], others[..., 2:]) - inside
    return np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)


def average_precision(
    predicted: TextBoxes, truth: TextBoxes, *, iou_threshold: float = 0.5
) -> float:
    """AP over all pictures and texts in one ranking; a box of a text that is not in the truth
    lowers it.

    NaN without true boxes.
    """
    right = right_boxes(predicted, truth, iou_threshold=iou_threshold)
    return area_under_precision(right, predicted.score, n_true=len(truth.score))


def right_boxes(predicted: TextBoxes, truth: TextBoxes, *, iou_threshold: float = 0.5) -> Bool:
    """Whether each predicted box (D,) is right, by the rule of this file."""
    return np.asarray(true_box_of(predicted, truth, iou_threshold=iou_threshold) >= 0)


def true_box_of(
    predicted: TextBoxes, truth: TextBoxes, *, iou_threshold: float = 0.5
) -> NDArray[np.int64]:
    """(D,) the true box that each predicted box matches; -1 for wrong ones."""
    true_box = np.full(len(predicted.score), -1, np.int64)
    of_group, true_of_group = _members(predicted), _members(truth)
    for group, members in of_group.items():
        ranked = members[np.argsort(-predicted.score[members], kind="stable")]
        of_truth = true_of_group.get(group, np.empty(0, np.int64))
        overlap = iou_matrix(predicted.boxes_xyxy[ranked], truth.boxes_xyxy[of_truth])
        free = np.ones(len(of_truth), np.bool_)
        for box, with_each in zip(ranked, overlap):
            taken = int(np.where(free, with_each, -1).argmax()) if free.any() else -1
            if taken >= 0 and with_each[taken] >= iou_threshold:
                true_box[box], free[taken] = of_truth[taken], False
    return true_box


def _members(boxes: TextBoxes) -> dict[tuple[int, str], NDArray[np.int64]]:
    members: dict[tuple[int, str], list[int]] = {}
    for box, group in enumerate(boxes.groups()):
        members.setdefault(group, []).append(box)
    return {group: np.array(indices) for group, indices in members.items()}


def area_under_precision(right: Bool, score: F64, *, n_true: int) -> float:
    """AP of boxes (D,) that are `right` or not; NaN without true boxes."""
    if n_true == 0:
        return float("nan")
    hits = right[np.argsort(-score, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best_from_here[hits].sum() / n_true)


def _area(low: F64, high: F64) -> F64:
    return np.asarray(np.maximum(high - low, 0).prod(axis=-1))
