#!/usr/bin/env bash
# c3d 0.6.0 and ezc3d 1.7.2, a marker that is missing in a recording of movement (C3D)
#
# Expected: a marker that no camera saw has no place, and reading and writing a file changes nothing.
# Seen:     ezc3d gives NaN. c3d gives a place, whatever lies in the file, and says only in the 4th column
#           (-1) that there is none. For such a marker its Writer does not write the place that it is
#           given but that of the picture before. The wrist is missing in picture 3:
#
#             picture                       2      3      4
#             ezc3d of ezc3d's file       102    NaN    104
#             c3d of ezc3d's file         102      0    104
#             c3d of c3d's file           102    102    104    (its Writer was given 0)
#
# A skeleton drawn over film reaches into the room's origin, or a hidden wrist stands still and looks
# measured. Write NaN wherever the 4th column is below 0, before anything else.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    c3d==0.6.0 ezc3d==1.7.2 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
from importlib.metadata import version

import c3d
import ezc3d
import numpy as np

PICTURES = 6
places = np.ones((4, 1, PICTURES))
places[:3, 0] = [100 + np.arange(PICTURES), np.full(PICTURES, 50), np.full(PICTURES, 900)]
places[:3, 0, 3] = np.nan

recording = ezc3d.c3d()
recording["parameters"]["POINT"]["RATE"]["value"] = [100]
recording["parameters"]["POINT"]["LABELS"]["value"] = ("wrist",)
recording["data"]["points"] = places
recording.write("ezc3d.c3d")


def read(path):
    with open(path, "rb") as file:
        return np.array([points[0] for _, points, _ in c3d.Reader(file).read_frames()])


def show(name, x, residuals):
    print(f"{name:20}", "x", x[2:5], "residuals", residuals[2:5])


found = ezc3d.c3d("ezc3d.c3d")["data"]
x, residuals = found["points"][0, 0], found["meta_points"]["residuals"][0, 0]
print("c3d", version("c3d"), "ezc3d", version("ezc3d"))
show("ezc3d of ezc3d's", x, residuals)
assert np.array_equal(x[2:5], [102, np.nan, 104], equal_nan=True), "ezc3d changed"

points = read("ezc3d.c3d")
show("c3d of ezc3d's", points[:, 0], points[:, 3])
assert points[2:5, 0].tolist() == [102, 0, 104] and points[3, 3] == -1, "c3d's Reader changed"

writer = c3d.Writer(point_rate=100)
writer.add_frames([(point[None], np.zeros((0, 0))) for point in points.astype(np.float32)])
writer.set_point_labels(["wrist"])
with open("c3d.c3d", "wb") as file:
    writer.write(file)
points = read("c3d.c3d")
show("c3d of c3d's", points[:, 0], points[:, 3])
assert points[2:5, 0].tolist() == [102, 102, 104] and points[3, 3] == -1, "c3d's Writer changed"
assert np.isnan(ezc3d.c3d("c3d.c3d")["data"]["points"][0, 0, 3]), "ezc3d changed"
PYTHON
