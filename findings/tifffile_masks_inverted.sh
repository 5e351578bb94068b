#!/usr/bin/env bash
# tifffile 2026.3.3 and Pillow 12.3.0, OpenCV 5.0.0: a boolean mask as TIFF
#
# Expected: the mask comes back in whatever reads the file. tifffile's words on `photometric` name no
#           other default for booleans than for gray pictures.
# Seen:     a boolean array is written with white as 0 (MINISWHITE), and tifffile, reading, does not
#           turn it round. Who follows the tag sees the background as the thing, at the right size and
#           without a warning. imageio and scikit-image, which use tifffile, read as it does:
#
#             written by     read by                                 pixels of 192 that are set
#             tifffile       tifffile, imageio, scikit-image          20
#             imageio        tifffile, imageio, scikit-image          20
#             tifffile       Pillow, OpenCV                          172
#             imageio        Pillow, OpenCV                          172
#             tifffile, photometric="minisblack"   all five           20
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    tifffile==2026.3.3 imageio==2.38.1 scikit-image==0.26.0 pillow==12.3.0 \
    opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
import cv2
import imageio.v3
import numpy as np
import skimage.io
import tifffile
from PIL import Image

mask = np.zeros((12, 16), bool)
mask[3:7, 5:10] = True

READERS = {
    "tifffile": tifffile.imread,
    "imageio": imageio.v3.imread,
    "scikit-image": skimage.io.imread,
    "Pillow": lambda path: np.asarray(Image.open(path)),
    "OpenCV": lambda path: cv2.imread(path, cv2.IMREAD_UNCHANGED),
}
TURNED = {"Pillow", "OpenCV"}

tifffile.imwrite("tifffile.tif", mask)
imageio.v3.imwrite("imageio.tif", mask)
tifffile.imwrite("black.tif", mask, photometric="minisblack")

print("tifffile", tifffile.__version__)
for path in ("tifffile.tif", "imageio.tif", "black.tif"):
    for name, read in READERS.items():
        found = read(path) != 0
        print(f"{path:13} {name:13}", int(found.sum()))
        turned = path != "black.tif" and name in TURNED
        assert np.array_equal(found, ~mask if turned else mask), f"{name} of {path} changed"
PYTHON
