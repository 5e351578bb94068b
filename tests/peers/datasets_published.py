"""Does `datasets` load what `massannot questions publish` wrote, split by split, row by row?

python -m tests.peers.datasets_published PUBLISHED PYTHON
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.parquet as pq

from tests.peers.elsewhere import found_by, told

READ = """
import json, os, sys, tempfile
import datasets
with tempfile.TemporaryDirectory() as cache:
    loaded = datasets.load_dataset(sys.argv[1], cache_dir=cache)
    rows = {split: list(part) for split, part in loaded.items()}
print()
print(json.dumps([datasets.__version__, rows]))
"""


def main(published: str, python: str) -> int:
    written = {}
    for path in sorted((Path(published) / "data").glob("*.parquet")):
        rows = pq.read_table(path).to_pylist()
        if rows:
            written[path.name.partition("-")[0]] = rows
    version, found = found_by(python, READ, published)
    counts = ", ".join(f"{len(rows)} {split}" for split, rows in sorted(found.items()))
    return told(f"datasets {version}", right=found == written, said=f"{counts}; every row equal")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
