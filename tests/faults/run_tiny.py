"""A run in a process of its own, to be killed from outside. It ends with GAVE_UP where its worker
died too often before it had begun anything, or where the disk is full, as the command line does."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from massannot.errors import NothingToRun
from massannot.storage.durable import full_disk_refused
from tests.faults import tiny_run

GAVE_UP = 3


def main() -> None:
    out, videos, tally, workers, ray_address, seconds, *retry = sys.argv[1:]
    place = {"executor": "ray", "address": ray_address} if ray_address else {}
    summary = tiny_run.run(
        tiny_run.plan_of(sorted(map(str, Path(videos).glob("*.mp4"))), per_shard=2),
        tiny_run.Tiny(tally=Path(tally), seconds=float(seconds)),
        out=Path(out),
        sampling=tiny_run.SAMPLING,
        workers=int(workers),
        device="cpu",
        retry=tuple(retry),
        **place,
    )
    print(json.dumps(asdict(summary)))


if __name__ == "__main__":
    try:
        with full_disk_refused(Path(sys.argv[1])):
            main()
    except NothingToRun as error:
        print(error, file=sys.stderr)
        sys.exit(GAVE_UP)
