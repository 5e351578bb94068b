#!/usr/bin/env bash
# Pillow 12.3.0, imageio 2.38.1, FFmpeg 8 in PyAV 18.1.0 and OpenCV 5.0.0, imagecodecs 2026.3.6: depth of 12 bits
#
# Expected: the millimetres of a depth camera with 12 bits come back, as they do from a PNG of 16 bits.
# Seen:     from a PGM whose greatest value is 4095, and from a JPEG 2000 of 12 bits, half of the readers
#           stretch the numbers over 16 bits, in two ways; the file does not say that they are brightness:
#
#                                         0    1   1000    4000    4095 mm
#             PGM: OpenCV                 0    1   1000    4000    4095
#                  Pillow, imageio, PyAV  0   16  16004   64015   65535
#             JP2: OpenCV, imagecodecs    0    1   1000    4000    4095
#                  Pillow, imageio, PyAV  0   16  16000   64000   65520
#             PNG, 16 bits: all five      0    1   1000    4000    4095
#
# A metre is 16 m, and a scale fitted on one reader's files is wrong for the other's. Known for PGM
# (https://github.com/python-pillow/Pillow/issues/6202) and for JPEG 2000 in medical pictures
# (https://github.com/pydicom/pydicom/pull/1001). Write depth as PNG of 16 bits.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    opencv-python-headless==5.0.0.93 imagecodecs==2026.3.6 pillow==12.3.0 imageio==2.38.1 av==18.1.0 \
    numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
from pathlib import Path

import av
import cv2
import imagecodecs
import imageio.v3
import numpy as np
import PIL
from PIL import Image

MILLIMETRES = [0, 1, 1000, 4000, 4095]
TO_16_BITS = [0, 16, 16004, 64015, 65535]
SHIFTED = [0, 16, 16000, 64000, 65520]
STRETCHING = ("Pillow", "imageio", "PyAV")

depth = np.tile(np.array(MILLIMETRES, np.uint16), (8, 4))
Path("depth.pgm").write_bytes(b"P5\n20 8\n4095\n" + depth.astype(">u2").tobytes())
Path("depth.jp2").write_bytes(imagecodecs.jpeg2k_encode(depth, reversible=True, bitspersample=12))
Path("depth.png").write_bytes(imagecodecs.png_encode(depth))


def pyav(path):
    with av.open(path) as file:
        return next(file.decode(video=0)).to_ndarray()


READERS = {
    "Pillow": lambda path: np.asarray(Image.open(path)),
    "imageio": imageio.v3.imread,
    "PyAV": pyav,
    "OpenCV": lambda path: cv2.imread(path, cv2.IMREAD_UNCHANGED),
    "imagecodecs": imagecodecs.imread,
}
print("Pillow", PIL.__version__, "OpenCV", cv2.__version__)
for path, stretched in (("depth.pgm", TO_16_BITS), ("depth.jp2", SHIFTED), ("depth.png", MILLIMETRES)):
    for name, read in READERS.items():
        if path == "depth.pgm" and name == "imagecodecs":
            continue
        found = read(path)[0, :5].tolist()
        print(f"{path} {name:12}", found)
        expected = stretched if name in STRETCHING else MILLIMETRES
        assert found == expected, f"{name} of {path} changed"
PYTHON
