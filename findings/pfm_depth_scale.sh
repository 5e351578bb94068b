#!/usr/bin/env bash
# PFM depth maps: Pillow 12.3.0, OpenCV 5.0.0, FFmpeg (in PyAV 18.1.0); the header's third line
#
# Expected: one file, one depth. The third line's sign is the byte order, its size a scale.
# Seen:     Pillow returns the stored numbers and leaves the scale in info; OpenCV and FFmpeg divide
#           by it. Nothing warns. For a stored 0.6875:
#
#             third line     -1.0      -2.0      -0.25
#             Pillow         0.6875    0.6875    0.6875
#             OpenCV         0.6875    0.34375   2.75
#             FFmpeg         0.6875    0.34375   2.75
#
#           All agree where the scale is 1, so a test on such a file does not show it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    pillow==12.3.0 opencv-python-headless==5.0.0.93 av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import av
import cv2
import numpy as np
import PIL
from PIL import Image

stored = np.arange(12, dtype="<f4").reshape(3, 4) / 16


def read_all(scale):
    # The rows of a PFM go from the bottom to the top.
    with open("depth.pfm", "wb") as file:
        file.write(b"Pf\n4 3\n%s\n" % scale.encode() + stored[::-1].tobytes())
    with av.open("depth.pfm") as file:
        ffmpeg = next(file.decode(video=0)).to_ndarray()
    pillow = np.asarray(Image.open("depth.pfm"))
    opencv = cv2.imread("depth.pfm", cv2.IMREAD_UNCHANGED)
    return {"Pillow": pillow, "OpenCV": opencv, "FFmpeg": ffmpeg}


print("Pillow", PIL.__version__, "OpenCV", cv2.__version__, "PyAV", av.__version__)
for scale in ("-1.0", "-2.0", "-0.25"):
    read = read_all(scale)
    print(f"{scale:6}", {name: float(depth[2, 3]) for name, depth in read.items()})
    assert np.array_equal(read["Pillow"], stored), "Pillow changed"
    assert np.array_equal(read["OpenCV"], stored / abs(float(scale))), "OpenCV changed"
    assert np.array_equal(read["FFmpeg"], stored / abs(float(scale))), "FFmpeg changed"
PYTHON
