#!/usr/bin/env bash
# OpenCV 5.0.0, labels, masks and depth made smaller with INTER_NEAREST
#
# Expected: a pixel of the small picture is the one nearest to its own middle, as INTER_LINEAR and
#           INTER_AREA have it: within half a pixel.
# Seen:     it is the upper left one of those that it covers, (n - 1) / 2 pixels off in both directions
#           when n pixels become one. INTER_NEAREST_EXACT and Pillow's NEAREST take the middle:
#
#             n                                         2      4      8      16
#             INTER_NEAREST, pixels off                -0.5   -1.5   -3.5   -7.5
#             INTER_NEAREST_EXACT, Pillow               0.5    0.5    0.5    0.5
#             middle of a disc at column 300, there and back
#               INTER_NEAREST                           300.5  301.5  303.5  306.2
#               INTER_NEAREST_EXACT                     299.5  299.5  299.5  301.3
#
#           At 16, as for the patches of a vision transformer, the disc of radius 100 has IoU 0.873 with
#           itself, 0.921 with INTER_NEAREST_EXACT; a label lies half a patch beside its features.
#
# Make labels smaller with INTER_NEAREST_EXACT.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    opencv-python-headless==5.0.0.93 pillow==12.3.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
import cv2
import numpy as np
import PIL
from PIL import Image

NEAREST, EXACT = cv2.INTER_NEAREST, cv2.INTER_NEAREST_EXACT
rows, columns = np.mgrid[:480, :640].astype(np.uint16)
disc = ((columns - 300.0) ** 2 + (rows - 200.0) ** 2 <= 100**2).astype(np.uint8)


def there_and_back(size, how):
    back = cv2.resize(cv2.resize(disc, size, interpolation=how), (640, 480), interpolation=how)
    return columns[back > 0].mean(), (back & disc).sum() / (back | disc).sum()


print("OpenCV", cv2.__version__, "Pillow", PIL.__version__)
for n in (2, 4, 8, 16):
    size = (640 // n, 480 // n)
    middles = (np.arange(size[0]) + 0.5) * n - 0.5
    nearest = cv2.resize(columns, size, interpolation=NEAREST)[0] - middles
    exact = cv2.resize(columns, size, interpolation=EXACT)[0] - middles
    pillow = np.asarray(Image.fromarray(columns).resize(size, Image.Resampling.NEAREST))[0] - middles
    area = cv2.resize(columns, size, interpolation=cv2.INTER_AREA)[0] - middles
    column, overlap = there_and_back(size, NEAREST)
    column_exact, overlap_exact = there_and_back(size, EXACT)
    print(f"{n:2} pixels to one: INTER_NEAREST is {nearest[0]} off, INTER_NEAREST_EXACT {exact[0]},", end=" ")
    print(f"Pillow {pillow[0]}; disc at {column:.1f}, IoU {overlap:.3f};", end=" ")
    print(f"exact at {column_exact:.1f}, IoU {overlap_exact:.3f}")
    assert (nearest == -(n - 1) / 2).all(), "INTER_NEAREST changed"
    assert (exact == 0.5).all() and (pillow == 0.5).all(), "the others changed"
    assert (abs(area) <= 0.5).all(), "INTER_AREA changed"
assert abs(column - 306.17) < 0.1 and abs(overlap - 0.873) < 1e-3, "the disc changed"
assert abs(column_exact - 301.3) < 0.1 and abs(overlap_exact - 0.921) < 1e-3, "the disc changed"
PYTHON
