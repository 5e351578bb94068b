#!/usr/bin/env bash
# supervision 0.31.2 and pycocotools 2.0.11: masks in two parts, or with a hole, exported to COCO
#
# Expected: DetectionDataset.as_coco() stores such a mask as run lengths, as its documentation says,
#           and the thing stays one thing like any other.
# Seen:     it is stored with "iscrowd": 1, which in COCO means a heap of things that nobody has told
#           apart. pycocotools leaves crowds out: they are never missed, and what lies inside one is
#           neither right nor wrong. A car behind a pole is no longer scored:
#
#             results                        the same masks, iscrowd 0   as exported
#             both things, exactly           AP 1.0                      AP 1.0
#             only the one in one part       AP 0.505                    AP 1.0
#             only the one in two parts      AP 0.505                    AP 0.0
#
#           data={"iscrowd": ...} in the Detections keeps it from doing so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    supervision==0.31.2 opencv-python-headless==5.0.0.93 pycocotools==2.0.11 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import contextlib
import io
import json
from importlib.metadata import version

import cv2
import numpy as np
import supervision
from pycocotools import mask as run_lengths
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

whole = np.zeros((80, 120), bool)
whole[10:40, 5:45] = True
behind_pole = np.zeros((80, 120), bool)
behind_pole[30:70, 60:110] = True
behind_pole[:, 80:84] = False
masks = np.stack([whole, behind_pole])

cv2.imwrite("picture.png", np.zeros((80, 120, 3), np.uint8))
things = supervision.Detections(
    xyxy=supervision.mask_to_xyxy(masks).astype(float), mask=masks, class_id=np.array([0, 0])
)
dataset = supervision.DetectionDataset(
    classes=["car"], images=["picture.png"], annotations={"picture.png": things}
)
dataset.as_coco(annotations_path="exported.json")
with open("exported.json") as file:
    exported = json.load(file)
print("supervision", version("supervision"))
crowds = [annotation["iscrowd"] for annotation in exported["annotations"]]
print("iscrowd", crowds)
assert crowds == [0, 1], "the export changed"


def truth(iscrowd):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = json.loads(json.dumps(exported))
        for annotation, mask, crowd in zip(coco.dataset["annotations"], masks, iscrowd):
            annotation["segmentation"] = segmentation(mask)
            annotation["iscrowd"] = crowd
        coco.createIndex()
    return coco


def segmentation(mask):
    encoded = run_lengths.encode(np.asfortranarray(mask, np.uint8))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def score(found, iscrowd):
    image, category = exported["images"][0]["id"], exported["categories"][0]["id"]
    same = {"image_id": image, "category_id": category, "score": 0.9}
    results = [{**same, "segmentation": segmentation(mask)} for mask in found]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = truth(iscrowd)
        evaluation = COCOeval(coco, coco.loadRes(results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return round(float(evaluation.stats[0]), 3)


for found, of_things, as_exported in (
    (masks, 1.0, 1.0),
    (masks[:1], 0.505, 1.0),
    (masks[1:], 0.505, 0.0),
):
    seen = score(found, [0, 0]), score(found, crowds)
    print(len(found), "results: AP", seen[0], "as exported", seen[1])
    assert seen == (of_things, as_exported), "the scores changed"
PYTHON
