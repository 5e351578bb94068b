#!/usr/bin/env bash
# OpenCV 5.0.0, cv2.bitwise_not of a boolean mask
#
# Expected: the background, as numpy's ~mask gives it: OpenCV 5 takes boolean arrays and gives them
#           back, and bitwise_and, bitwise_or and bitwise_xor are right on them.
# Seen:     all bits of each byte are turned, so that True (1) is 254 and False (0) is 255. The array
#           is of bool and both are true: the "background" is the whole picture, for numpy and for
#           OpenCV, without a warning.
#
#             of 24 pixels, 6 in the mask        set
#             ~mask                              18
#             cv2.bitwise_not(mask)              24
#             cv2.bitwise_not(mask) & mask        6
#             of bitwise_not of uint8 (0, 255)   18
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
import cv2
import numpy as np

mask = np.zeros((4, 6), bool)
mask[1:3, 1:4] = True
other = np.roll(mask, 1, axis=1)
picture = np.full((4, 6, 3), 200, np.uint8)

print("OpenCV", cv2.__version__)
assert np.array_equal(cv2.bitwise_and(mask, other), mask & other)
assert np.array_equal(cv2.bitwise_or(mask, other), mask | other)
assert np.array_equal(cv2.bitwise_xor(mask, other), mask ^ other)

background = cv2.bitwise_not(mask)
counts = {
    "numpy": int(np.count_nonzero(background)),
    "OpenCV": cv2.countNonZero(background),
    "pixels of numpy": len(picture[background]),
    "pixels of OpenCV": int(np.count_nonzero(cv2.copyTo(picture, background)[..., 0])),
    "in the mask": int(np.count_nonzero(background & mask)),
}
print(background.dtype, np.unique(background.view(np.uint8)), counts, "~mask", int((~mask).sum()))
assert background.dtype == bool, "the type changed"
assert list(counts.values()) == [24, 24, 24, 24, 6], "bitwise_not changed"
of_bytes = cv2.bitwise_not(mask.astype(np.uint8) * 255)
assert np.array_equal(of_bytes != 0, ~mask)
PYTHON
