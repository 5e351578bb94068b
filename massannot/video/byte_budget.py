"""ByteBudget: a limit on the bytes of decoded pictures that one worker holds at a time.

Bytes are first *reserved* by a reader for a clip in the making, then *delivered* to the consumer,
then *released* by the consumer. Bytes that a forgotten view still shows after the release are
*viewed*: they count until the view goes. A reader waits while the budget is full and a release can
still come. Where nothing is delivered and every other reader waits too, the reservation is granted
although it exceeds the limit (one clip larger than the budget, or overlapping spans decoded in one
pass), because waiting would be for ever.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable


class ByteBudget:
    """Shared by all readers of one worker; thread-safe. `limit_bytes` None: no limit.

    Consumers take clips in the order in which they come: one that insists on a reader's clips
    while it holds another reader's back can wait for ever.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        if limit_bytes is not None and limit_bytes < 1:
            raise ValueError(f"byte budget: found {limit_bytes}, expected at least 1")
        self.limit_bytes = limit_bytes
        self._changed = threading.Condition()
        self._reserved: Counter[Hashable] = Counter()
        self._waiting: set[Hashable] = set()
        self._delivered = 0
        self._viewed = 0

    @property
    def held_bytes(self) -> int:
        """Bytes reserved, delivered and not yet released, or still viewed."""
        with self._changed:
            return self._held()

    def acquire(self, nbytes: int, *, reader: Hashable) -> None:
        """Reserve `nbytes` for a clip that `reader` is about to decode; wait until they fit."""
        with self._changed:
            self._waiting.add(reader)
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: self._fits(nbytes) or self._stuck(reader))
                self._reserved[reader] += nbytes
            finally:
                self._waiting.discard(reader)

    def try_acquire(self, nbytes: int, *, reader: Hashable) -> bool:
        """Reserve `nbytes` if they fit now; True if they did."""
        with self._changed:
            if not self._fits(nbytes):
                return False
            self._reserved[reader] += nbytes
            return True

    def deliver(self, nbytes: int, *, reader: Hashable) -> None:
        """Pass the reader's clip of `nbytes` to the consumer."""
        with self._changed:
            self._reserved[reader] -= nbytes
            self._delivered += nbytes
            self._changed.notify_all()

    def release(self, nbytes: int, *, viewed: bool = False) -> None:
        """Free a delivered clip that the consumer gave back; `viewed`: once `view_ended`."""
        with self._changed:
            self._delivered -= nbytes
            self._viewed += nbytes if viewed else 0
            self._changed.notify_all()

    def view_ended(self, nbytes: int) -> None:
        """The last view of a clip that was released is gone."""
        with self._changed:
            self._viewed -= nbytes
            self._changed.notify_all()

    def give_back(self, *, reader: Hashable) -> None:
        """Free the unused reservations of `reader`, which has ended."""
        with self._changed:
            self._reserved.pop(reader, None)
            self._changed.notify_all()

    def _held(self) -> int:
        return sum(self._reserved.values()) + self._delivered + self._viewed

    def _fits(self, nbytes: int) -> bool:
        return self.limit_bytes is None or self._held() + nbytes <= self.limit_bytes

    def _stuck(self, reader: Hashable) -> bool:
        """Whether no release can come while `reader` waits."""
        working = [
            other
            for other, nbytes in self._reserved.items()
            if nbytes > 0 and other != reader and other not in self._waiting
        ]
        return self._delivered == 0 and not working
