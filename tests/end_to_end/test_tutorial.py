"""docs/tutorial.md is followed line by line, commands and Python in their order."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
MASSANNOT = [sys.executable, "-c", "from massannot.cli import main; main()"]

pytestmark = pytest.mark.slow


def steps() -> list[list[str]]:
    """Each command, and each block of Python, as a process's arguments."""
    blocks = re.findall(
        r"^```(\w*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    found: list[list[str]] = []
    for language, block in blocks:
        if language == "python":
            found.append([sys.executable, "-c", block])
        else:
            lines = [
                line
                for line in block.replace("\\\n", " ").splitlines()
                if line.startswith("massannot ")
            ]
            found += [[*MASSANNOT, *shlex.split(line)[1:]] for line in lines]
    return found


@pytest.mark.seen("films and report", "embedded")
@pytest.mark.seen("exports", "embedded")
@pytest.mark.seen("publish", "embedded")
def test_the_tutorial_is_followed_literally(tmp_path: Path) -> None:
    ran = steps()
    assert sum(step[-1].startswith("import") for step in ran) == 2
    assert len(ran) >= 11
    off_m = []
    for step in ran:
        done = subprocess.run(
            step,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, f"{step}\n{done.stdout}\n{done.stderr}"
        if "annotate" in step:
            assert "'a red box': 1 in 1 of 1 clip" in done.stdout
            assert "'a green cone': never found" in done.stdout
        if "evaluate" in step:
            off_m.append(
                float(re.findall(r"^positions +median_error_m +(\S+)", done.stdout, re.M)[0])
            )
    without_lens, with_lens = off_m
    assert 0.2 < without_lens < 0.9, "some decimetres"
    assert with_lens < without_lens / 3, "several times nearer"
    assert {path.name for path in tmp_path.iterdir()} >= {"out", "rows", "coco", "dataset"}
