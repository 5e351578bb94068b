"""A Ray that a run starts for itself: on the loopback device, with a token, gone at the end."""

import contextlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.faults import killing, tiny_run
from tests.faults.siege import finish
from tests.faults.tiny_run import data_files

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
SCRIPT = """
    import os, sys
    from pathlib import Path
    from massannot.engine.progress import ClipDone
    from tests.faults import test_ray_alone, tiny_run

    def look(event):
        if isinstance(event, ClipDone):
            for address in test_ray_alone.listening(os.getpid()):
                print(address, file=sys.__stdout__)
            mode, token = os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"]
            print("token", mode, len(token), file=sys.__stdout__)

    tiny_run.run(
        tiny_run.plan_of(sorted(sys.argv[2:]), per_shard=2),
        tiny_run.Tiny(),
        out=Path(sys.argv[1]),
        sampling=tiny_run.SAMPLING,
        workers=1,
        device="cpu",
        executor="ray",
        progress=look,
    )
"""


def test_a_ray_of_our_own_listens_on_loopback_alone_and_asks_for_a_token(tmp_path):
    pytest.importorskip("ray")
    uris = tiny_run.write_videos(tmp_path / "videos", 2)
    out, expected = tmp_path / "out", tmp_path / "expected"
    finish(killing.start(expected, tmp_path / "videos", tmp_path / "tally", workers=1))
    script = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(out), *uris]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(script, stdout=subprocess.PIPE, env=environment, check=True)
    addresses = [line for line in done.stdout.decode().splitlines() if ":" in line]
    assert addresses
    assert {address.rpartition(":")[0] for address in addresses} == {"127.0.0.1"}
    assert b"token token 64" in done.stdout
    assert data_files(out) == data_files(expected)


def listening(pid: int) -> list[str]:
    """Addresses at which a process and all below it take connections."""
    family = {pid}
    while True:
        more = {int(p.name) for p in Path("/proc").glob("[0-9]*")} - family
        more = {child for child in more if killing.parent(child) in family}
        if not more:
            break
        family |= more
    sockets = set()
    for member in family:
        with contextlib.suppress(OSError):
            sockets |= {str(fd.readlink()) for fd in Path(f"/proc/{member}/fd").iterdir()}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                host, port = fields[1].split(":")
                found.append(f"{_spoken(host)}:{int(port, 16)}")
    return found


def _spoken(host: str) -> str:
    """An address of /proc/net/tcp; IPv4 ones also where they are written as IPv6."""
    four = host[-8:]
    if len(host) == 32 and not host.startswith("0000000000000000FFFF0000"):
        return host
    return ".".join(str(int(four[i : i + 2], 16)) for i in (6, 4, 2, 0))
