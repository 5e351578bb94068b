"""Every command of docs/buckets.md runs, as printed, against an S3 server on localhost."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from massannot.storage.store import store_of
from tests import s3_server

ROOT = Path(__file__).parents[2]
ORACLES = "--profile none --scenes world --oracle detect,masks,depth,tracks,cameras"


def commands() -> list[str]:
    text = (ROOT / "docs" / "buckets.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [line for line in "".join(blocks).splitlines() if line.startswith("massannot ")]


@pytest.mark.seen("buckets", "oracle")
@pytest.mark.slow
def test_the_commands_run_in_the_order_in_which_they_stand(tmp_path: Path) -> None:
    """One change: the annotations are answered by the truth: weights are not here."""
    options = SceneOptions(width=96, height=80, n_frames=12)
    (record,) = write_scenes(tmp_path / "world", seeds=[3], options=options)
    with s3_server.running("bucket") as server:
        store_of("s3://bucket/").upload(
            tmp_path / "world" / record.video, f"s3://bucket/videos/{Path(record.video).name}"
        )
        ran = commands()
        assert len(ran) == 6
        for command in ran:
            if "annotate" in command:
                command += " " + ORACLES
            program = [sys.executable, "-c", "from massannot.cli import main; main()"]
            done = subprocess.run(
                [*program, *shlex.split(command)[1:]],
                cwd=tmp_path,
                env=os.environ
                | {
                    "PYTHONPATH": str(ROOT),
                    "OMP_NUM_THREADS": "1",
                    "MASSANNOT_WORK_DIR": str(tmp_path / "work"),
                },
                capture_output=True,
                text=True,
                timeout=400,
                check=False,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            assert s3_server.SECRET not in done.stdout + done.stderr
        texts = [path.read_bytes() for path in (tmp_path / "work").rglob("*") if path.is_file()]
        uris = [entry.uri for entry in store_of("s3://bucket/").list("s3://bucket/")]
        texts += [store_of(uri).get(uri) for uri in uris]
        for secret in (s3_server.SECRET.encode(), s3_server.KEY.encode()):
            assert not any(secret in text for text in texts)
        assert server.requests
    assert (tmp_path / "dataset" / "README.md").exists()
