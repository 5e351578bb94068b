#!/usr/bin/env bash
# pypcd4 1.5.1, coloured point clouds saved as ASCII
#
# Expected: points, colours and all other fields are the same after `save(path, encoding=Encoding.ASCII)`.
# Seen:     numbers are written with ten digits behind the point. PCD keeps a colour's three bytes in a
#           float, which is below 1e-37 then, so every colour is written as 0.0000000000: the cloud is
#           black. Nothing warns. Covariances and other small numbers are cut in the same way.
#
#             encoding               (255, 128, 7)    (10, 20, 30)    3e-9        1.23456e-6
#             ASCII                  (0, 0, 0)        (0, 0, 0)       3e-9        1.2346e-6
#             BINARY                 (255, 128, 7)    (10, 20, 30)    3e-9        1.23456e-6
#             BINARY_COMPRESSED      (255, 128, 7)    (10, 20, 30)    3e-9        1.23456e-6
#
# Save as binary. PCL and Open3D read either.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    pypcd4==1.5.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from pypcd4 import Encoding, PointCloud

COLOURS = np.array([[255, 128, 7], [10, 20, 30], [255, 255, 255]], np.uint8)
POINTS = np.array([[1.5, -2.25, 30], [0.125, 4, 80], [7, 8, 9]], np.float32)
SMALL = np.array([3e-9, 1.23456e-6, 0.25], np.float32)

print("pypcd4", version("pypcd4"))
columns = [*POINTS.T, PointCloud.encode_rgb(COLOURS), SMALL]
cloud = PointCloud.from_points(columns, ("x", "y", "z", "rgb", "variance"), (np.float32,) * 5)
for encoding in (Encoding.ASCII, Encoding.BINARY, Encoding.BINARY_COMPRESSED):
    cloud.save("cloud.pcd", encoding=encoding)
    read = PointCloud.from_path("cloud.pcd")
    colours = PointCloud.decode_rgb(read.pc_data["rgb"])
    small = read.pc_data["variance"]
    print(f"{encoding.name:17} {colours.tolist()} {small.tolist()}")
    assert np.array_equal(read.numpy(("x", "y", "z")), POINTS), "points changed"
    if encoding == Encoding.ASCII:
        assert not colours.any(), "ASCII keeps colours now"
        assert np.array_equal(small, np.array([3e-9, 1.2346e-6, 0.25], np.float32)), "small numbers changed"
    else:
        assert np.array_equal(colours, COLOURS) and np.array_equal(small, SMALL), "binary changed"
PYTHON
