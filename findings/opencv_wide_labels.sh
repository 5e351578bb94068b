#!/usr/bin/env bash
# OpenCV 5.0.0, label maps and ids in integers of 32 and 64 bits
#
# Expected: the ids are what they were, as OpenCV 5 has types of 64 bits, or an error is raised.
# Seen:     numpy arrays of int64 and uint64 are taken as int32, of which the upper half is gone, and
#           uint32 beyond 2^31 is written by FileStorage and read as 0:
#
#             in                          out
#             int64   2^32 + 7            7, int32    flip, rotate, resize, copyMakeBorder, imencode
#             int64   2^32 - 1            -1, int32
#             uint64  2^63                0, int32
#             uint32  4000000000          4000000000  flip, rotate, resize, copyMakeBorder, imencode
#             uint32  4000000000          0           FileStorage, though the file says 4000000000
#             int64   2^32 + 7            7           FileStorage
#
# Ids that pack two numbers (class times 2^32 and instance) and hashes become one another. Number what
# is in a picture anew before OpenCV sees it, and check the dtype after.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import cv2
import numpy as np


def through_tiff(labels):
    coded = cv2.imencode(".tiff", labels)[1]
    return cv2.imdecode(coded, cv2.IMREAD_UNCHANGED)


def through_storage(labels):
    writer = cv2.FileStorage("labels.yml", cv2.FILE_STORAGE_WRITE)
    writer.write("labels", labels)
    writer.release()
    reader = cv2.FileStorage("labels.yml", cv2.FILE_STORAGE_READ)
    return reader.getNode("labels").mat()


WAYS = {
    "flip": lambda labels: cv2.flip(labels, 1),
    "rotate": lambda labels: cv2.rotate(labels, cv2.ROTATE_180),
    "resize": lambda labels: cv2.resize(labels, (4, 4), interpolation=cv2.INTER_NEAREST),
    "copyMakeBorder": lambda labels: cv2.copyMakeBorder(labels, 1, 1, 1, 1, cv2.BORDER_REPLICATE),
    "imencode": through_tiff,
    "FileStorage": through_storage,
}
print("OpenCV", cv2.__version__)
for dtype, value, expected in (
    (np.int64, 2**32 + 7, 7),
    (np.int64, 2**32 - 1, -1),
    (np.uint64, 2**63, 0),
    (np.uint32, 4_000_000_000, 4_000_000_000),
    (np.int32, 2**31 - 1, 2**31 - 1),
):
    for name, way in WAYS.items():
        found = way(np.full((2, 2), value, dtype))
        seen = np.unique(found).tolist()
        print(f"{dtype.__name__:6} {value:20} {name:14} {seen} {found.dtype}")
        lost = dtype is np.uint32 and name == "FileStorage"
        assert seen == [0 if lost else expected], "it changed"

through_storage(np.full((2, 2), 4_000_000_000, np.uint32))
with open("labels.yml") as file:
    assert "4000000000" in file.read(), "the file has changed"
PYTHON
