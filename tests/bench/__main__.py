"""`make bench`: every benchmark in its own process, one after the other; `... NAME` for some.

They print the tables of BENCHMARKS.md: medians and ratios measured in one run. Times are of the
CPU (process_time), which other processes disturb less than a clock's.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(wanted: list[str]) -> int:
    names = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    unknown = [name for name in wanted if name not in names]
    if unknown:
        print(f"no benchmark {unknown}; there are {names}", file=sys.stderr)
        return 2
    worst = 0
    for name in wanted or names:
        print(f"\n# {name}", flush=True)
        done = subprocess.run([sys.executable, "-m", f"tests.bench.bench_{name}"], check=False)
        worst = max(worst, done.returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
