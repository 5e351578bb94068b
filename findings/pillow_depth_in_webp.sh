#!/usr/bin/env bash
# Pillow 12.3.0, a depth map of 16 bits (mode I;16, millimetres) saved as lossless WebP and as AVIF
#
# Expected: the depth comes back, or saving is refused, as it is for JPEG, BMP and TGA.
# Seen:     both are written without a warning, and everything beyond 255 mm is 255:
#
#             stored         0   100   255   256   1000   2500   40000
#             PNG            0   100   255   256   1000   2500   40000
#             WebP lossless  0   100   255   255    255    255     255
#             AVIF, 100      0   100   255   255    255    255     255
#             JPEG, BMP      OSError: cannot write mode I;16
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check pillow==12.3.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
import io

import numpy as np
import PIL
from PIL import Image

print("Pillow", PIL.__version__)
depth_mm = np.array([[0, 100, 255, 256, 1000, 2500, 40000]] * 4, np.uint16)


def again(kind, **options):
    file = io.BytesIO()
    Image.fromarray(depth_mm).save(file, kind, **options)
    found = np.asarray(Image.open(file))
    return found[..., 0] if found.ndim == 3 else found


cut = np.minimum(depth_mm, 255)
for kind, options, expected in (
    ("PNG", {}, depth_mm),
    ("WEBP", {"lossless": True}, cut),
    ("AVIF", {"quality": 100}, cut),
):
    found = again(kind, **options)
    print(f"{kind:5}", *found[0])
    assert (found == expected).all(), f"{kind} changed"
for kind in ("JPEG", "BMP"):
    try:
        again(kind)
    except OSError as refused:
        print(f"{kind:5}", refused)
    else:
        raise AssertionError(f"{kind} changed")
PYTHON
