"""On Ray too: killed from outside at any moment, a run ends as if nothing had been."""

import random
import sys

import pytest

from tests.faults import killing, tiny_run
from tests.faults.ray_cluster import cluster
from tests.faults.siege import Siege, finish

N_VIDEOS = 8
pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes through /proc"),
]


def test_a_run_killed_at_seeded_moments_ends_as_if_nothing_had_been(tmp_path):
    videos = tmp_path / "videos"
    tiny_run.write_videos(videos, N_VIDEOS)
    finish(killing.start(tmp_path / "undisturbed", videos, tmp_path / "tally", workers=1))
    moments = random.Random(0)
    with cluster(2, 2) as made:
        siege = Siege(
            videos, tmp_path / "undisturbed", tmp_path, workers=2, ray_address=made.address
        )
        for number in range(20):
            siege.kill(
                (None, *killing.PHASES)[number % 6],
                whom=("driver", "worker", "actor")[number % 3],
                delay_s=moments.uniform(0, 0.5),
            )
        siege.end()
    print(f"kills by phase {dict(siege.hits)}")
    assert set(siege.hits) == set(killing.PHASES)
