#!/usr/bin/env bash
# trimesh 5.2.0, colours of 16 bits: a PLY of ushort, and the colours of a LAS file (laspy 2.7.0)
#
# Expected: trimesh scales them to its 8 bits, as it does with floats from 0 to 1, or refuses them.
# Seen:     it keeps the low byte of each, without a warning. Whatever is divided by 256 is black, so
#           that half gray is, and a bit brighter or darker is any colour:
#
#             of 65535                        white   half gray   33000, 32000, 31000
#             ushort in PLY, array of LAS     255     0           232,   0,     24
#             the same, divided by 65535      255     128         128,   125,   121
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    trimesh==5.2.0 laspy==2.7.0 plyfile==1.1.5 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
import laspy
import numpy as np
import plyfile
import trimesh

colours = np.array([[65535] * 3, [32768] * 3, [33000, 32000, 31000]], np.uint16)

las = laspy.create(point_format=3, file_version="1.4")
las.x, las.y, las.z = np.eye(3)
las.red, las.green, las.blue = colours.T
las.write("cloud.las")
las = laspy.read("cloud.las")
of_las = np.column_stack([las.red, las.green, las.blue])
assert np.array_equal(of_las, colours)

kinds = [(name, "f4") for name in "xyz"] + [(name, "u2") for name in ("red", "green", "blue")]
vertices = np.zeros(3, kinds)
vertices["x"], vertices["y"], vertices["z"] = np.eye(3)
vertices["red"], vertices["green"], vertices["blue"] = colours.T
plyfile.PlyData([plyfile.PlyElement.describe(vertices, "vertex")]).write("cloud.ply")

low_bytes = [[255, 255, 255], [0, 0, 0], [232, 0, 24]]
scaled = [[255, 255, 255], [128, 128, 128], [128, 125, 121]]
print("trimesh", trimesh.__version__)
for name, cloud, expected in (
    ("PLY of ushort", trimesh.load("cloud.ply"), low_bytes),
    ("array of LAS", trimesh.PointCloud(las.xyz, colors=of_las), low_bytes),
    ("divided", trimesh.PointCloud(las.xyz, colors=of_las / 65535), scaled),
):
    found = np.asarray(cloud.colors)[:, :3].tolist()
    print(f"{name:13}", found)
    assert found == expected, f"{name} changed"
PYTHON
