#!/usr/bin/env bash
# supervision 0.31.2, boxes of thin masks
#
# Expected: a mask that is one pixel wide and 20 high has a box of area 20, which overlaps itself
#           wholly (IoU 1).
# Seen:     mask_to_xyxy() gives the indices of the last pixels, not the edges behind them, and
#           everything that measures boxes takes them for edges: area 0, IoU with itself 0. A mask
#           10 wide and 20 high has a box of 171 for 200 pixels.
#
#             mask       xyxy                area   IoU with itself   pycocotools toBbox (x, y, w, h)
#             1 by 20    7, 10,  7, 29          0   0                 7, 10,  1, 20
#             10 by 20   7, 10, 16, 29        171   1                 7, 10, 10, 20
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    supervision==0.31.2 opencv-python-headless==5.0.0.93 pycocotools==2.0.11 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import supervision
from pycocotools import mask as run_lengths

print("supervision", version("supervision"))
for width, xyxy, area, overlap in ((1, [7, 10, 7, 29], 0, 0), (10, [7, 10, 16, 29], 171, 1)):
    masks = np.zeros((1, 50, 50), bool)
    masks[0, 10:30, 7 : 7 + width] = True
    boxes = supervision.mask_to_xyxy(masks)
    seen_area = float(supervision.Detections(xyxy=boxes.astype(float)).box_area[0])
    seen_overlap = float(supervision.box_iou_batch(boxes, boxes)[0, 0])
    coco = run_lengths.toBbox(run_lengths.encode(np.asfortranarray(masks[0], np.uint8))).tolist()
    print(width, "by 20:", boxes[0].tolist(), "area", seen_area, "IoU", seen_overlap, "COCO", coco)
    assert boxes[0].tolist() == xyxy, "the box changed"
    assert (seen_area, seen_overlap) == (area, overlap), "the area or the IoU changed"
    assert coco == [7, 10, width, 20], "pycocotools changed"
PYTHON
