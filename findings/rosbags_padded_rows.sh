#!/usr/bin/env bash
# rosbags-image 0.10.4 (of rosbags 0.11.9), a ROS image whose rows are padded
#
# Expected: sensor_msgs/Image has "step", the bytes of a row, so that rows may be longer than what they
#           show (cameras pad to 4, 16 or 64 bytes). Row n starts at n times step.
# Seen:     message_to_cvimage() never looks at step. Row n starts n times the padding too early, and
#           the last rows are not read: the picture is sheared, without a warning.
#
#             16UC1, 637 by 480        right rows      row 1 starts with
#             step 1274 (no padding)   480 of 480      1010, 1011, 1012 (mm)
#             step 1280                  1 of 480      0, 0, 0 (the padding of row 0)
#
# Masks, boxes and tracks on such a picture are of another picture; depth is a neighbour's. Cut the
# rows yourself with step, as below, before anything else.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    rosbags-image==0.10.4 rosbags==0.11.9 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
import pathlib
from importlib.metadata import version

import numpy as np
from rosbags.image import message_to_cvimage
from rosbags.rosbag2 import Reader, Writer
from rosbags.typesys import Stores, get_typestore

HEIGHT, WIDTH = 480, 637
row, column = np.mgrid[:HEIGHT, :WIDTH]
DEPTH_MM = (1000 + 10 * row + column).astype("<u2")

ros = get_typestore(Stores.ROS2_HUMBLE)
Image = ros.types["sensor_msgs/msg/Image"]
Header = ros.types["std_msgs/msg/Header"]
Time = ros.types["builtin_interfaces/msg/Time"]


def through_a_bag(folder, step):
    rows = np.zeros((HEIGHT, step), np.uint8)
    rows[:, : 2 * WIDTH] = DEPTH_MM.view(np.uint8)
    header = Header(stamp=Time(sec=0, nanosec=0), frame_id="camera")
    message = Image(
        header=header, height=HEIGHT, width=WIDTH, encoding="16UC1",
        is_bigendian=0, step=step, data=rows.ravel(),
    )  # fmt: skip
    with Writer(pathlib.Path(folder), version=9) as bag:
        connection = bag.add_connection("/depth", Image.__msgtype__, typestore=ros)
        bag.write(connection, 0, ros.serialize_cdr(message, Image.__msgtype__))
    with Reader(pathlib.Path(folder)) as bag:
        connection, _, data = next(bag.messages())
        return ros.deserialize_cdr(data, connection.msgtype)


print("rosbags-image", version("rosbags-image"))
for folder, step, right_rows in (("close", 2 * WIDTH, HEIGHT), ("padded", 1280, 1)):
    message = through_a_bag(folder, step)
    seen = message_to_cvimage(message)
    right = int((seen == DEPTH_MM).all(axis=1).sum())
    print("step", message.step, "right rows", right, "of", HEIGHT, "row 1 starts", seen[1, :5])
    assert seen.shape == DEPTH_MM.shape and right == right_rows, "the reading of rows changed"
    cut = message.data.reshape(HEIGHT, message.step)[:, : 2 * WIDTH].copy().view("<u2")
    assert np.array_equal(cut, DEPTH_MM)
assert seen[1, :4].tolist() == [0, 0, 0, DEPTH_MM[1, 0]], "the reading of rows changed"
PYTHON
