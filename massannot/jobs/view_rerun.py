"""`massannot view --rerun`: a dataset's first clips in Rerun's own viewer."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from massannot.dataset.reading import open_dataset
from massannot.errors import NothingToRun
from massannot.exporters import rerun
from massannot.models.recorded.rrd_recording import need_rerun

CLIPS = 20
"""Clips that are opened: the viewer holds all of them in memory."""
_HOST = "127.0.0.1"
"""What the viewer listens on for programs that log to it; its own default is every network."""
_VIEWER = "from rerun_cli.__main__ import main; raise SystemExit(main())"
"""`python -m rerun_cli` drops the exit code."""


def view(out: Path) -> None:
    """Write the recordings into a temporary folder and open them; returns when the viewer is
    closed. Raises UsageError for a folder without a dataset, NothingToRun without rerun-sdk or
    where the viewer ends with an error."""
    need_rerun()
    with tempfile.TemporaryDirectory(prefix="massannot-rerun-") as folder:
        options = rerun.RerunOptions(clips=CLIPS)
        written = rerun.export(open_dataset(out), Path(folder), options=options)
        for sentence in written.notes:
            print(f"note: {sentence}", file=sys.stderr)
        paths = map(str, written.files)
        code = subprocess.call([sys.executable, "-c", _VIEWER, "--bind", _HOST, *paths])
    if code:
        raise NothingToRun(
            f"Rerun's viewer ended with {code}; `massannot export rerun {out} DEST` writes its "
            "files, to be opened elsewhere"
        )
