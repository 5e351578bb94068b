#!/usr/bin/env bash
# OpenCV 5.0.0, arrays in big-endian byte order (as Pillow and zarr return them)
#
# Expected: the numbers that numpy shows, or an error, as imagecodecs gives for a PNG of them.
# Seen:     OpenCV looks at the type's size and not at its order: every number is taken with its bytes
#           swapped, without a warning, in all functions tried. Pillow gives `>u2` for a big-endian TIFF, zarr
#           for a format 2 array of that type, and a PFM with a positive scale is read as `>f4`:
#
#             depth in the array                    1000    2000    3000     258 mm
#             imwrite as PNG, read back            59395   53255   47115     513
#             resize, INTER_NEAREST                59395   53255   47115     513
#             1.5 m in `>f4`, after medianBlur     6.9e-41
#             a point at (0.5, 0.25, 1) in `>f8`   projectPoints: (nan, nan)
#
# imagecodecs 2026.3.6 swaps them in JPEG 2000 too. Call `a.astype(a.dtype.newbyteorder("="))` on what was
# read before OpenCV sees it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    opencv-python-headless==5.0.0.93 imagecodecs==2026.3.6 tifffile==2026.3.3 pillow==12.3.0 \
    zarr==3.1.6 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
import cv2
import imagecodecs
import numpy as np
import tifffile
import zarr
from PIL import Image

MILLIMETRES = np.array([[1000, 2000], [3000, 258]], np.uint16)
SWAPPED = MILLIMETRES.byteswap()

tifffile.imwrite("depth.tif", MILLIMETRES, byteorder=">", photometric="minisblack")
zarr.create_array("depth.zarr", data=MILLIMETRES.astype(">u2"), zarr_format=2)
depths = {
    "Pillow": np.asarray(Image.open("depth.tif")),
    "zarr": zarr.open_array("depth.zarr", mode="r")[:],
}

print("OpenCV", cv2.__version__)
for name, depth in depths.items():
    assert depth.dtype == ">u2" and np.array_equal(depth, MILLIMETRES), f"{name} changed"
    png = cv2.imdecode(cv2.imencode(".png", depth)[1], cv2.IMREAD_UNCHANGED)
    resized = cv2.resize(depth, (2, 2), interpolation=cv2.INTER_NEAREST)
    print(f"{name:7}", depth.ravel(), "PNG", png.ravel(), "resize", resized.ravel())
    assert np.array_equal(png, SWAPPED), "imwrite changed"
    assert np.array_equal(resized, SWAPPED), "resize changed"
    native = depth.astype(depth.dtype.newbyteorder("="))
    assert np.array_equal(cv2.resize(native, (2, 2), interpolation=cv2.INTER_NEAREST), MILLIMETRES)

metres = np.full((3, 3), 1.5, ">f4")
blurred = cv2.medianBlur(metres, 3)
print("medianBlur of 1.5 m", blurred[1, 1])
assert 0 < blurred[1, 1] < 1e-40, "medianBlur changed"

point = np.array([[0.5, 0.25, 1.0]], ">f8")
pixel, _ = cv2.projectPoints(point, np.zeros(3), np.zeros(3), np.eye(3), None)
print("projectPoints", pixel.ravel())
assert np.isnan(pixel).all(), "projectPoints changed"

coded = imagecodecs.jpeg2k_decode(imagecodecs.jpeg2k_encode(depths["zarr"], reversible=True))
print("JPEG 2000 of imagecodecs", coded.ravel())
assert np.array_equal(coded, SWAPPED), "imagecodecs' JPEG 2000 changed"
try:
    imagecodecs.png_encode(depths["zarr"])
except ValueError:
    print("PNG of imagecodecs is refused")
else:
    raise SystemExit("imagecodecs' PNG changed")
PYTHON
