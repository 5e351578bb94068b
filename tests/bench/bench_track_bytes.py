"""Bytes a point and frame of the two tables of tracks, as they are and in the steps that their
schemas state.

    python -m tests.bench.bench_track_bytes [DATASET]

DATASET: an output folder with tracks that are not in steps yet: given ones, or those of a build
before. Without one: the truth of eight rendered clips, which is written exactly.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from massannot import tables
from massannot.dataset.reading import open_dataset
from massannot.scenes.world import TEST_SEEDS, SceneOptions
from massannot.scenes.write import write_scenes
from massannot.storage.parquet import write_parquet
from massannot.tables._spec import TableSpec, in_steps


def main(folder: Path) -> None:
    dataset = open_dataset(folder)
    print("| table | points | bytes a point and frame | in steps |")
    print("|---|---|---|---|")
    for name in ("tracks_xy", "tracks_xyz"):
        spec, table = tables.spec(name), dataset.table(name)
        n_items = len(table["x"].combine_chunks().flatten())
        sizes = [_n_bytes(rows, spec) / n_items for rows in (table, _stepped(table, spec))]
        print(f"| {name} | {table.num_rows} | {sizes[0]:.1f} | {sizes[1]:.1f} |")


def _stepped(table: pa.Table, spec: TableSpec) -> pa.Table:
    for index, column in enumerate(spec.columns):
        if column.steps:
            lists = table[column.name].combine_chunks()
            values = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
            items = pa.array(in_steps(column, values), pa.float32(), from_pandas=True)
            stepped = pa.ListArray.from_arrays(lists.offsets, items)
            table = table.set_column(index, table.schema.field(index), stepped)
    return table


def _n_bytes(table: pa.Table, spec: TableSpec) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return write_parquet(Path(folder) / "table.parquet", [table], spec=spec).size_bytes


def _annotated(folder: Path) -> Path:
    seeds = list(TEST_SEEDS)[:8]
    write_scenes(folder, seeds=seeds, options=SceneOptions(width=160, height=128, n_frames=24))
    truth = ("--profile", "none", "--scenes", str(folder), "--oracle")
    jobs = "detect,masks,depth,tracks,cameras"
    flags = (*truth, jobs, "-p", "a ball", "--fps", "all", "--no-films", "-o", str(folder / "out"))
    command = (sys.executable, "-m", "massannot", "annotate", str(folder / "videos"), *flags)
    subprocess.run(command, check=True, capture_output=True)
    return folder / "out"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as work:
            main(_annotated(Path(work)))
