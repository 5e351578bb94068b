#!/usr/bin/env bash
# sahi 0.12.8, pycocotools 2.0.11, COCO files read and written again
#
# Expected: `Coco.from_coco_dict_or_path(path).json`, which merging, splitting and slicing begin with, holds
#           the annotations that were read.
# Seen:     `iscrowd` is 0 in all of them, so a crowd becomes one more thing to be found, and the corners of
#           polygons are cut to whole numbers, towards the upper left. Nothing warns. For answers that hold
#           the person exactly and three people of the crowd:
#
#                                     iscrowd of the crowd   AP      the person's polygon
#             as it was read          1                      1.0     10.6, 20.6 to 51.4, 111.4
#             as sahi writes it       0                      0.126   10, 20 to 51, 111
#
#           The box beside the polygon stays 10.6, 20.6, 40.8, 90.8.
#
# Copy `iscrowd` and `segmentation` from the file that was read, or slice without sahi's `Coco`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check --no-deps \
    sahi==0.12.8 shapely==2.1.2 tqdm==4.68.3 pyyaml==6.0.3 requests==2.34.0 pillow==12.3.0 \
    opencv-python-headless==5.0.0.93 pycocotools==2.0.11 numpy==2.4.6
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" -I - <<'PYTHON'
import contextlib
import copy
import io
import json
import logging
from importlib.metadata import version

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sahi.utils.coco import Coco


def annotation(number, box, crowd):
    x, y, width, height = box
    polygon = [x, y, x + width, y, x + width, y + height, x, y + height]
    fields = {"id": number, "image_id": 1, "category_id": 1, "bbox": box, "area": width * height}
    return fields | {"iscrowd": crowd, "segmentation": [polygon]}


def average_precision(truth, results):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(truth)
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(copy.deepcopy(results)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return round(float(evaluation.stats[0]), 3)


class Warned(logging.Handler):
    records = []

    def emit(self, record):
        self.records.append(record)


logging.getLogger("sahi").addHandler(Warned(logging.WARNING))
PERSON, CROWD = [10.6, 20.6, 40.8, 90.8], [200, 100, 300, 100]
truth = {
    "images": [{"id": 1, "file_name": "street.png", "width": 640, "height": 480}],
    "categories": [{"id": 1, "name": "person"}],
    "annotations": [annotation(1, PERSON, 0), annotation(2, CROWD, 1)],
}
results = [{"image_id": 1, "category_id": 1, "bbox": PERSON, "score": 0.9}]
for column in (210, 270, 330):
    results.append({"image_id": 1, "category_id": 1, "bbox": [column, 110, 30, 80], "score": 0.95})
with open("truth.json", "w") as file:
    json.dump(truth, file)
written = Coco.from_coco_dict_or_path("truth.json").json

print("sahi", version("sahi"))
for name, dataset in (("as it was read", truth), ("as sahi writes it", written)):
    person, crowd = dataset["annotations"]
    print(f"{name}: iscrowd {crowd['iscrowd']}, AP {average_precision(dataset, results)}", end=", ")
    print("box", person["bbox"], "polygon", person["segmentation"][0])
person, crowd = written["annotations"]
assert crowd["bbox"] == CROWD and crowd["iscrowd"] == 0, "sahi keeps crowds now"
assert average_precision(truth, results) == 1 and average_precision(written, results) == 0.126
assert person["segmentation"] == [[10, 20, 51, 20, 51, 111, 10, 111]], "sahi keeps fractions now"
assert np.allclose(person["bbox"], PERSON), "the box changed"
assert not Warned.records, "sahi warns now"
PYTHON
