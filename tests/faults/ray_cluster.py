"""A Ray cluster of several machines on this one."""

import contextlib
import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


@contextlib.contextmanager
def cluster(*cpus: int) -> Iterator:
    """A `ray.cluster_utils.Cluster` with a machine for each number of CPUs."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    ray = pytest.importorskip("ray")
    made = cluster_utils.Cluster()
    try:
        for number in cpus:
            made.add_node(num_cpus=number, include_dashboard=False, object_store_memory=80 * 2**20)
        made.wait_for_nodes()
        yield made
    finally:
        ray.shutdown()
        made.shutdown()
