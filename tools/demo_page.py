"""The page of one clip as a file of its own, for docs/demo/: film, tables and program inside it.

    massannot demo
    python tools/demo_page.py demo-out/annotated docs/demo/index.html

`make page` does both.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import pyarrow as pa

from massannot.dataset.reading import open_dataset
from massannot.viewers.film import paths
from massannot.viewers.report import clip_page, film_inside

MOST_BYTES = 5_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("page", type=Path)
    arguments = parser.parse_args()
    dataset = open_dataset(arguments.out)
    view = next(dataset.clips())
    film = film_inside(paths(arguments.out / "films", view.table).plain)

    def public(name: str) -> pa.Table:
        """A table without the folders of this machine."""
        rows = view.table(name)
        if "uri" not in rows.column_names:
            return rows
        names = pa.array([Path(uri).name for uri in rows["uri"].to_pylist()], pa.string())
        return rows.set_column(rows.column_names.index("uri"), "uri", names)

    text = clip_page(public, film=film, index_link=None).encode()
    if film is None or len(text) > MOST_BYTES:
        sys.exit(
            f"{arguments.page}: found {'no film' if film is None else f'{len(text)} bytes'}, "
            f"expected a film and at most {MOST_BYTES} bytes"
        )
    arguments.page.parent.mkdir(parents=True, exist_ok=True)
    arguments.page.write_bytes(text)
    print(f"{arguments.page}: {len(text):,} bytes")


if __name__ == "__main__":
    main()
