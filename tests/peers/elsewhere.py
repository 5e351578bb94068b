"""Code run by the Python of another environment, in which a peer's own packages lie."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "PYTHONPATH": ""}


def found_by(python: str, code: str, *arguments: str | Path) -> Any:
    """The JSON value that the code's last line prints. `code` sees `sys.argv[1:]`; nothing is
    downloaded. Raises RuntimeError with what its errors say."""
    done = subprocess.run(
        [python, "-c", code, *map(str, arguments)],
        env=os.environ | OFFLINE,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        causes = [line for line in done.stderr.splitlines() if "Error: " in line]
        raise RuntimeError(" <- ".join(reversed(causes)) or done.stderr[-400:])
    return json.loads(done.stdout.splitlines()[-1])


def told(name: str, *, right: bool, said: str) -> int:
    """Print a line about one reader; 1 where it found something else than what was written."""
    print(f"{name}: {'right' if right else 'WRONG'}: {said}")
    return int(not right)
