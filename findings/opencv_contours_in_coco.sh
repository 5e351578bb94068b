#!/usr/bin/env bash
# OpenCV 5.0.0 contours, stored as COCO polygons, read by pycocotools 2.0.11
#
# Expected: findContours() of a mask, written as a COCO "segmentation", decodes to the same mask.
# Seen:     each round trip takes pixels off the bottom and the right. A contour goes through pixel
#           centres and includes them; pycocotools takes the same integers for corners.
#           A disc of radius 20, and OpenCV's own fillPoly() for comparison:
#
#             round trips        0      1      2      5      10
#             pycocotools     1257   1200   1144    976     710
#             fillPoly        1257   1257   1257   1257    1257
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    opencv-python-headless==5.0.0.93 pycocotools==2.0.11 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
from importlib.metadata import version

import cv2
import numpy as np
from pycocotools import mask as run_lengths

disc = cv2.circle(np.zeros((200, 200), np.uint8), (100, 100), 20, 1, -1)


def contours(mask):
    return cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]


def through_coco(mask):
    polygons = [contour.reshape(-1).astype(float).tolist() for contour in contours(mask)]
    return run_lengths.decode(run_lengths.merge(run_lengths.frPyObjects(polygons, *mask.shape)))


def through_fill_poly(mask):
    return cv2.fillPoly(np.zeros_like(mask), contours(mask), 1)


def areas(round_trip):
    mask, seen = disc, [int(disc.sum())]
    for _ in range(10):
        mask = round_trip(mask)
        seen.append(int(mask.sum()))
    return [seen[trips] for trips in (0, 1, 2, 5, 10)]


print("OpenCV", cv2.__version__, "pycocotools", version("pycocotools"))
print("pycocotools", areas(through_coco))
print("fillPoly   ", areas(through_fill_poly))
rows, columns = np.nonzero(through_coco(disc))
print("rows", rows.min(), "to", rows.max(), "columns", columns.min(), "to", columns.max(), "of 80 to 120")
assert areas(through_coco) == [1257, 1200, 1144, 976, 710], "pycocotools changed"
assert areas(through_fill_poly) == [1257] * 5, "fillPoly changed"
assert (rows.min(), rows.max(), columns.min(), columns.max()) == (80, 118, 80, 119)
PYTHON
