"""`massannot view` on many clips: time to the first page and of filters; the server's memory."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from massannot import tables
from massannot.storage.parquet import write_parquet
from tests.looked_at import rows_of

CLIPS = 200_000
THINGS, FRAMES = 3, 3
STATES = ("measured", "interpolated", "hidden", "left", "lost")
QUERIES = ("", "q=clip-01999", "phrase=a+red+ball+3", "most=0.1&camera=moving", "state=hidden",
           "sort=name", "sort=longest&q=blue")  # fmt: skip


def write_many(out: Path, clips: int = CLIPS) -> None:
    """A published dataset of three things a clip, whose positions have three frames; no pixels. A
    file holds CLIPS clips."""
    rng = np.random.default_rng(0)
    ids = sorted(hashlib.blake2b(b"%d" % k, digest_size=16).hexdigest() for k in range(clips))
    for number, first in enumerate(range(0, clips, CLIPS)):
        _write_file(out, number, pa.array(ids[first : first + CLIPS]), rng)
    (out / "massannot.json").write_text('{"files": []}')


def _write_file(out: Path, number: int, ids: pa.Array, rng: np.random.Generator) -> None:
    like = rows_of(1, "x", "a ball", Path("film.mp4"))
    n = len(ids)
    texts = [f"a {colour} ball {k}" for colour in ("red", "blue") for k in range(20)]
    uris = [f"s3://bucket/{k % 977:04d}/clip-{number * CLIPS + k:07d}.mp4" for k in range(n)]

    def counting(a_clip: int) -> pa.Array:
        return pa.array(np.tile(np.arange(a_clip, dtype=np.int32), n))

    changed: dict[str, tuple[int, dict[str, pa.Array]]] = {
        "clips": (1, {
            "uri": pa.array(uris), "video_id": ids, "source_id": pa.nulls(n, pa.string()),
            "camera_static": pa.array(rng.random(n) < 0.5),
            "n_frames": pa.array(np.full(n, FRAMES, np.int32)),
        }),
        "entities": (THINGS, {
            "entity": counting(THINGS), "quality": pa.array(rng.random(n * THINGS), pa.float32()),
        }),
        "phrases": (2, {
            "phrase": counting(2),
            "text": pa.array(texts).take(pa.array(rng.integers(0, len(texts), 2 * n))),
        }),
        "positions": (FRAMES, {
            "frame": counting(FRAMES),
            "state": pa.array(STATES).take(pa.array(rng.integers(0, 5, n * FRAMES))),
        }),
        "frames": (FRAMES, {
            "frame": counting(FRAMES), "pts": counting(FRAMES).cast(pa.int64()),
            "t_s": pa.array(np.tile(np.arange(FRAMES) / 10, n)),
        }),
    }  # fmt: skip
    for name, (a_clip, columns) in changed.items():
        spec = tables.spec(name)
        whole = _whole(spec.from_rows(like[name][:1]), ids, a_clip, columns).cast(spec.schema())
        step = 20_000 * a_clip
        pieces = (whole.slice(first, step) for first in range(0, whole.num_rows, step))
        write_parquet(out / "data" / name / f"{number:05d}.parquet", pieces, spec=spec)


def _whole(
    one: pa.Table, ids: pa.Array, a_clip: int, changed: Mapping[str, pa.Array]
) -> pa.Table:  # fmt: skip
    """The one row for each clip `a_clip` times, with its id and the changed columns."""
    same = pa.array(np.zeros(len(ids) * a_clip, np.int64))
    columns = {c: one[c].combine_chunks().take(same) for c in one.column_names}
    of_clip = pa.array(np.repeat(np.arange(len(ids)), a_clip))
    return pa.table(columns | {"clip_id": ids.take(of_clip), **changed})


def memory_mb(pid: int) -> int:
    """The most that the process had in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def cpu_s(pid: int) -> float:
    """Of all threads of the process, so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _ask(address: str) -> float:
    start = time.perf_counter()
    with urllib.request.urlopen(address, timeout=120) as answer:
        answer.read()
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "many"
        write_many(out)
        start = time.perf_counter()
        command = [sys.executable, "-m", "massannot", "view", str(out), "--no-open"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            print(f"start to address: {time.perf_counter() - start:.2f} s")
            print(
                f"first page: {_ask(address):.2f} s; its list: {_ask(address + 'api/clips'):.2f} s"
            )
            print(f"start to the first list: {time.perf_counter() - start:.2f} s; "
                  f"CPU {cpu_s(server.pid):.1f} s")  # fmt: skip
            for query in QUERIES:
                times = sorted(_ask(f"{address}api/clips?{query}") for _ in range(3))
                print(f"{query or 'no filter':<24} {times[1]:.3f} s")
            print(f"memory at most: {memory_mb(server.pid)} MB")
            clips = json.loads(urllib.request.urlopen(f"{address}api/clips").read())["clips"]
            print(f"a clip's page: {_ask(address + clips[0]['link']):.2f} s, then "
                  f"{_ask(address + clips[1]['link']):.2f} s")  # fmt: skip
            print(f"memory at most, with clips' pages: {memory_mb(server.pid)} MB")
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
