"""The lock of one process at a time, with the kernel's locks and without."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from massannot.errors import NothingToRun
from massannot.storage import file_lock
from massannot.storage.file_lock import locked


@pytest.fixture(params=["fcntl", "a created file"])
def lock(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param != "fcntl":
        monkeypatch.setattr(file_lock, "fcntl", None)
    return tmp_path / "run" / "lock"


def test_one_holder_at_a_time(lock: Path) -> None:
    inside = 0
    most = 0
    order = threading.Lock()

    def hold() -> None:
        nonlocal inside, most
        with locked(lock):
            with order:
                inside += 1
                most = max(most, inside)
            time.sleep(0.02)
            with order:
                inside -= 1

    threads = [threading.Thread(target=hold) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert (inside, most) == (0, 1)


def test_a_lock_is_free_after_an_error_inside(lock: Path) -> None:
    with pytest.raises(KeyError), locked(lock):
        raise KeyError
    with locked(lock):
        pass


def test_a_lock_that_a_dead_process_left_is_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_lock, "fcntl", None)
    monkeypatch.setattr(file_lock, "PATIENCE_S", 0.1)
    left = tmp_path / "lock.held"
    left.touch()
    refused = pytest.raises(NothingToRun, match=r"lock\.held: .*remove the file if no other")
    with refused, locked(tmp_path / "lock"):
        pytest.fail("another process holds the lock")
    assert left.exists()
