#!/usr/bin/env bash
# datumaro 1.13.12, a dataset of tracks exported to CVAT's XML (use_track=True) twice
#
# Expected: export() writes a dataset and leaves it as it is, so that both files are the same.
# Seen:     the first export takes track_id off the dataset's own annotations; the second file has
#           no track and no box, and nothing says so.
#
#             track_id in memory, before     7, 7, 7
#             first file                     1 track, 3 boxes (all of them keyframe="0")
#             track_id in memory, after      none
#             second file                    0 tracks, 0 boxes
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --no-deps --disable-pip-version-check \
    datumaro==1.13.12 attrs==26.1.0 defusedxml==0.7.1 imagesize==2.0.1 json-stream==2.5.1 \
    json-stream-rs-tokenizer==0.5.4 lxml==6.1.3 numpy==2.4.6 opencv-python-headless==4.14.0.94 \
    orjson==3.13.0 pandas==2.3.3 pillow==12.3.0 pycocotools==2.0.11 python-dateutil==4.0.0 \
    pytz==2026.6 PyYAML==6.0.4 shapely==2.2.0 tqdm==4.70.1 typing_extensions==4.16.0 \
    tzdata==2026.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
from importlib.metadata import version
from xml.etree import ElementTree

import numpy as np
from datumaro.components.annotation import Bbox
from datumaro.components.dataset import Dataset
from datumaro.components.dataset_base import DatasetItem
from datumaro.components.media import Image

frames = [
    DatasetItem(
        id=f"frame_{number:06d}",
        media=Image.from_numpy(np.zeros((96, 160, 3), np.uint8)),
        attributes={"frame": number},
        annotations=[Bbox(10 + number, 20, 30, 40, label=0, attributes={"track_id": 7})],
    )
    for number in range(3)
]
dataset = Dataset.from_iterable(frames, categories=["ball"])


def track_ids():
    return [box.attributes.get("track_id") for item in dataset for box in item.annotations]


def export(folder):
    dataset.export(folder, "cvat", save_media=True, use_track=True)
    root = ElementTree.parse(f"{folder}/default.xml").getroot()
    boxes = [box.get("keyframe") for box in root.iter("box")]
    return len(root.findall("track")), boxes


before, first, after, second = track_ids(), export("first"), track_ids(), export("second")
print("datumaro", version("datumaro"))
print("track_id before", before)
print("first file: tracks", first[0], "keyframe of each box", first[1])
print("track_id after ", after)
print("second file: tracks", second[0], "boxes", len(second[1]))
assert before == [7, 7, 7]
assert first == (1, ["0", "0", "0"]), "the first file changed"
assert after == [None, None, None], "the dataset keeps its track_id"
assert second == (0, []), "the second file changed"
PYTHON
