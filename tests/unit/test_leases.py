"""Who has a shard in hand keeps it as long as it lives, and no longer: in a folder and a bucket."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest

from massannot.dataset import leases as leases_module
from massannot.dataset.layout import Layout
from massannot.dataset.leases import Leases
from massannot.storage import durable
from tests import s3_server

SHARD = "000000"


@pytest.fixture(scope="module")
def server():
    with s3_server.running("bucket") as found:
        yield found


@pytest.fixture(params=["folder", "bucket"])
def layout(request, tmp_path, monkeypatch):
    if request.param == "folder":
        return Layout(tmp_path / "out")
    request.getfixturevalue("server")
    monkeypatch.setenv("MASSANNOT_WORK_DIR", str(tmp_path / "work"))
    return Layout(f"s3://bucket/{tmp_path.name}")


def left(layout: Layout) -> set[str]:
    return {path.suffix for path in layout.leases.glob("*")}


def of_another_machine(layout: Layout, *, beat: bool = True) -> None:
    """Its lease, as if a driver elsewhere had just taken the shard and given a sign of life."""
    other = Leases(layout)
    other._me = replace(other._me, machine="another", pid=1)
    if beat:
        other._beat()
    durable.write_over(other._path(SHARD), json.dumps(asdict(other._me)).encode())


def test_a_shard_is_one_driver_s_until_it_gives_it_back(layout):
    with Leases(layout) as first, Leases(layout) as second:
        assert first.take(SHARD)
        assert first.take(SHARD)
        assert not second.take(SHARD)
        first.give_back(SHARD)
        assert second.take(SHARD)
        assert not first.take(SHARD)
    assert left(layout) == set()


def test_the_end_of_a_driver_gives_back_what_it_has(layout):
    with Leases(layout) as first:
        first.take(SHARD)
        first.take("000001")
    with Leases(layout) as second:
        assert second.take(SHARD)
        assert second.take("000001")


def test_a_living_driver_on_another_machine_keeps_its_shard(layout):
    of_another_machine(layout)
    with Leases(layout) as here:
        assert not here.take(SHARD)
    assert left(layout) == {".beat", ".json"}


@pytest.mark.parametrize("beat", [True, False])
def test_a_driver_on_another_machine_that_gives_no_sign_loses_it(layout, monkeypatch, beat):
    """Time passes on the store's clock: this host's says that it is 1970."""
    of_another_machine(layout, beat=beat)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    with Leases(layout) as here:
        now_s = here._store_ahead_s
        here._store_ahead_s = now_s + 58.0
        assert here.take(SHARD) == (not beat)
        here._store_ahead_s = now_s + 62.0
        assert here.take(SHARD)


def test_a_beat_goes_on_while_the_driver_is_busy(layout):
    with Leases(layout, beat_s=0.1) as busy, Leases(layout, live_s=2.0) as other:
        busy.take(SHARD)
        end = time.monotonic() + 3.0
        while time.monotonic() < end:
            assert not other.take(SHARD)
            time.sleep(0.5)


KILLED = """
import os, sys
from massannot.dataset.layout import Layout
from massannot.dataset.leases import Leases
leases = Leases(Layout(sys.argv[1]))
leases.__enter__()
assert leases.take("000000")
os._exit(9)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="no /proc: after a minute")
def test_what_a_killed_process_of_this_machine_had_is_free_at_once(layout):
    command = [sys.executable, "-c", KILLED, str(layout.out)]
    assert subprocess.run(command).returncode == 9
    assert left(layout) == {".beat", ".json"}
    with Leases(layout) as here:
        assert here.take(SHARD)


def test_a_process_that_has_the_number_of_a_dead_one_is_not_taken_for_it():
    me = leases_module.Leases(Layout("out"))._me
    assert not leases_module._has_ended(me)
    assert leases_module._has_ended(replace(me, started="1"))
    assert leases_module._has_ended(replace(me, pid=2**22 + 1))
    assert not leases_module._has_ended(replace(me, machine="another", pid=2**22 + 1))


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"driver": 1}', b"\xff"])
def test_a_lease_that_nobody_can_read_holds_for_its_time_and_no_longer(layout, content):
    with Leases(layout) as here:
        durable.write_over(here._path(SHARD), content)
        assert not here.take(SHARD)
        here._store_ahead_s += 62.0
        assert here.take(SHARD)


def test_a_driver_that_was_silent_too_long_leaves_the_next_one_s_lease_alone(layout):
    with Leases(layout) as silent, Leases(layout) as awake:
        silent.take(SHARD)
        awake._store_ahead_s += 62.0
        assert awake.take(SHARD)
        silent.give_back(SHARD)
        with Leases(layout) as third:
            assert not third.take(SHARD)


def test_what_killed_drivers_left_is_swept_up_by_the_last_that_ends(layout):
    of_another_machine(layout)
    half = []
    if not layout.in_bucket:
        for final in (layout.record, layout.commit(SHARD), layout.card):
            with durable.private_file(final) as written:
                half.append(written)
            written.write_bytes(b"half")  # its writer was killed
    with Leases(layout):
        pass
    assert all(path.exists() for path in half)  # while another lives, or they may be in hand
    with Leases(layout) as here:
        here._store_ahead_s += 62.0
    assert left(layout) == set()
    assert not any(path.exists() for path in half)


def test_a_driver_that_finds_nothing_to_do_sweeps_up_after_dead_ones_of_its_machine(layout):
    dead = Leases(layout)
    dead._me = replace(dead._me, pid=2**22 + 1)
    dead._beat()
    durable.write_over(dead._path(SHARD), dead._content)
    Leases(layout).sweep()
    assert left(layout) == set()
    of_another_machine(layout)
    Leases(layout).sweep()
    assert left(layout) == {".beat", ".json"}
