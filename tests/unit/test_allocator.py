"""What a worker's allocators keep of memory that was freed. In a process of its own, whose heap has
no other holes."""

import subprocess
import sys

import pytest

PROGRAM = """
from pathlib import Path
from massannot.storage.allocator import give_back
def rss_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
pieces = [bytearray(100_000) for _ in range(2000)]
del pieces[:-1]  # the last one keeps the heap's end where it is
before = rss_mb()
give_back()
print(before - rss_mb())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is GNU's")
def test_pages_freed_below_what_is_in_use_are_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 150
