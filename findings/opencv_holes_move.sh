#!/usr/bin/env bash
# OpenCV 5.0.0, erode and dilate on depth in floats whose holes are NaN
#
# Expected: the least (greatest) depth of a neighbourhood, or NaN where it holds a NaN.
# Seen:     neither. A hole does not grow, it moves a pixel to the left, and up or down by its row: NaN
#           is written where depth was measured, and the hole is filled. A hole in the second row leaves
#           3.4e38, the largest float there is, in the first; dilate leaves -3.4e38. A wall at 2 m:
#
#             hole at     after erode with a kernel of 3 by 3
#             (4, 4)      (3, 3) is NaN, (4, 4) and all others are 2.0
#             (5, 4)      (6, 3) is NaN, (5, 4) and all others are 2.0
#             (1, 4)      (2, 3) is NaN, (0, 3) is 3.4028235e+38
#
# Depth that is thinned or closed before it is lifted gets points beyond every scene, and the mask of
# what is missing no longer fits it. Fill holes with infinity for erode and minus infinity for dilate.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import cv2
import numpy as np

KERNEL = np.ones((3, 3), np.uint8)
LARGEST = np.finfo(np.float32).max


def wall(hole, filled):
    depth = np.full((9, 9), 2, np.float32)
    depth[hole] = filled
    return depth


def places(where):
    return [tuple(map(int, place)) for place in np.argwhere(where)]


print("OpenCV", cv2.__version__)
for hole, moved, beyond in (((4, 4), (3, 3), []), ((5, 4), (6, 3), []), ((1, 4), (2, 3), [(0, 3)])):
    for operation, sign in ((cv2.erode, 1), (cv2.dilate, -1)):
        seen = operation(wall(hole, np.nan), KERNEL)
        print(operation.__name__, "hole", hole, "NaN at", places(np.isnan(seen)), end=" ")
        print(f"{sign * LARGEST:.3g} at", places(seen == sign * LARGEST))
        assert places(np.isnan(seen)) == [moved], "the hole's place changed"
        assert places(seen == sign * LARGEST) == beyond, "the largest float changed"
        assert (seen == 2).sum() == 80 - len(beyond)
        filled = operation(wall(hole, sign * np.inf), KERNEL)
        assert (filled == 2).all()
PYTHON
