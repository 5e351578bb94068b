"""docs/cluster.md's section "Ray", line by line, on two Ray nodes of this machine."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from massannot.dataset.reading import open_dataset

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "cluster.md"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes through /proc"),
]


def commands() -> str:
    """The section's block, with this machine for HEAD."""
    ray = pytest.importorskip("ray")
    section = PAGE.read_text().partition("## Ray\n")[2].partition("\n## ")[0]
    block = re.search(r"```bash\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return block[1].replace("HEAD:", f"{ray.util.get_node_ip_address()}:")


@pytest.fixture
def environment():
    """A home of its own, for Ray's token; what was started in it is ended."""
    home = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # short: sockets lie in it
    mark = f"RAY_TMPDIR={home}"
    bin_folder = str(Path(sys.executable).parent)
    yield {
        **os.environ,
        "HOME": home,
        "RAY_TMPDIR": home,
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
    shutil.rmtree(home, ignore_errors=True)


@pytest.mark.seen("Ray", "embedded")
@pytest.mark.seen("plan and run", "embedded")
def test_the_section_is_followed_literally(tmp_path_factory, environment):
    folder = tmp_path_factory.mktemp("cluster")
    with socket.socket() as port:
        if port.connect_ex(("127.0.0.1", 6379)) == 0:
            pytest.skip("port 6379 is taken")
    render = "massannot scenes render rendered --count 2 --frames 12 && mv rendered/videos videos"
    script = f"set -e\n{render}\n{commands()}"
    subprocess.run(["bash", "-c", script], cwd=folder, env=environment, check=True, timeout=600)
    assert open_dataset(folder / "out").table("clips").num_rows == 2
    assert (folder / "published" / "README.md").exists()
    token = (Path(environment["HOME"]) / ".ray" / "auth_token").read_text()
    told = [path for path in folder.rglob("*") if path.is_file()]
    assert not any(token.encode() in path.read_bytes() for path in told)
