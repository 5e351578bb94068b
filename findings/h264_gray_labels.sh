#!/usr/bin/env bash
# PyAV 18.1.0 (libx264 and FFmpeg's H.264 decoder), a lossless film of 8-bit labels, pixel format gray
#
# Expected: lossless is lossless: to_ndarray("gray") gives the labels that were written.
# Seen:     with libx264, 248 of 256 labels come back changed: 1..16 as 0, 128 as 130, 235.. as 255.
#           The decoder hands gray H.264 out as yuv420p without a range, which is then stretched
#           from 16..235 to 0..255. The luma plane itself has the labels; so has to_ndarray() if the
#           stream was written with color_range full, and any of libx265 and ffv1:
#
#             libx264                     248 labels changed   (decoded as yuv420p)
#             libx264, full range           0                  (decoded as yuvj420p)
#             libx265 lossless, ffv1        0                  (decoded as gray)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import av
import numpy as np
from av.video.reformatter import ColorRange

labels = np.repeat(np.arange(256, dtype=np.uint8)[None], 64, axis=0)
LOSSLESS_264 = {"qp": "0"}
LOSSLESS_265 = {"x265-params": "lossless=1:log-level=none:pools=1"}


def read_back(codec, options, color_range=None):
    with av.open("labels.mkv", "w") as film:
        stream = film.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 256, 64, "gray"
        if color_range is not None:
            stream.codec_context.color_range = color_range
        film.mux(stream.encode(av.VideoFrame.from_ndarray(labels, format="gray")))
        film.mux(stream.encode(None))
    with av.open("labels.mkv") as film:
        frame = next(film.decode(video=0))
    plane = frame.planes[0]
    luma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:64, :256]
    assert np.array_equal(luma, labels), "the luma plane is not lossless"
    array = frame.to_ndarray(format="gray")
    return frame.format.name, int((array != labels).any(axis=0).sum()), array[0]


plain = read_back("libx264", LOSSLESS_264)
others = {
    "libx264, full range": read_back("libx264", LOSSLESS_264, ColorRange.JPEG),
    "libx265": read_back("libx265", LOSSLESS_265),
    "ffv1": read_back("ffv1", {}),
}
print("PyAV", av.__version__)
for name, (decoded_as, changed, row) in {"libx264": plain, **others}.items():
    print(f"{name:20} {decoded_as:9} {changed:3} changed; 1, 16, 128, 235 are", row[[1, 16, 128, 235]])
assert plain[:2] == ("yuv420p", 248), "libx264's gray film changed"
assert plain[2][[1, 16, 128, 235]].tolist() == [0, 0, 130, 255]
assert all(changed == 0 for _, changed, _ in others.values()), "another codec is not lossless now"
PYTHON
