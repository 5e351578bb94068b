#!/usr/bin/env bash
# Pillow 12.3.0, a map of labels in int8 with -1 for "ignore"
#
# Expected: -1 stays -1, as it does in an int16 array: both become an image of mode I, whose pixels
#           are signed 32-bit integers.
# Seen:     signed bytes are taken for unsigned ones, both from numpy and from a TIFF that declares
#           them as signed; nothing warns:
#
#             labels                      -1     7   -128   127
#             fromarray, int8            255     7    128   127
#             fromarray, int16            -1     7   -128   127
#             open, TIFF of int8         255     7    128   127
#             open, TIFF of int16         -1     7   -128   127
#
#           `labels == -1` finds no pixel, and `labels >= 0` takes what is to be ignored for a class.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    pillow==12.3.0 tifffile==2026.3.3 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
import numpy as np
import PIL
import tifffile
from PIL import Image

print("Pillow", PIL.__version__)
for dtype, expected in ((np.int8, [255, 7, 128, 127]), (np.int16, [-1, 7, -128, 127])):
    labels = np.array([[-1, 7, -128, 127]] * 3, dtype)
    image = Image.fromarray(labels)
    tifffile.imwrite("labels.tif", labels)
    assert np.array_equal(tifffile.imread("labels.tif"), labels)
    from_array = np.asarray(image)[0].tolist()
    from_file = np.asarray(Image.open("labels.tif"))[0].tolist()
    print(np.dtype(dtype).name, "mode", image.mode, "fromarray", from_array, "TIFF", from_file)
    assert image.mode == "I", "the mode changed"
    assert from_array == expected, "fromarray changed"
    assert from_file == expected, "reading TIFF changed"
PYTHON
