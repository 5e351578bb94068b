#!/usr/bin/env bash
# imageio 2.38.1 with PyAV 18.1.0 (FFmpeg 8), depth and numbers of instances in EXR files
#
# Expected: the floats and integers that were written, as OpenEXR's own package reads them, or an error.
# Seen:     imread() gives three channels of 8 bits without a warning: 0.5 m is 130, a metre and all that is
#           farther is 255, a hole is 0. With `format=None` floats are right, but half floats are their bits,
#           and of unsigned integers FFmpeg keeps the upper 16 bits, so that the first 65,535 instances are
#           background:
#
#             written                    0.5   0.9     4    80    inf   NaN
#             imread                     130   250   255   255    255     0
#             imread, format=None        0.5   0.9     4    80    inf   NaN
#             the same, of half floats   14336 ...
#
#             written                      1   255   65535   65536   70000   16777217
#             PyAV                         0     0       0       1       1        256
#
# Read EXR with OpenEXR, as below.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    imageio==2.38.1 av==18.1.0 OpenEXR==3.5.3 pillow==12.3.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
import av
import imageio
import imageio.v3
import numpy as np
import OpenEXR

METRES = np.tile(np.array([0.5, 0.9, 4, 80, np.inf, np.nan], np.float32), (6, 1))
INSTANCES = np.tile(np.array([1, 255, 65535, 65536, 70000, 2**24 + 1], np.uint32), (6, 1))


def write(path, values):
    OpenEXR.File({"type": OpenEXR.scanlineimage}, {"Y": values}).write(path)
    found = OpenEXR.File(path).channels()["Y"].pixels
    assert found.dtype == values.dtype and np.array_equal(found, values, equal_nan=values.dtype.kind == "f")


write("metres.exr", METRES)
write("half.exr", METRES.astype(np.float16))
write("instances.exr", INSTANCES)

print("imageio", imageio.__version__)
for path in ("metres.exr", "half.exr"):
    found = imageio.v3.imread(path)
    print(path, found.shape, found.dtype, found[0, 0, :, 0].tolist())
    assert found.shape == (1, 6, 6, 3) and found.dtype == np.uint8, "imread changed"
    assert found[0, 0, :, 0].tolist() == [130, 250, 255, 255, 255, 0], "imread changed"

floats = imageio.v3.imread("metres.exr", plugin="pyav", format=None)[0]
print("metres.exr, format=None", floats[0].tolist())
assert np.array_equal(floats, METRES, equal_nan=True), "format=None changed"
bits = imageio.v3.imread("half.exr", plugin="pyav", format=None)[0]
print("half.exr, format=None", bits[0].tolist())
assert np.array_equal(bits, METRES.astype(np.float16).view(np.uint16)), "half floats changed"

with av.open("instances.exr") as file:
    kept = next(file.decode(video=0)).to_ndarray()
print("instances.exr, PyAV", kept.dtype, kept[0].tolist())
assert np.array_equal(kept, INSTANCES >> 16), "FFmpeg's integers changed"
PYTHON
