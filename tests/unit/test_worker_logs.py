"""Every driver's workers write logs of their own, whoever else works on the same folder."""

import socket
from pathlib import Path

import pytest

from massannot.executors.order import Order, driver_name
from massannot.executors.read_planned import ReadPlanned
from massannot.executors.worker_handle import log_of
from massannot.io.plan import Plan
from massannot.io.plan_folder import PlanFolder, Retry
from tests.faults.tiny_run import SAMPLING, Tiny

PLAN = Path("plan")


@pytest.mark.parametrize(
    ("asked", "host", "name"),
    [
        pytest.param(Plan(()), "node1", "worker-3.node1.log", id="annotate"),
        pytest.param(Retry(("failed",)), "node1", "worker-3.node1.log", id="retry"),
        pytest.param(PlanFolder(PLAN), "node2", "worker-3.node2.log", id="another machine"),
        pytest.param(
            PlanFolder(PLAN, share=0, of=8), "node1", "worker-3.0-of-8.node1.log", id="a share"
        ),
        pytest.param(
            PlanFolder(PLAN, share=7, of=8), "node1", "worker-3.7-of-8.node1.log", id="its like"
        ),
    ],
)
def test_a_log_s_name_says_whose_it_is(tmp_path, monkeypatch, asked, host, name):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    order = Order(tmp_path, 3, "cpu", Tiny(), ReadPlanned(SAMPLING), 1, driver_name(asked))
    assert log_of(order) == tmp_path / "_run" / "logs" / name
