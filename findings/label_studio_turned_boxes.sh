#!/usr/bin/env bash
# label-studio-sdk 2.1.2, a turned rectangle of Label Studio exported as COCO, YOLO and VOC
#
# Expected: the upright box around the turned rectangle, the same in all three, or a refusal.
# Seen:     three answers and none is right. YOLO and VOC leave the rotation out, though Label Studio
#           turns about the upper left corner. COCO turns percents, as if the picture were square:
#
#             128 by 48 px at (320, 240), turned by 90 degrees, in a picture of 640 by 480
#             what the annotator saw     272, 240,  48 by 128
#             YOLO OBB (four corners)    272, 240,  48 by 128
#             COCO                       256, 240,  64 by  96      IoU 0.6
#             YOLO, VOC                  320, 240, 128 by  48      IoU 0
#
# Boxes drawn along slanted things are beside them after the export, and each format's are elsewhere.
# Export as YOLO OBB or JSON and take the least and greatest corner.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    label-studio-sdk==2.1.2 pillow==12.3.0
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import json
import pathlib
from importlib.metadata import version
from xml.etree import ElementTree

from label_studio_sdk.converter import Converter
from PIL import Image

WIDTH, HEIGHT = 640, 480
FORM = """<View><Image name="image" value="$image"/>
<RectangleLabels name="box" toName="image"><Label value="boat"/></RectangleLabels></View>"""
VALUE = {"x": 50, "y": 50, "width": 20, "height": 10, "rotation": 90, "rectanglelabels": ["boat"]}
REGION = {
    "id": "1", "from_name": "box", "to_name": "image", "type": "rectanglelabels",
    "original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0, "value": VALUE,
}  # fmt: skip
TASK = {"id": 1, "data": {"image": "/data/frame.png"}, "annotations": [{"result": [REGION]}]}

pathlib.Path("tasks.json").write_text(json.dumps([TASK]))
pathlib.Path("frames").mkdir()
Image.new("RGB", (WIDTH, HEIGHT)).save("frames/frame.png")
converter = Converter(FORM, "frames", download_resources=False)


def numbers(folder):
    (text,) = pathlib.Path(folder, "labels").glob("*.txt")
    return [float(number) for number in text.read_text().split()[1:]]


converter.convert_to_coco("tasks.json", "coco", is_dir=False)
coco = json.loads(pathlib.Path("coco/result.json").read_text())["annotations"][0]["bbox"]

converter.convert_to_yolo("tasks.json", "yolo", is_dir=False)
x, y, w, h = numbers("yolo")
yolo = [(x - w / 2) * WIDTH, (y - h / 2) * HEIGHT, w * WIDTH, h * HEIGHT]

converter.convert_to_yolo("tasks.json", "corners", is_dir=False, is_obb=True)
x, y = numbers("corners")[::2], numbers("corners")[1::2]
left, top = min(x) * WIDTH, min(y) * HEIGHT
corners = [left, top, max(x) * WIDTH - left, max(y) * HEIGHT - top]

converter.convert_to_voc("tasks.json", "voc", is_dir=False)
(file,) = pathlib.Path("voc/Annotations").glob("*.xml")
box = ElementTree.parse(file).find("object/bndbox")
left, top, right, bottom = (int(box.find(n).text) for n in ("xmin", "ymin", "xmax", "ymax"))
voc = [left, top, right - left, bottom - top]

print("label-studio-sdk", version("label-studio-sdk"), "x, y, width, height")
unturned = [320, 240, 128, 48]
for name, seen, expected in (
    ("YOLO OBB", corners, [272, 240, 48, 128]), ("COCO", coco, [256, 240, 64, 96]),
    ("YOLO", yolo, unturned), ("VOC", voc, unturned),
):  # fmt: skip
    seen = [round(number, 2) for number in seen]
    print(f"{name:8}", seen)
    assert seen == expected, f"{name} changed"
PYTHON
