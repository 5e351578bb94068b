#!/usr/bin/env bash
# polars 2.1.0, sums of areas in 32 bits and of depth in half floats
#
# Expected: the sum, as pandas, DuckDB and pyarrow give it, or an error. polars itself makes sums of 8 and
#           16 bits Int64, and its means are right.
# Seen:     a sum of Int32 or UInt32 stays in 32 bits and wraps around, in select, group_by and SQL, without
#           a warning; a sum of Float16 is infinite beyond 65,504. 3,000 masks of 1.2 million pixels, then
#           100,000 depths of 2 m:
#
#                                               UInt32         Int32          Float16
#             pandas, DuckDB, pyarrow           3,600,000,000  3,600,000,000  200,000 (pandas)
#             polars, 3,000 masks               3,600,000,000   -694,967,296
#             polars, 6,000 masks (7.2e9)       2,905,032,704  -1,389,934,592
#             polars, 100,000 depths                                          inf
#
# Known upstream since 2024: https://github.com/pola-rs/polars/issues/13782 (Int32) and
# https://github.com/pola-rs/polars/issues/17340 (UInt32). Cast to Int64 or Float64 before summing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

PIXELS = 1_200_000
WRAPPED = {
    ("uint32", 3000): 3_600_000_000,
    ("uint32", 6000): 2_905_032_704,
    ("int32", 3000): -694_967_296,
    ("int32", 6000): -1_389_934_592,
}

print("polars", pl.__version__)
for (kind, masks), wrapped in WRAPPED.items():
    pq.write_table(pa.table({"area": np.full(masks, PIXELS, kind)}), "masks.parquet")
    table, frame = pq.read_table("masks.parquet"), pl.scan_parquet("masks.parquet")
    others = {
        "pandas": table.to_pandas()["area"].sum(),
        "DuckDB": duckdb.sql("select sum(area) from 'masks.parquet'").fetchall()[0][0],
        "pyarrow": pc.sum(table["area"]).as_py(),
        "polars, cast": frame.select(pl.col("area").cast(pl.Int64).sum()).collect().item(),
    }
    sums = {
        "select": frame.select(pl.col("area").sum()).collect().item(),
        "group_by": frame.group_by(pl.lit(0)).agg(pl.col("area").sum()).collect()["area"].item(),
        "SQL": pl.SQLContext(masks=frame).execute("select sum(area) from masks", eager=True).item(),
    }
    print(f"{kind:6} {masks} masks: polars", sums["select"], "the others", others["pandas"])
    assert all(found == masks * PIXELS for found in others.values()), "another reader changed"
    assert all(found == wrapped for found in sums.values()), "polars changed"
    assert frame.select(pl.col("area").mean()).collect().item() == PIXELS, "polars' mean changed"

for kind in (pl.Int8, pl.UInt8, pl.Int16, pl.UInt16):
    assert pl.Series(np.full(100_000, 100), dtype=kind).sum() == 10_000_000, "small types changed"

depth = np.full(100_000, 2, np.float16)
print("Float16: polars", pl.Series(depth).sum(), "pandas", pd.Series(depth).sum())
assert pl.Series(depth).sum() == np.inf and pl.Series(depth).mean() == 2, "polars' half floats changed"
assert pd.Series(depth).sum() == 200_000, "pandas changed"
PYTHON
