#!/usr/bin/env bash
# fastparquet 2026.9.0, a column of lists of text in files of polars 2.1.0, DuckDB 2.0.1 and pyarrow 26.0.1
#
# Expected: lists of text, as fastparquet reads them from a small file of pyarrow, or an error.
# Seen:     where the texts are not coded through a dictionary every list is None, without a warning:
#           in all files of polars and DuckDB here, and in one of pyarrow from the row on at which its
#           dictionary was full. Lists of numbers in the same files are right.
#
#             written by                        lists of text read   lists of numbers read
#             pyarrow, 3 rows                   3                    3
#             polars, 3 rows                    0                    3
#             DuckDB, 3 rows                    0                    3
#             pyarrow, 200,000 different ids    96,384, then none    200,000
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    fastparquet==2026.9.0 polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1 numpy==2.4.6 pandas==3.1.1
cd "$work"
"$work/venv/bin/python" -I -W error::UserWarning - <<'PYTHON'
import duckdb
import fastparquet
import polars
import pyarrow as pa
import pyarrow.parquet as pq

phrases = [["red ball"], ["red ball", "blue cube"], ["floor"]]
few = pa.table({"phrases": phrases, "frames": [[0], [1, 2], [3]]})
rows = range(200_000)
many = pa.table({"phrases": [[f"id{row}"] for row in rows], "frames": [[row] for row in rows]})
pq.write_table(few, "pyarrow.parquet")
polars.from_arrow(few).write_parquet("polars.parquet")
duckdb.sql("copy few to 'duckdb.parquet' (format parquet)")
pq.write_table(many, "many.parquet")

print("fastparquet", fastparquet.__version__)
for path, table, expected in (
    ("pyarrow.parquet", few, 3),
    ("polars.parquet", few, 0),
    ("duckdb.parquet", few, 0),
    ("many.parquet", many, 96_384),
):
    assert pq.read_table(path).to_pydict() == table.to_pydict()
    found = fastparquet.ParquetFile(path).to_pandas()
    texts = [None if row is None else list(row) for row in found["phrases"]]
    kept = sum(row is not None for row in texts)
    print(f"{path:16}", kept, "of", len(texts), "lists of text")
    assert [list(row) for row in found["frames"]] == table["frames"].to_pylist()
    assert texts[:kept] == table["phrases"].to_pylist()[:kept]
    assert kept == expected, "fastparquet changed"
PYTHON
