#!/usr/bin/env bash
# pykitti 0.3.1, a drive of KITTI whose scans are not complete
#
# Expected: get_velo(i) is the scan of picture i, or says that there is none: KITTI's files carry the
#           picture's number, and drives have gaps (2011_09_26_drive_0009 lacks four scans).
# Seen:     the files that are there are counted. From the gap on all scans belong to later pictures,
#           without a warning, and `frames=`, which picks pictures and poses, picks no scans: of six
#           pictures of which 2 and 3 have no scan,
#
#             get_velo of picture          0   1   2   3   4           5
#             all frames                   0   1   4   5   IndexError  IndexError
#             frames=[0, 4, 5]             0       -   -   1           4
#
# Points are projected onto pictures of other moments, 0.1 s for each missing scan. Take the scan whose
# file name is the picture's.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    pykitti==0.3.1 opencv-python-headless==5.0.0.93 pillow==12.3.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pykitti
from PIL import Image

DATE = Path("2011_09_26")
DRIVE = DATE / "2011_09_26_drive_0009_sync"
PICTURES, WITHOUT_SCAN = range(6), (2, 3)


def write_drive():
    folders = [DRIVE / name / "data" for name in ("image_02", "velodyne_points", "oxts")]
    for folder in folders:
        folder.mkdir(parents=True)
    images, scans, poses = folders
    for number in PICTURES:
        Image.new("L", (8, 4), number).save(images / f"{number:010}.png")
        if number not in WITHOUT_SCAN:
            np.full((1, 4), number, np.float32).tofile(scans / f"{number:010}.bin")
        packet = ["49.0", "8.4", "110.0", *["0.0"] * 22, *["4"] * 5]
        (poses / f"{number:010}.txt").write_text(" ".join(packet) + "\n")
    times = [f"2011-09-26 13:02:25.{number}64389445\n" for number in PICTURES]
    (DRIVE / "oxts" / "timestamps.txt").write_text("".join(times))
    rigid = "R: 1 0 0 0 1 0 0 0 1\nT: 0 0 0\n"
    for name in ("calib_imu_to_velo", "calib_velo_to_cam"):
        (DATE / f"{name}.txt").write_text(rigid)
    cameras = [
        f"P_rect_0{camera}: 1 0 0 0 0 1 0 0 0 0 1 0\nR_rect_0{camera}: 1 0 0 0 1 0 0 0 1\n"
        for camera in range(4)
    ]
    (DATE / "calib_cam_to_cam.txt").write_text("".join(cameras))


def scan_of(drive, index):
    try:
        return int(drive.get_velo(index)[0, 0])
    except IndexError:
        return "IndexError"


write_drive()
print("pykitti", version("pykitti"))
for frames, expected in (
    (None, [0, 1, 4, 5, "IndexError", "IndexError"]),
    ([0, 4, 5], [0, 1, 4]),
):
    drive = pykitti.raw(".", DATE.name, "0009", frames=frames)
    pictures = [int(np.asarray(drive.get_cam2(index))[0, 0, 0]) for index in range(len(drive))]
    scans = [scan_of(drive, index) for index in range(len(drive))]
    print("frames", frames, "pictures", pictures, "scans", scans)
    assert pictures == (frames or list(PICTURES)), "the pictures changed"
    assert scans == expected, "it changed"
PYTHON
