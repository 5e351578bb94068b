#!/usr/bin/env bash
# libx264 165 in PyAV 18.1.0: the same pictures and options, one thread, on processors with other vectors
#
# Expected: the same film. x264's routines for each kind of processor are meant to agree bit for bit.
# Seen:     other films, whose pictures differ too. Twelve pictures of 160 by 128, coded with what the processor
#           is allowed to use (x264's `asm`):
#
#                                       none = SSE2    AVX2     AVX-512
#             default                       A            B         C
#             mbtree=0                      D            E         E
#
#           A and B differ in nearly all pictures. Where the processor has AVX-512, C was not even the same in all
#           processes of one machine. The macroblock tree computes with floats.
#
# A dataset that is cut or coded again on several machines has films with other checksums and other pixels: a
# hash of a film is no name for its pictures. Code with mbtree=0 where bytes matter: AVX2 and AVX-512 agree then.
set -euo pipefail
grep -qw avx2 /proc/cpuinfo || { echo "needs a processor with AVX2"; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import hashlib
import io
from pathlib import Path

import av
import numpy as np

N_PICTURES, WIDTH, HEIGHT, STEP = 12, 160, 128, 3
CASES = {
    "default": {},
    "mbtree=0": {"mbtree": "0"},
}
KINDS = ["0", "sse2", "avx2"]
if "avx512f" in Path("/proc/cpuinfo").read_text():
    KINDS.append("")  # all that there is

tiles = np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8)
first = tiles.repeat(8, 0).repeat(8, 1)
pictures = [np.ascontiguousarray(np.roll(first, STEP * k, 1)) for k in range(N_PICTURES)]


def film(kind, options):
    held = io.BytesIO()
    allowed = {"x264-params": f"asm={kind}"} if kind else {}
    with av.open(held, "w", format="h264") as out:
        stream = out.add_stream(
            "libx264", rate=12, options={"preset": "veryfast", "threads": "1", **options, **allowed}
        )
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return held.getvalue()


def decoded(content):
    with av.open(io.BytesIO(content), format="h264") as container:
        return np.stack([frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)])


print("PyAV", av.__version__)
films = {case: [film(kind, options) for kind in KINDS] for case, options in CASES.items()}
for case, found in films.items():
    names = [hashlib.sha256(one).hexdigest()[:8] for one in found]
    print(f"{case:10s}", dict(zip([kind or "all" for kind in KINDS], names)))
none, sse2, avx2 = (films["default"][i] for i in range(3))
assert none == sse2 != avx2
differ = sum((a != b).any() for a, b in zip(decoded(none), decoded(avx2)))
print(f"default: {differ} of {N_PICTURES} pictures differ between none and AVX2")
assert differ >= N_PICTURES // 2
assert films["mbtree=0"][0] == films["mbtree=0"][1] != films["mbtree=0"][2]
if len(KINDS) == 4:
    assert films["default"][3] not in (none, avx2)
    assert films["mbtree=0"][3] == films["mbtree=0"][2]
print("as described")
PYTHON
