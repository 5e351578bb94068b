#!/usr/bin/env bash
# trimesh 5.2.0, a cloud of points in map coordinates (metres, UTM) exported as PLY
#
# Expected: double numbers, which PLY has, or a warning: the points are doubles and so is what `load` returns.
# Seen:     the file has floats. At 4,650 km north a point moves by up to 25 cm, and two points 10 cm
#           apart become one or stand half a metre apart. plyfile writes the same points exactly.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    trimesh==5.2.0 plyfile==1.1.5 numpy==2.2.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
import pathlib

import numpy as np
import plyfile
import trimesh

north = 4649776.0 + np.array([0.12, 0.22, 0.32])
points = np.column_stack([np.full(3, 500000.0), north, np.full(3, 10.0)])

trimesh.PointCloud(points).export("cloud.ply")
header = pathlib.Path("cloud.ply").read_bytes().split(b"end_header")[0].decode()
found = np.asarray(trimesh.load("cloud.ply").vertices)
print("trimesh", trimesh.__version__, found.dtype, "north of", north, "is", found[:, 1])
assert "property float y" in header, "trimesh changed"
assert found.dtype == np.float64
assert 0.1 < np.abs(found - points).max() <= 0.25, "trimesh changed"
gaps = np.diff(found[:, 1])
print("gaps of 0.10 m are", gaps)
assert set(gaps) == {0.0, 0.5}, "trimesh changed"

vertices = np.rec.fromarrays(points.T, names="x,y,z")
plyfile.PlyData([plyfile.PlyElement.describe(vertices, "vertex")]).write("exact.ply")
again = plyfile.PlyData.read("exact.ply")["vertex"]
assert np.array_equal(again["y"], north)
PYTHON
