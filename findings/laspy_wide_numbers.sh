#!/usr/bin/env bash
# laspy 2.7.0, numbers of points (LAS) that do not fit their field
#
# Expected: an error, as laspy gives for coordinates, return_number and scanner_channel
#           ("value 16 is greater than allowed").
# Seen:     a field of whole bytes takes any number and keeps its low bits, without a warning, also one
#           that the user added; fractions are cut off:
#
#             given to                          kept
#             instance (added, uint16)          65535, 65536, 70000, -1  ->  65535, 0, 4464, 65535
#             classification (formats 6-10)     255, 256                 ->  255, 0
#             intensity                         0.2, 0.99, 1.0           ->  0, 0, 1
#             scan_angle (units of 0.006 deg)   -15.4                    ->  -15, which is -0.09 degrees
#
# Tracks numbered through a whole drive meet again after 65,536 of them, and "unlabelled", -1, is a
# track of its own; reflectances from 0 to 1 are gone. Compare what is kept with what was given, and
# add fields of 32 bits or of floats.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check laspy==2.7.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
from importlib.metadata import version

import laspy
import numpy as np

GIVEN_AND_KEPT = {
    "instance": ([65535, 65536, 70000, -1], [65535, 0, 4464, 65535]),
    "classification": ([2, 255, 256, 300], [2, 255, 0, 44]),
    "intensity": ([0.2, 0.99, 1.0, 65536.0], [0, 0, 1, 0]),
    "scan_angle": ([-15.4, 0.0, 15.4, 90.0], [-15, 0, 15, 90]),
}


def cloud():
    header = laspy.LasHeader(point_format=7, version="1.4")
    header.add_extra_dim(laspy.ExtraBytesParams("instance", np.uint16))
    points = laspy.LasData(header)
    points.xyz = np.zeros((4, 3))
    return points


points = cloud()
for name, (given, _) in GIVEN_AND_KEPT.items():
    points[name] = np.array(given)
points.write("points.las")
points = laspy.read("points.las")

print("laspy", version("laspy"))
for name, (given, kept) in GIVEN_AND_KEPT.items():
    seen = np.asarray(points[name]).tolist()
    print(f"{name:15} {given} -> {seen}")
    assert seen == kept, f"{name} changed"

for name, wide in (("return_number", 16), ("scanner_channel", 4), ("x", 1e9)):
    try:
        cloud()[name] = np.full(4, wide)
    except OverflowError as error:
        print(f"{name:15} {wide} -> OverflowError: {error}")
    else:
        raise SystemExit(f"{name} changed")
PYTHON
