"""evidence_box: how well the cited boxes lie on the evidence at the time they are cited for.

Definition: the mean over cited boxes of the best IoU with a true box of the nearest true time,
counted as 0 from 1 s away on; 0 where nothing is cited or nothing is true. Source: Open-o3 Video
(arXiv 2510.20579), thinking spatial reward.
"""

from __future__ import annotations

from massannot.questions.expected import Box, Expected
from massannot.rft.completion import Completion
from massannot.rft.evidence import Cited, cited

GATE_S = 1.0


def reward(completion: Completion, *, expected: Expected) -> float:
    boxes = [each for each in cited(completion.text) if each.box is not None]
    if not boxes or not expected.evidence_boxes:
        return 0.0
    return sum(_score(each, expected.evidence_boxes) for each in boxes) / len(boxes)


def box_iou(a: Box, b: Box) -> float:
    """Of two half-open boxes x0 y0 x1 y1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (_area(a) + _area(b) - shared)


def _score(said: Cited, true: tuple[tuple[float, Box], ...]) -> float:
    distance = min(abs(t - said.t_s) for t, _ in true)
    if said.box is None or distance >= GATE_S:
        return 0.0
    return max(box_iou(said.box, box) for t, box in true if abs(t - said.t_s) == distance)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
