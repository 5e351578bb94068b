#!/usr/bin/env bash
# decord2 3.4.0, an HEVC film with open GOPs (x265's default kind)
#
# Expected: get_batch([10]) is picture 10, as reading from the start gives it.
# Seen:     once it has to seek, pictures come three too late, as many as are shown before the key
#           frame that they follow in the file. Which indices are hit depends on the whole batch:
#
#             all of 0..59                  0, 1, 2, ... 59 (right)
#             [20, 40]                      20, 40 (right)
#             [10]                          13
#             [0, 5, 10, 15, 20, 25]        0, 5, 13, 18, 23, 28
#
# Every picture shows its own number as eight black or white bars.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    decord2==3.4.0 av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import av
import decord
import numpy as np

X265 = "open-gop=1:keyint=12:min-keyint=12:scenecut=0:bframes=3:b-adapt=0:pools=1:frame-threads=1"


def numbered(number):
    bits = [255 if number >> bit & 1 else 0 for bit in range(8)]
    row = np.repeat(np.array(bits, np.uint8), 20)
    return np.broadcast_to(row[None, :, None], (96, 160, 3)).copy()


def number_of(rgb):
    return sum(1 << bit for bit in range(8) if rgb[48, 20 * bit + 10, 1] > 128)


with av.open("open.mp4", "w") as film:
    stream = film.add_stream("libx265", rate=30, options={"x265-params": X265 + ":log-level=none"})
    stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
    for number in range(60):
        film.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(number), format="rgb24")))
    film.mux(stream.encode(None))


def batch(*wanted):
    reader = decord.VideoReader("open.mp4", num_threads=1)
    return [number_of(picture) for picture in reader.get_batch(list(wanted)).asnumpy()]


whole, pair, one = batch(*range(60)), batch(20, 40), batch(10)
sparse = batch(0, 5, 10, 15, 20, 25)
print("decord2", decord.__version__)
print("0..59 in one batch is", "0..59" if whole == list(range(60)) else whole)
print("[20, 40] is", pair)
print("[10] is", one)
print("[0, 5, 10, 15, 20, 25] is", sparse)
assert whole == list(range(60)), "reading everything is no longer right"
assert pair == [20, 40], "a pair changed"
assert one == [13], "a single index changed"
assert sparse == [0, 5, 13, 18, 23, 28], "a sparse batch changed"
PYTHON
