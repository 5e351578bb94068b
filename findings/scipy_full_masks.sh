#!/usr/bin/env bash
# SciPy 1.17.1 and OpenCV 5.0.0, the innermost pixel of a mask that fills the picture
#
# Expected: the distance transform of a mask without background is infinite, or raises; or the border
#           counts, as a mask of all but the border has its largest distance in the middle.
# Seen:     SciPy measures distances from a pixel at row -1 and column 0 that is not in the mask, so that
#           the innermost pixel is the corner opposite. Its chessboard distance is -1 everywhere. OpenCV
#           has one value everywhere, so that it is the first pixel:
#
#             a mask of 480 x 640              innermost (row, column)   distance
#             all of it, SciPy                 479, 639                  799.2
#             all of it, OpenCV                0, 0                      65536
#             all of it in a rim of zeros      239, 239 (as expected)    240
#             all but the pixel at 0, 639      479, 0                    798.6
#
# Such pixels are the clicks that a segmentation model is asked with, and a mask that fills the picture
# (sky, a wall, a close-up) gets its click in a corner. Put a rim of zeros around the mask first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    scipy==1.17.1 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import cv2
import numpy as np
import scipy
from scipy import ndimage

SIZE = 480, 640


def innermost(distance):
    row, column = np.unravel_index(distance.argmax(), SIZE)
    return int(row), int(column), round(float(distance.max()), 1)


full = np.ones(SIZE, bool)
distance, nearest = ndimage.distance_transform_edt(full, return_indices=True)
almost = full.copy()
almost[0, 639] = False
in_rim = ndimage.distance_transform_edt(np.pad(full, 1))[1:-1, 1:-1]
chessboard = ndimage.distance_transform_cdt(full)
with_opencv = cv2.distanceTransform(full.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)

print("SciPy", scipy.__version__, "OpenCV", cv2.__version__)
print("nearest background in SciPy (row, column):", nearest[:, 100, 100].tolist())
print("chessboard:", np.unique(chessboard).tolist(), "OpenCV:", np.unique(with_opencv).tolist())
for name, seen, expected in (
    ("all of it, SciPy", distance, (479, 639, 799.2)),
    ("all of it, OpenCV", with_opencv, (0, 0, 65536.0)),
    ("in a rim of zeros", in_rim, (239, 239, 240.0)),
    ("all but one pixel", ndimage.distance_transform_edt(almost), (479, 0, 798.6)),
):
    print(f"{name:18} innermost {innermost(seen)}")
    assert innermost(seen) == expected, f"{name} changed"
assert (nearest == np.array([-1, 0])[:, None, None]).all(), "the far pixel has moved"
assert (chessboard == -1).all() and (with_opencv == 65536).all(), "it changed"
PYTHON
