"""Does rerun-sdk, alone in its environment, read the recordings of `massannot export rerun`?

python -m tests.peers.rerun_recordings OUT PYTHON
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from massannot.dataset.reading import open_dataset
from massannot.exporters import rerun
from tests.peers.elsewhere import found_by, told

READ = """
import json, sys
import rerun.chunk
found, clocks = [], set()
for path in sys.argv[1:]:
    reader = rerun.chunk.RrdReader(path)
    for store in reader.recordings():
        for chunk in reader.stream(store=store):
            batch = chunk.to_record_batch()
            named = {}
            for number, field in enumerate(batch.schema):
                told = field.metadata or {}
                named[told.get(b"rerun:component", b"").decode()] = batch.column(number)
                clocks.add(told.get(b"rerun:index_name", b"").decode())
            if "Boxes2D:centers" not in named:
                continue
            parts = [named["Boxes2D:" + name].to_pylist() for name in ("centers", "half_sizes")]
            for centres, halves in zip(*parts):
                for (x, y), (w, h) in zip(centres or [], halves or []):
                    found.append([x - w, y - h, x + w, y + h])
print()
print(json.dumps([rerun.__version__, found, sorted(clocks)]))
"""


def main(out: str, python: str) -> int:
    dataset = open_dataset(out)
    rows = [row for row in dataset.table("masks").to_pylist() if row["area"]]
    boxes = sorted([row[name] for name in ("x0", "y0", "x1", "y1")] for row in rows)
    with tempfile.TemporaryDirectory() as folder:
        files = rerun.export(dataset, Path(folder)).files
        recordings = [file for file in files if file.suffix == ".rrd"]
        version, found, clocks = found_by(python, READ, *recordings)
    said = f"{len(recordings)} recordings, {len(found)} of {len(boxes)} boxes equal"
    right = sorted(found) == boxes and {"frame", "pts"} <= {*clocks}
    return told(f"rerun-sdk {version}", right=right, said=said)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
