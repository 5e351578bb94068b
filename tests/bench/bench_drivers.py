"""Several drivers on one output: how many clips are computed twice, and how the work is shared.

    python -m tests.bench.bench_drivers [CLIPS] [folder|bucket|Ray]

Drivers of one worker each, started at once, without --shard: in a folder, in a bucket, on Ray. The
exit code is 1 where a driver fails, or ends without counting all clips.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests import s3_server
from tests.faults import killing, tiny_run
from tests.faults.ray_cluster import cluster

CLIPS = 192
SECONDS_A_CLIP = 0.1
PLACES = (("folder", 2), ("folder", 8), ("bucket", 2), ("bucket", 8), ("Ray", 2), ("Ray", 4))


def main(clips: int, places: list[str]) -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the bucket's server
    print("| where | drivers | clips | computed | twice | fewest and most by one driver | s |")
    print("|---|---|---|---|---|---|---|")
    for where, n_drivers in (place for place in PLACES if not places or place[0] in places):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            tiny_run.write_videos(folder / "videos", clips // tiny_run.CLIPS_PER_VIDEO)
            out: Any = folder / "out"
            address = ""
            if where == "bucket":
                stack.enter_context(s3_server.running("bench"))
                os.environ["MASSANNOT_WORK_DIR"] = str(folder / "work")
                out = "s3://bench/out"
            elif where == "Ray":
                address = stack.enter_context(cluster(*[1] * n_drivers)).address
            print(f"| {where} | {n_drivers} | {clips} | ", end="")
            print(measured(folder, out, n_drivers, clips, address), flush=True)


def measured(folder: Path, out: Any, n_drivers: int, clips: int, address: str) -> str:
    began = time.monotonic()
    drivers = [
        killing.start(
            out,
            folder / "videos",
            folder / "tally",
            workers=1,
            ray_address=address,
            seconds=SECONDS_A_CLIP,
        )
        for _ in range(n_drivers)
    ]
    texts = [driver.communicate()[0].decode() for driver in drivers]
    seconds = time.monotonic() - began
    assert not any(driver.returncode for driver in drivers), [d.returncode for d in drivers]
    summaries = [json.loads(text) for text in texts]
    assert all(summary["done"] == clips for summary in summaries), texts
    computed = sum(tiny_run.done(folder / "tally").values())
    each = sorted(summary["done_now"] for summary in summaries)
    twice = computed - clips
    return f"{computed} | {twice / clips:.1%} | {each[0]} to {each[-1]} | {seconds:.0f} |"


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:] if text.isdigit()]
    main(*(numbers or [CLIPS]), [text for text in sys.argv[1:] if not text.isdigit()])
