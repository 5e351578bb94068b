#!/usr/bin/env bash
# HDF5 2.0.0 in h5py 3.16.0, depth with NaN for holes, compressed with scaleoffset=3 (millimetres)
#
# Expected: every depth comes back to a millimetre, and a hole is NaN; or writing is refused.
# Seen:     a hole comes back as the nearest depth of its chunk. If the hole is the first pixel of a
#           chunk, the chunk is written without an error and cannot be read again, not a pixel of it:
#
#             hole at         written    read
#             none            yes        right
#             [10, 10]        yes        the hole is 1.5, the nearest of its chunk; the rest is right
#             [0, 0]          yes        OSError for this chunk; the others are right
#
# Depth of a stereo camera has holes, most of them at the left edge, where chunks begin. Write them
# as 0 or store whole millimetres with gzip, and read back what was written before the source goes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check h5py==3.16.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import h5py
import numpy as np

row, column = np.mgrid[:64, :128]
DEPTH_M = (1.5 + row / 100 + column / 1000).astype(np.float32)


def write(hole, **compression):
    depth = DEPTH_M.copy()
    if hole:
        depth[hole] = np.nan
    with h5py.File("depth.h5", "w") as file:
        file.create_dataset("depth", data=depth, chunks=(64, 64), **compression)
    return depth


def read(columns):
    with h5py.File("depth.h5") as file:
        return file["depth"][:, columns]


LEFT, RIGHT = slice(0, 64), slice(64, 128)
print("h5py", h5py.__version__, "HDF5", h5py.version.hdf5_version)

write(None, scaleoffset=3)
assert np.abs(read(slice(None)) - DEPTH_M).max() < 0.001

depth = write((10, 10), scaleoffset=3)
seen = read(LEFT)
print("the hole at [10, 10] is", seen[10, 10], "where the nearest depth is", np.nanmin(depth))
assert np.isclose(seen[10, 10], 1.5, atol=0.001), "the hole inside a chunk changed"
seen[10, 10] = np.nan
assert np.nanmax(np.abs(seen - depth[:, LEFT])) < 0.001

write((0, 0), scaleoffset=3)
try:
    read(LEFT)
except OSError as error:
    print("the hole at [0, 0]:", error)
else:
    raise SystemExit("the hole at a chunk's first pixel changed")
assert np.abs(read(RIGHT) - DEPTH_M[:, RIGHT]).max() < 0.001

depth = write((0, 0), compression="gzip")
assert np.array_equal(read(slice(None)), depth, equal_nan=True)
PYTHON
