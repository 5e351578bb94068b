#!/usr/bin/env bash
# pycocotools 2.0.11, a COCO file whose annotations are numbered from 0
#
# Expected: an id is a name. Four things found exactly are AP 1.0, whatever their ids.
# Seen:     a match is noted by the id of the thing, and 0 stands for "no match": what is found for
#           annotation 0 counts as a false alarm and the thing as missed, without a word.
#
#             ids       things    AP       recall (100 results)
#             1 to 4    4         1.0      1.0
#             0 to 3    4         0.564    0.75
#             0         1         0.0      0.0
#
# A clip with one thing, numbered by enumerate(), scores nothing with its own truth as the result.
# Number annotations from 1; image and category ids may be 0. (faster-coco-eval 1.8.0 warns.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check pycocotools==2.0.11 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
import contextlib
import io
from importlib.metadata import version

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def score(first, things):
    box = {"category_id": 0, "bbox": [10, 20, 30, 40]}
    truth = COCO()
    truth.dataset = {
        "images": [{"id": frame, "width": 100, "height": 100} for frame in range(things)],
        "categories": [{"id": 0, "name": "car"}],
        "annotations": [
            {"id": first + frame, "image_id": frame, "area": 1200, "iscrowd": 0, **box}
            for frame in range(things)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        results = truth.loadRes(
            [{"image_id": frame, "score": 0.9 - frame / 10, **box} for frame in range(things)]
        )
        evaluation = COCOeval(truth, results, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return round(float(evaluation.stats[0]), 3), round(float(evaluation.stats[8]), 3)


print("pycocotools", version("pycocotools"))
for first, things, expected in ((1, 4, (1.0, 1.0)), (0, 4, (0.564, 0.75)), (0, 1, (0.0, 0.0))):
    seen = score(first, things)
    print(f"{things} things, ids from {first}: AP {seen[0]}, recall {seen[1]}")
    assert seen == expected, "the score changed"
PYTHON
