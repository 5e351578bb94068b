#!/usr/bin/env bash
# supervision 0.31.2 against datumaro 1.13.12, labelformat 0.1.17 and globox 2.9.0: boxes of Pascal VOC
#
# Expected: VOC's first pixel is (1, 1) and a box holds its last one, so a box over a whole picture of 100 by
#           80 is 1, 1, 100, 80 in VOC and 0, 0, 100, 80 (x, y, width, height) in COCO.
# Seen:     only supervision does so. The others take the numbers as borders that count from 0, in reading
#           and writing; who lets them take turns with supervision makes boxes smaller or larger:
#
#             VOC 1, 1, 100, 80 read by     x     y   width   height
#             supervision                   0     0    100       80
#             datumaro                      1     1     99       79
#             labelformat                   1     1     99       79
#             globox                        1     1     99       79
#
#             COCO 10, 20, 5, 5 written by labelformat, read by supervision      9, 19, 6, 6
#             COCO 10, 20, 5, 5 written by supervision, read by labelformat     11, 21, 4, 4
#
# The IoU of the last with what was written is 0.64. Write and read VOC with one library, or leave it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    supervision==0.31.2 datumaro==1.13.12 labelformat==0.1.17 globox==2.9.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W ignore - <<'PYTHON'
import json
from importlib.metadata import version
from pathlib import Path

import datumaro
import globox
import numpy as np
import supervision
from labelformat.formats import (
    COCOObjectDetectionInput,
    PascalVOCObjectDetectionInput,
    PascalVOCObjectDetectionOutput,
)
from PIL import Image

WHOLE, SHRUNK = [0, 0, 100, 80], [1, 1, 99, 79]
XML = """<annotation><filename>a.jpg</filename>
<size><width>100</width><height>80</height><depth>3</depth></size><segmented>0</segmented>
<object><name>car</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>
<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>100</xmax><ymax>80</ymax></bndbox></object></annotation>"""

for folder in ("voc/Annotations", "voc/JPEGImages", "voc/ImageSets/Main"):
    Path(folder).mkdir(parents=True)
Path("voc/Annotations/a.xml").write_text(XML)
Path("voc/ImageSets/Main/train.txt").write_text("a\n")
Image.new("RGB", (100, 80)).save("voc/JPEGImages/a.jpg")


def from_borders(x0, y0, x1, y1):
    return [x0, y0, x1 - x0, y1 - y0]


def by_supervision(folder):
    dataset = supervision.DetectionDataset.from_pascal_voc("voc/JPEGImages", folder)
    return from_borders(*next(iter(dataset))[2].xyxy[0].tolist())


def by_labelformat(folder):
    labels = PascalVOCObjectDetectionInput(input_folder=Path(folder), category_names="car")
    box = next(iter(labels.get_labels())).objects[0].box
    return from_borders(box.xmin, box.ymin, box.xmax, box.ymax)


def by_globox(folder):
    box = next(iter(globox.AnnotationSet.from_pascal_voc(Path(folder)))).boxes[0]
    return from_borders(box.xmin, box.ymin, box.xmax, box.ymax)


def by_datumaro(folder):
    item = next(iter(datumaro.Dataset.import_from(str(Path(folder).parent), "voc")))
    return list(item.annotations[0].get_bbox())


for read, expected in (
    (by_supervision, WHOLE),
    (by_datumaro, SHRUNK),
    (by_labelformat, SHRUNK),
    (by_globox, SHRUNK),
):
    name = read.__name__.removeprefix("by_")
    found = read("voc/Annotations")
    print(name, version(name), found)
    assert found == expected, f"{name} changed"

coco = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}],
    "categories": [{"id": 1, "name": "car"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 5, 5], "area": 25, "iscrowd": 0}
    ],
}
Path("coco.json").write_text(json.dumps(coco))
labels = COCOObjectDetectionInput(input_file=Path("coco.json"))
PascalVOCObjectDetectionOutput(output_folder=Path("labelformat")).save(labels)
dataset = supervision.DetectionDataset.from_coco("voc/JPEGImages", "coco.json")
dataset.as_pascal_voc(annotations_directory_path="supervision")
grown, smaller = by_supervision("labelformat"), by_labelformat("supervision")
print("labelformat, then supervision", grown)
print("supervision, then labelformat", smaller)
assert np.array_equal(grown, [9, 19, 6, 6]), "the pair changed"
assert np.array_equal(smaller, [11, 21, 4, 4]), "the pair changed"
PYTHON
