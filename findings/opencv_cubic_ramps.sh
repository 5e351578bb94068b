#!/usr/bin/env bash
# OpenCV 5.0.0, a ramp enlarged with INTER_CUBIC (resize, remap, warpAffine)
#
# Expected: a plane stays a plane: what rises by one a pixel rises by a half when it is twice as wide.
#           Pillow, scikit-image and SciPy do so with their cubic, OpenCV itself with INTER_LINEAR.
# Seen:     OpenCV's cubic (its parameter is -0.75, not -0.5, which its documentation does not say)
#           gives a staircase. In the middle, far from the edges, twice as wide:
#
#             step between neighbours             smallest   largest   largest error
#             OpenCV INTER_CUBIC                  0.406      0.594     0.047
#             OpenCV INTER_LINEAR                 0.5        0.5       0
#             Pillow, scikit-image, SciPy cubic   0.5        0.5       0
#             OpenCV remap by 0.3, cubic          1          1         0.042
#
#           Depth that is enlarged so has slopes 19 % wrong in turns; flow and coordinates are off by up
#           to 0.047 of what they change in a pixel.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    opencv-python-headless==5.0.0.93 pillow==12.3.0 scikit-image==0.26.0 scipy==1.17.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import cv2
import numpy as np
import scipy.ndimage
import skimage.transform
from PIL import Image

ramp = np.tile(np.arange(40, dtype=np.float32), (40, 1))
true = (np.arange(80) + 0.5) / 2 - 0.5
middle = slice(20, 60)

print("OpenCV", cv2.__version__)
with_pillow = Image.fromarray(ramp).resize((80, 80), Image.Resampling.BICUBIC)
zoom = {"order": 3, "grid_mode": True, "mode": "nearest"}
for name, enlarged, error in (
    ("OpenCV INTER_CUBIC", cv2.resize(ramp, (80, 80), interpolation=cv2.INTER_CUBIC), 0.046875),
    ("OpenCV INTER_LINEAR", cv2.resize(ramp, (80, 80), interpolation=cv2.INTER_LINEAR), 0),
    ("Pillow BICUBIC", np.asarray(with_pillow), 0),
    ("scikit-image", skimage.transform.resize(ramp, (80, 80), order=3, preserve_range=True), 0),
    ("SciPy", scipy.ndimage.zoom(ramp, 2, **zoom), 0),
):
    row = enlarged[40]
    steps = np.diff(row)[middle]
    seen = np.abs(row - true)[middle].max()
    print(f"{name:20} steps {steps.min():.3f} to {steps.max():.3f}, error {seen:.4f}")
    assert abs(seen - error) < 1e-4, f"{name} changed"
    assert abs(np.abs(steps - 0.5).max() - 2 * error) < 1e-4, f"{name} changed"

columns = np.tile(np.arange(10, 30, dtype=np.float32) + np.float32(0.3), (40, 1))
rows = np.tile(np.arange(40, dtype=np.float32)[:, None], (1, 20))
for name, kind, error in (("cubic", cv2.INTER_CUBIC, 0.042), ("linear", cv2.INTER_LINEAR, 0)):
    moved = cv2.remap(ramp, columns, rows, kind)
    shifted = np.float64([[1, 0, 0.3], [0, 1, 0]])
    warped = cv2.warpAffine(ramp, shifted, (40, 40), flags=kind | cv2.WARP_INVERSE_MAP)
    seen = np.abs(moved - columns)[20].max(), np.abs(warped[20, 10:30] - columns[20]).max()
    print(f"remap and warpAffine by 0.3, {name}: errors {seen[0]:.4f} and {seen[1]:.4f}")
    assert np.allclose(seen, error, atol=1e-3), f"{name} of remap or warpAffine changed"
PYTHON
