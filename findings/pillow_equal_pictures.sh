#!/usr/bin/env bash
# Pillow 12.3.0, a film saved as GIF, APNG or WebP in which neighbouring pictures are equal
#
# Expected: eight pictures with `save_all=True` are eight pictures when they are opened again.
# Seen:     equal neighbours become one that is shown for longer, also with lossless WebP; without
#           `duration` GIF and WebP drop them and nothing says how long they were. Pictures of the grays
#           0 0 50 50 50 100 150 200:
#
#             format       pictures   the same, without duration
#             GIF, WebP    5          5
#             APNG         5          8
#             AVIF, TIFF   8          8
#
#           Number 4 is 200 where 50 was saved: after a standing camera, a paused screen or rendered
#           pictures in which nothing moves, what is annotated by number lies on later pictures.
#
# Find pictures by the sum of the durations before them, or write AVIF, TIFF or a video.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check pillow==12.3.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
import numpy as np
import PIL
from PIL import Image

GRAYS = [0, 0, 50, 50, 50, 100, 150, 200]
MERGED, MERGED_MS = [0, 50, 100, 150, 200], [200, 300, 100, 100, 100]
pictures = [Image.fromarray(np.full((32, 32, 3), gray, np.uint8)) for gray in GRAYS]


def written(name, **options):
    if name.endswith("webp"):
        options["lossless"] = True
    pictures[0].save(name, save_all=True, append_images=pictures[1:], **options)
    grays, milliseconds = [], []
    with Image.open(name) as film:
        for number in range(film.n_frames):
            film.seek(number)
            grays.append(int(np.asarray(film.convert("RGB"))[0, 0, 0]))
            milliseconds.append(film.info.get("duration"))
    return grays, milliseconds


print("Pillow", PIL.__version__)
for kind in ("gif", "png", "webp", "avif", "tif"):
    grays, milliseconds = written(f"timed.{kind}", duration=100)
    untimed, _ = written(f"untimed.{kind}")
    print(f"{kind}: {grays}, durations {milliseconds}; without durations {untimed}")
    if kind in ("avif", "tif"):
        assert grays == untimed == GRAYS, "AVIF or TIFF changed"
    else:
        assert (grays, milliseconds) == (MERGED, MERGED_MS), "pictures are kept now"
        assert untimed == (GRAYS if kind == "png" else MERGED), "films without durations changed"
PYTHON
