#!/usr/bin/env bash
# imageio 2.38.1 with PyAV 18.1.0, an MP4 that was trimmed without coding it again (an edit list)
#
# Expected: imread() of the whole film stacks as many pictures as imiter() yields.
# Seen:     imiter() yields the 45 pictures that are played; imread() and improps() say 60, the
#           number in the container's header. The last 15 of the stack are no pictures of the film:
#
#             imiter   45 pictures, 15 to 59
#             improps  60
#             imread   60 pictures: 15 to 59 in places 0 to 44, then 15 that were never decoded
#
# The film has 60 numbered pictures; its edit list starts at the 16th, half a second in.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    imageio==2.38.1 av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import av
import imageio
import imageio.v3 as iio
import numpy as np


def numbered(number):
    bits = [255 if number >> bit & 1 else 0 for bit in range(8)]
    row = np.repeat(np.array(bits, np.uint8), 20)
    return np.broadcast_to(row[None, :, None], (96, 160, 3)).copy()


def number_of(rgb):
    return sum(1 << bit for bit in range(8) if rgb[48, 20 * bit + 10, 1] > 128)


with av.open("full.mp4", "w") as film:
    x264 = {"x264-params": "keyint=60:threads=1"}
    stream = film.add_stream("libx264", rate=30, options=x264)
    stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
    for number in range(60):
        film.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(number), format="rgb24")))
    film.mux(stream.encode(None))

# The same packets half a second earlier: what lies before zero is kept, and not played.
with av.open("full.mp4") as full, av.open("trimmed.mp4", "w") as trimmed:
    source = full.streams.video[0]
    target = trimmed.add_stream_from_template(source)
    half_second = int(0.5 / source.time_base)
    for packet in full.demux(source):
        if packet.dts is not None:
            packet.pts -= half_second
            packet.dts -= half_second
            packet.stream = target
            trimmed.mux(packet)

played = [number_of(picture) for picture in iio.imiter("trimmed.mp4", plugin="pyav")]
stack = iio.imread("trimmed.mp4", plugin="pyav")
properties = iio.improps("trimmed.mp4", plugin="pyav")
print("imageio", imageio.__version__, "PyAV", av.__version__)
print("imiter ", len(played), "pictures,", played[0], "to", played[-1])
print("improps", properties.n_images)
print("imread ", len(stack), "pictures; the first 45 are", number_of(stack[0]), "to", number_of(stack[44]))
assert played == list(range(15, 60)), "what is played changed"
assert [number_of(picture) for picture in stack[:45]] == played
assert properties.n_images == 60 and len(stack) == 60, "the stack is as long as the film now"
PYTHON
