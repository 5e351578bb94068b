"""The static report of three million clips: its pages, its time, its memory."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.bench_view import write_many

CLIPS = 3_000_000


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "many"
        write_many(out, CLIPS)
        start = time.perf_counter()
        command = [sys.executable, "-m", "massannot", "report", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"report of {CLIPS:,} clips: {time.perf_counter() - start:.1f} s, CPU "
              f"{used.ru_utime + used.ru_stime:.1f} s, memory at most "
              f"{used.ru_maxrss // 1024} MB")  # fmt: skip
        index = out / "report" / "index.html"
        pages = sorted(path.stat().st_size for path in index.parent.rglob("*.html"))
        print(f"{len(pages)} pages; the list {index.stat().st_size / 1e6:.3f} MB, the largest "
              f"{pages[-1] / 1e6:.3f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
