#!/usr/bin/env bash
# pycocotools 2.0.11, average precision of results that have no scores of their own
#
# Expected: a model of language that answers with boxes has no scores, so that all are written as 1.0;
#           results that are equal except for the numbers of their images have equal AP.
# Seen:     among equal scores the order is the images' order by id. Twenty images with one thing each,
#           ten of them found, in the other ten three wrong boxes:
#
#             the images with the right boxes have     AP
#             ids 1 to 10                              0.505
#             ids 11 to 20                             0.126
#             ids drawn at random, 30 times            0.13 to 0.36
#
#           The same boxes give four times the AP if the easy film is the first of the data set. Within
#           an image the order in the file counts: a right box before three wrong ones in each of the
#           twenty is 0.324, after them 0.250.
#
# Compare models without scores by precision and recall (or F1) at one IoU, where images have
# no order.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    pycocotools==2.0.11 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import contextlib
import io
from importlib.metadata import version

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

RIGHT = [10, 10, 20, 20]
WRONG = [[50 + 12 * number, 60, 10, 10] for number in range(3)]


def average_precision(boxes_of_image):
    images = [{"id": image, "width": 100, "height": 100} for image in boxes_of_image]
    truth = COCO()
    thing = {"category_id": 1, "bbox": RIGHT, "area": 400, "iscrowd": 0}
    annotations = [{"id": image, "image_id": image, **thing} for image in boxes_of_image]
    category = {"id": 1, "name": "thing"}
    truth.dataset = {"images": images, "annotations": annotations, "categories": [category]}
    truth.createIndex()
    results = [
        {"image_id": image, "category_id": 1, "bbox": box, "score": 1.0}
        for image, boxes in boxes_of_image.items()
        for box in boxes
    ]
    evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return float(evaluation.stats[0])


def numbered(ids):
    boxes = [[RIGHT]] * 10 + [WRONG] * 10
    return {int(image): found for image, found in zip(ids, boxes)}


with contextlib.redirect_stdout(io.StringIO()):
    first = average_precision(numbered(range(1, 21)))
    last = average_precision(numbered([*range(11, 21), *range(1, 11)]))
    orders = np.random.default_rng(0)
    drawn = [average_precision(numbered(orders.permutation(20) + 1)) for _ in range(30)]
    before = average_precision({image: [RIGHT, *WRONG] for image in range(1, 21)})
    after = average_precision({image: [*WRONG, RIGHT] for image in range(1, 21)})
print("pycocotools", version("pycocotools"))
print(f"right boxes in the first images {first:.3f}, in the last {last:.3f}")
print(f"numbers drawn at random {min(drawn):.3f} to {max(drawn):.3f}")
print(f"the right box of every image before the wrong ones {before:.3f}, after them {after:.3f}")
assert abs(first - 0.505) < 1e-3 and abs(last - 0.126) < 1e-3, "it changed"
assert last <= min(drawn) < max(drawn) - 0.1 < first, "it changed"
assert abs(before - 0.324) < 1e-3 and abs(after - 0.25) < 1e-3, "it changed"
PYTHON
