"""A run in a process of its own, to be killed from outside."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from massannot.executors.local import run
from tests.faults import tiny_run


def main() -> None:
    out, videos, tally, workers = sys.argv[1:]
    uris = sorted(map(str, Path(videos).glob("*.mp4")))
    summary = run(
        tiny_run.plan_of(uris, per_shard=2),
        tiny_run.Tiny(tally=Path(tally), seconds=0.02),
        out=Path(out),
        sampling=tiny_run.SAMPLING,
        workers=int(workers),
        device="cpu",
    )
    print(json.dumps(asdict(summary)))


if __name__ == "__main__":
    main()
