"""ByteBudget: readers wait for the consumer, never for each other or themselves."""

from __future__ import annotations

import threading
import time

import pytest

from massannot.video.byte_budget import ByteBudget

A, B = "reader a", "reader b"


def waits(budget: ByteBudget, nbytes: int, *, reader: str) -> threading.Thread:
    """A thread that acquires; it must be waiting a little later."""
    thread = threading.Thread(target=budget.acquire, args=(nbytes,), kwargs={"reader": reader})
    thread.daemon = True
    thread.start()
    thread.join(timeout=0.1)
    assert thread.is_alive()
    return thread


def goes_on(thread: threading.Thread) -> bool:
    thread.join(timeout=10)
    return not thread.is_alive()


def test_a_reader_waits_until_a_delivered_clip_is_released() -> None:
    budget = ByteBudget(100)
    budget.acquire(80, reader=A)
    budget.deliver(80, reader=A)
    waiting = waits(budget, 80, reader=A)
    budget.release(80)
    assert goes_on(waiting)
    assert budget.held_bytes == 80


def test_a_clip_larger_than_the_budget_is_granted_when_nothing_else_is_held() -> None:
    budget = ByteBudget(100)
    budget.acquire(500, reader=A)
    assert budget.held_bytes == 500


def test_a_reader_never_waits_for_its_own_clips_in_the_making() -> None:
    budget = ByteBudget(100)
    budget.acquire(80, reader=A)
    budget.acquire(80, reader=A)
    assert budget.held_bytes == 160


def test_of_two_readers_that_wait_for_each_other_one_goes_on() -> None:
    budget = ByteBudget(100)
    budget.acquire(50, reader=A)
    budget.acquire(50, reader=B)
    first = waits(budget, 50, reader=A)
    second = threading.Thread(target=budget.acquire, args=(50,), kwargs={"reader": B}, daemon=True)
    second.start()
    deadline = time.monotonic() + 10
    while first.is_alive() and second.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [first.is_alive(), second.is_alive()].count(False) == 1
    for reader in (A, B):
        budget.give_back(reader=reader)
    assert goes_on(first)
    assert goes_on(second)


def test_a_reader_that_ends_gives_back_what_it_did_not_use() -> None:
    budget = ByteBudget(100)
    budget.acquire(70, reader=A)
    budget.deliver(20, reader=A)
    budget.give_back(reader=A)
    assert budget.held_bytes == 20
    assert not budget.try_acquire(81, reader=B)
    assert budget.try_acquire(80, reader=B)


def test_bytes_that_a_view_shows_count_until_it_ends_but_nobody_waits_for_it() -> None:
    budget = ByteBudget(100)
    budget.acquire(80, reader=A)
    budget.deliver(80, reader=A)
    budget.release(80, viewed=True)
    assert budget.held_bytes == 80
    assert not budget.try_acquire(30, reader=B)
    budget.acquire(30, reader=B)  # at once: no consumer holds anything that it could release
    budget.view_ended(80)
    assert budget.held_bytes == 30


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="found 0, expected at least 1"):
        ByteBudget(0)
