"""Does datumaro read what `massannot export cvat` and `coco-images` write, and find the same in it?

    python -m tests.peers.cvat_datumaro OUT PYTHON

OUT is a finished dataset whose films can be read. Prints, for each format, how many boxes and masks
are there, how many datumaro reads, and the largest difference of a box in pixels; the exit code is
1 where a number or a box differs by more than half a pixel. Masks in a film's tracks are refused,
which is known and no fault of the exit code. COCO's file is put where datumaro looks for it,
annotations/instances_NAME.json.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from massannot.dataset.reading import open_dataset
from massannot.exporters import coco_images, cvat
from tests.peers.elsewhere import found_by

READ = """
import json, sys
import numpy as np
from datumaro import Dataset
found = []
for item in Dataset.import_from(sys.argv[1], sys.argv[2]):
    for a in item.annotations:
        if a.attributes.get("outside"):
            continue
        kind = a.type.name
        if kind not in ("bbox", "mask"):
            continue
        row = {"kind": kind, "frame": item.attributes.get("frame"), "track":
               a.attributes.get("track_id"), "area": float(a.get_area())}
        if kind == "bbox":
            x, y, w, h = a.get_bbox()
            row["box"] = [x, y, x + w, y + h]
        else:
            mask = np.asarray(a.image, bool)
            row["area"] = float(mask.sum())
        found.append(row)
print()
print(json.dumps(found))
"""


def main(out: str, python: str) -> int:
    dataset = open_dataset(out)
    shown = dataset.table("masks").filter(pc.greater(dataset.table("masks")["area"], 0))
    boxes = sorted([r[n] for n in ("x0", "y0", "x1", "y1")] for r in shown.to_pylist())
    areas = sorted(shown["area"].to_pylist())
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        cvat.export(dataset, root / "boxes", options=cvat.CvatOptions(masks=False))
        wrong += _compare("cvat, boxes", _of_films(python, root / "boxes"), boxes, None)
        cvat.export(dataset, root / "masks")
        _compare("cvat, masks too", _of_films(python, root / "masks"), boxes, areas)
        (file,) = coco_images.export(dataset, root / "written").files
        (root / "coco" / "images").mkdir(parents=True)
        (root / "coco" / "annotations").mkdir()
        shutil.copy(file, root / "coco" / "annotations" / "instances_all.json")
        wrong += _compare("coco-images", _read(python, root / "coco", "coco"), None, areas)
    return int(wrong > 0)


def _of_films(python: str, folder: Path) -> list[dict[str, Any]] | str:
    """Of each film's XML by itself: datumaro joins none whose labels differ."""
    found: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.xml")):
        alone = folder / path.stem
        alone.mkdir()
        shutil.move(path, alone)
        part = _read(python, alone, "cvat")
        if isinstance(part, str):
            return part
        found += part
    return found


def _read(python: str, dest: Path, kind: str) -> list[dict[str, Any]] | str:
    """What datumaro finds, or what its error says."""
    try:
        found: list[dict[str, Any]] = found_by(python, READ, dest, kind)
    except RuntimeError as error:
        return str(error)
    return found


def _compare(
    name: str,
    found: list[dict[str, Any]] | str,
    boxes: list[list[float]] | None,
    areas: list[int] | None,
) -> int:
    """Print what was found of the boxes and masks that are expected; 1: it is something else."""
    if isinstance(found, str):
        print(f"{name}: refused: {found}")
        return 1
    right, said = True, []
    if boxes is not None:
        theirs = sorted(row["box"] for row in found if row["kind"] == "bbox")
        pairs = zip(boxes, theirs, strict=False)
        worst = max((abs(a - b) for x, y in pairs for a, b in zip(x, y)), default=0.0)
        said.append(
            f"{len(boxes)} boxes written, {len(theirs)} read, largest difference {worst:g} px"
        )
        right &= len(theirs) == len(boxes) and worst <= 0.5
    if areas is not None:
        masks = sorted(row["area"] for row in found if row["kind"] == "mask")
        said.append(f"{len(areas)} masks written, {len(masks)} read, areas equal: {masks == areas}")
        right &= masks == areas
    print(f"{name}: {'; '.join(said)}")
    return int(not right)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
