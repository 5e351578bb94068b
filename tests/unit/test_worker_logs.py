"""Every driver's workers write logs of their own, whoever else works on the same folder, and of all
logs what was said last of a clip is read."""

import os
import socket

import pytest

from massannot.dataset.journal import ClipKey
from massannot.dataset.layout import Layout
from massannot.engine.handles import log_of
from massannot.engine.worker import ReadPlanned
from massannot.engine.worker_config import WorkerConfig, driver_name
from massannot.jobs.explain import said_of
from tests.faults.tiny_run import SAMPLING, Tiny


@pytest.mark.parametrize(
    ("share", "host", "pid", "name"),
    [
        pytest.param("", "node1", 41, "worker-3.node1.41.log", id="the whole"),
        pytest.param("", "node1", 42, "worker-3.node1.42.log", id="another driver"),
        pytest.param("", "node2", 41, "worker-3.node2.41.log", id="another machine"),
        pytest.param("0-of-8", "node1", 41, "worker-3.0-of-8.node1.41.log", id="a share"),
        pytest.param("7-of-8", "node1", 41, "worker-3.7-of-8.node1.41.log", id="its like"),
    ],
)
def test_a_log_s_name_says_whose_it_is(tmp_path, monkeypatch, share, host, pid, name):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    monkeypatch.setattr(os, "getpid", lambda: pid)
    reader = ReadPlanned(SAMPLING)
    config = WorkerConfig(tmp_path, 3, "cpu", Tiny(), reader, 1, driver_name(share))
    assert log_of(config) == tmp_path / "_run" / "logs" / name


def test_what_was_written_last_of_a_clip_counts_whoever_wrote_last(tmp_path):
    logs = Layout(tmp_path).logs
    logs.mkdir(parents=True)
    failed = "2026-01-01 10:00:00,100 ERROR worker clip v.mp4#0 failed in track"
    done = "2026-01-01 10:00:00,200 INFO worker clip v.mp4#0 done as abc in shard 000000, 1 s"
    later = "2026-01-02 10:00:00,000 INFO worker clip w.mp4#0 done as def in shard 000001, 1 s"
    (logs / "worker-0.b.log").write_text(f"{done}\n")
    (logs / "worker-0.a.log").write_text(f"{failed}\nTraceback\n{later}\n")
    (logs / "worker-0.c.log").write_text(f"{failed}\nTraceback\n{later}\n")
    assert said_of(Layout(tmp_path), ClipKey("v.mp4", 0)) == (done,)
