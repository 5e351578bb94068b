#!/usr/bin/env bash
# pycocotools 2.0.11, mask results (COCO results format) that carry their boxes too
#
# Expected: COCOeval(..., "segm") scores masks; a "bbox" beside "segmentation" changes nothing.
# Seen:     loadRes() then takes the box's area for the mask's, and that area decides whether an
#           unmatched result counts among the small, medium or large. The same masks and scores:
#
#             without "bbox"    areas 240, 400     AP small 0.5
#             with "bbox"       areas 6560, 400    AP small 1.0
#
#           A thin slanted thing of 240 pixels has a box of 6560: the false alarm is no longer small.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check pycocotools==2.0.11 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import contextlib
import io
from importlib.metadata import version

import numpy as np
from pycocotools import mask as run_lengths
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

square = np.zeros((200, 200), np.uint8, order="F")
square[10:30, 10:30] = 1
slanted = np.zeros((200, 200), np.uint8, order="F")
for step in range(80):
    slanted[100 + step, 60 + step : 63 + step] = 1


def segmentation(mask):
    encoded = run_lengths.encode(mask)
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def box(mask):
    return run_lengths.toBbox(run_lengths.encode(mask)).tolist()


TRUTH = {
    "id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0,
    "segmentation": segmentation(square), "bbox": box(square), "area": 400,
}  # fmt: skip


def score(with_boxes):
    results = []
    for mask, confidence in ((slanted, 0.9), (square, 0.8)):
        result = {"image_id": 1, "category_id": 1, "score": confidence}
        result["segmentation"] = segmentation(mask)
        if with_boxes:
            result["bbox"] = box(mask)
        results.append(result)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": 1, "height": 200, "width": 200}],
            "categories": [{"id": 1, "name": "thing"}],
            "annotations": [dict(TRUTH)],
        }
        truth.createIndex()
        loaded = truth.loadRes(results)
        evaluation = COCOeval(truth, loaded, "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    areas = [int(result["area"]) for result in loaded.dataset["annotations"]]
    return areas, round(float(evaluation.stats[3]), 3)


print("pycocotools", version("pycocotools"))
for with_boxes, areas, small in ((False, [240, 400], 0.5), (True, [6560, 400], 1.0)):
    seen = score(with_boxes)
    print("with bbox   " if with_boxes else "without bbox", "areas", seen[0], "AP small", seen[1])
    assert seen == (areas, small), "the areas or the score changed"
PYTHON
