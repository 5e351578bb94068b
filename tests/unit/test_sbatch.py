"""docs/slurm/annotate.sbatch hands signals on, and requeues itself only ahead of the time limit."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "slurm" / "annotate.sbatch"
INTERRUPTED = """\
trap 'sleep 0.2; echo USR1 >> "$4.signals"; exit 75' USR1
trap 'sleep 0.2; echo TERM >> "$4.signals"; exit 75' TERM
touch "$4.begun"
while :; do sleep 0.05; done
"""
SLOWLY_INTERRUPTED = """\
trap 'echo USR1 >> "$4.signals"' USR1
trap 'echo TERM >> "$4.signals"; exit 75' TERM
touch "$4.begun"
while :; do sleep 0.05; done
"""
REQUEUE = 'echo "$@" > "$REQUEUED.new"; mv "$REQUEUED.new" "$REQUEUED"; kill -KILL $PPID'
"""Slurm ends the script while it waits for it."""

USR1, TERM = signal.SIGUSR1, signal.SIGTERM


@pytest.mark.parametrize(
    ("run", "signals", "code", "requeued"),
    [
        pytest.param("exit 0", [], 0, None, id="done"),
        pytest.param("exit 3", [], 3, None, id="too many failed"),
        pytest.param("exit 75", [], 75, None, id="interrupted by somebody else"),
        pytest.param(
            INTERRUPTED, [USR1], -signal.SIGKILL, "requeue 7_2", id="the time is nearly up"
        ),
        pytest.param(INTERRUPTED, [TERM], 75, None, id="cancelled or preempted"),
        pytest.param(SLOWLY_INTERRUPTED, [USR1, TERM], 75, None, id="cancelled on its way out"),
    ],
)
def test_the_script(tmp_path, run, signals, code, requeued):
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
    came, found = tmp_path / "out.signals", tmp_path / "requeued"
    try:
        if signals:
            wait_for(lambda: (tmp_path / "out.begun").exists())
        for number, at_least in zip(signals, range(1, 9)):
            os.kill(process.pid, number)
            wait_for(
                lambda at_least=at_least: came.exists() and came.read_text().count("\n") >= at_least
            )
        assert process.wait(timeout=20) == code
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert (found.read_text().strip() if found.exists() else None) == requeued
    names = [number.name.removeprefix("SIG") for number in signals]
    assert (came.read_text().split() if came.exists() else []) == names


def wait_for(happened):
    until = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.02)
