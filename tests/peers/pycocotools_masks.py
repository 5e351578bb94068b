"""Does pycocotools read what `massannot export coco` (YouTube-VIS) and `coco-images` write?

python -m tests.peers.pycocotools_masks OUT PYTHON

It has no reader of YouTube-VIS: there its own mask functions decode each frame's run lengths.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from massannot.dataset.reading import open_dataset
from massannot.exporters import coco, coco_images
from tests.peers.elsewhere import found_by, told

READ = """
import json, sys
from pycocotools import mask
from pycocotools.coco import COCO
found = []
if sys.argv[2] == "images":
    read = COCO(sys.argv[1])
    for each in read.loadAnns(read.getAnnIds()):
        found.append([int(read.annToMask(each).sum()), each["bbox"]])
else:
    for each in json.load(open(sys.argv[1]))["annotations"]:
        for lengths, box in zip(each["segmentations"], each["bboxes"]):
            if lengths is not None:
                found.append([int(mask.decode(lengths).sum()), mask.toBbox(lengths).tolist()])
                assert box == found[-1][1], (box, found[-1])
print()
print(json.dumps(found))
"""


def main(out: str, python: str) -> int:
    dataset = open_dataset(out)
    rows = [row for row in dataset.table("masks").to_pylist() if row["area"]]
    expected = sorted(
        [row["area"], [row["x0"], row["y0"], row["x1"] - row["x0"], row["y1"] - row["y0"]]]
        for row in rows
    )
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for kind, form in (("images", coco_images), ("videos", coco)):
            files = form.export(dataset, Path(folder) / kind).files
            path = next(file for file in files if file.suffix == ".json")
            found = sorted(found_by(python, READ, path, kind))
            said = f"{len(found)} of {len(expected)} masks, areas and boxes equal"
            wrong += told(f"pycocotools, {kind}", right=found == expected, said=said)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
