#!/usr/bin/env bash
# torchcodec 0.13.0 (exact seeking) with FFmpeg 8, an MP4 that was trimmed without coding it again
#
# Expected: number 0 is the first picture that is played, 30 of 60; PyAV and other players show it.
# Seen:     len() is 30, but the ten pictures before the first key frame after the trim cannot be had
#           under any number. Asked alone, numbers 0 to 9 are each picture 40 and the others right; in
#           order the first 20 are all ten too late, the 21st raises, and from then on they are right:
#
#             PyAV                  30 pictures, 30 to 59
#             torchcodec, alone     [0] is 40, [3] is 40, [9] is 40, [10] is 40, [20] is 50
#             torchcodec, in order  40, 41, ... 59, RuntimeError, 51, 52, ... 59
#
# The film has 60 numbered pictures and a key frame every 20; its edit list starts at the 31st.
# FFmpeg's libraries are those of PyAV's wheel, under the names by which torchcodec looks for them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    torchcodec==0.13.0 torch==2.13.0 av==18.1.0 numpy==2.4.6
libraries=$(echo "$work"/venv/lib/python3*/site-packages/av.libs)
mkdir "$work/ffmpeg"
for library in "$libraries"/lib{avcodec,avdevice,avfilter,avformat,avutil,swresample,swscale}-*.so.*; do
    name=$(basename "$library")
    major=${name#*.so.}
    ln -s "$library" "$work/ffmpeg/${name%%-*}.so.${major%%.*}"
done
export LD_LIBRARY_PATH="$work/ffmpeg:$libraries"
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import av
import numpy as np
import torchcodec
from torchcodec.decoders import VideoDecoder


def numbered(number):
    bits = [255 if number >> bit & 1 else 0 for bit in range(8)]
    row = np.repeat(np.array(bits, np.uint8), 20)
    return np.broadcast_to(row[None, :, None], (96, 160, 3)).copy()


def number_of(rgb):
    return sum(1 << bit for bit in range(8) if rgb[48, 20 * bit + 10, 1] > 128)


with av.open("full.mp4", "w") as film:
    x264 = {"bf": "0", "x264-params": "keyint=20:min-keyint=20:scenecut=0:threads=1"}
    stream = film.add_stream("libx264", rate=25, options=x264)
    stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
    for number in range(60):
        film.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(number), format="rgb24")))
    film.mux(stream.encode(None))

# From the key frame of picture 20 on, and 1.2 s earlier: what lies before zero is not played.
with av.open("full.mp4") as full, av.open("trimmed.mp4", "w") as trimmed:
    source = full.streams.video[0]
    target = trimmed.add_stream_from_template(source)
    packets = [packet for packet in full.demux(source) if packet.dts is not None]
    for packet in packets[20:]:
        packet.pts -= int(1.2 / source.time_base)
        packet.dts -= int(1.2 / source.time_base)
        packet.stream = target
        trimmed.mux(packet)

with av.open("trimmed.mp4") as trimmed:
    played = [number_of(f.to_ndarray(format="rgb24")) for f in trimmed.decode(video=0)]


def decoder():
    return VideoDecoder("trimmed.mp4", seek_mode="exact", dimension_order="NHWC")


def at(film, index):
    try:
        return number_of(film.get_frame_at(index).data.numpy())
    except RuntimeError as error:
        return type(error).__name__


alone = {index: at(decoder(), index) for index in (0, 3, 9, 10, 20)}
film = decoder()
in_order = [at(film, index) for index in range(len(film))]
print("torchcodec", torchcodec.__version__, "PyAV", av.__version__)
print("PyAV    ", len(played), "pictures,", played[0], "to", played[-1])
print("alone   ", alone)
print("in order", len(film), in_order)
assert played == list(range(30, 60)), "what is played changed"
assert len(film) == 30, "the length changed"
assert alone == {0: 40, 3: 40, 9: 40, 10: 40, 20: 50}, "single numbers changed"
assert in_order[:20] == list(range(40, 60)), "reading in order changed"
assert in_order[20:] == ["RuntimeError", *range(51, 60)], "reading in order ends otherwise"
PYTHON
