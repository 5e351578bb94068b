#!/usr/bin/env bash
# pybboxes 0.2.0, boxes between COCO, YOLO and VOC
#
# Expected: `convert_bbox` of a COCO box to YOLO and back is the box, to the last digits.
# Seen:     every box is rounded to whole pixels in between, also where both formats hold fractions, and
#           halves go to the even neighbour. Nothing warns. In a picture of 100 by 80:
#
#             COCO                      to YOLO and back    IoU
#             10.4, 20.6, 5.5, 2.5      10, 21, 6, 2        0.75
#             10.5, 20.5, 3.0, 3.0      10, 20, 3, 3        0.53
#             10.6, 20.6, 1.8, 1.8      11, 21, 2, 2        0.37
#
# Small things far away lose half of their overlap and more. Convert with two lines of numpy.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check --no-deps \
    pybboxes==0.2.0 numpy==1.24.2
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
from importlib.metadata import version

from pybboxes import convert_bbox

SIZE = (100, 80)
SEEN = (
    ((10.4, 20.6, 5.5, 2.5), (10, 21, 6, 2), 0.75),
    ((10.5, 20.5, 3.0, 3.0), (10, 20, 3, 3), 0.53),
    ((10.6, 20.6, 1.8, 1.8), (11, 21, 2, 2), 0.37),
    ((10.0, 20.0, 5.0, 2.0), (10, 20, 5, 2), 1.00),
)


def iou(one, other):
    (x, y, width, height), (u, v, wide, high) = one, other
    across = max(0, min(x + width, u + wide) - max(x, u))
    down = max(0, min(y + height, v + high) - max(y, v))
    return across * down / (width * height + wide * high - across * down)


print("pybboxes", version("pybboxes"))
for box, back, overlap in SEEN:
    yolo = convert_bbox(box, from_type="coco", to_type="yolo", image_size=SIZE)
    seen = convert_bbox(yolo, from_type="yolo", to_type="coco", image_size=SIZE)
    print(f"{box} -> {yolo} -> {seen}, IoU {iou(box, seen):.2f}")
    assert tuple(seen) == back, "the box changed"
    assert round(iou(box, seen), 2) == overlap
PYTHON
