"""docs/slurm/annotate.sbatch hands signals on, requeues what was interrupted, and says the rest."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "slurm" / "annotate.sbatch"
INTERRUPTED = "trap 'sleep 0.2; exit 75' USR1; touch \"$2.begun\"; while :; do sleep 0.05; done"
REQUEUE = 'echo "$@" > "$REQUEUED.new"; mv "$REQUEUED.new" "$REQUEUED"; kill $PPID'


@pytest.mark.parametrize(
    ("run", "number", "code", "requeued"),
    [
        pytest.param("exit 0", None, 0, None, id="done"),
        pytest.param("exit 3", None, 3, None, id="too many failed"),
        pytest.param(INTERRUPTED, signal.SIGUSR1, None, "requeue 7_2", id="the time is nearly up"),
        pytest.param(INTERRUPTED, signal.SIGTERM, None, "requeue 7_2", id="preempted"),
    ],
)
def test_the_script(tmp_path, run, number, code, requeued):
    for name, body in (("massannot", run), ("scontrol", REQUEUE)):
        program = tmp_path / name
        program.write_text(f"#!/bin/bash\n{body}\n")
        program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SLURM_ARRAY_JOB_ID": "7",
        "SLURM_ARRAY_TASK_ID": "2",
        "REQUEUED": str(tmp_path / "requeued"),
    }
    process = subprocess.Popen(
        ["bash", str(SCRIPT), str(tmp_path / "plan"), str(tmp_path / "out")],
        env=environment,
        start_new_session=True,
    )
    try:
        if number is not None:
            while not (tmp_path / "plan.begun").exists():
                time.sleep(0.02)
            os.kill(process.pid, number)
        found = tmp_path / "requeued"
        while process.poll() is None and not found.exists():
            time.sleep(0.02)
        if code is not None:
            assert process.wait(timeout=20) == code
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert (found.read_text().strip() if found.exists() else None) == requeued
