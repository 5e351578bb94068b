"""Prefetch: the next clips are decoded while the models work on this one.

One thread walks a shard's videos in order, the next shard's when it has read them all. It is
bounded in bytes, not in clips: the reader asks its ByteBudget for memory, and waits until the
worker has released a clip.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from massannot.clip import Clip
from massannot.errors import ClipError
from massannot.plan.planned_videos import PlannedVideo
from massannot.video.reader import VideoEnd, release

Read = Callable[[PlannedVideo], Generator[Clip | VideoEnd, None, None]]


@dataclass(frozen=True, eq=False)
class Item:
    """What a video gave next: a clip, its end, or the reason why it gives no more."""

    number: int
    """0.. the video's place in the shard."""
    video: PlannedVideo
    content: Clip | VideoEnd | ClipError


def read_in_turn(
    videos: Sequence[tuple[int, PlannedVideo]],
    read: Read,
    *,
    before: Callable[[PlannedVideo], None] = lambda video: None,
) -> Generator[Item, None, None]:
    """Every item of the videos, without reading ahead. `before` is called before each is read."""
    for number, video in videos:
        with contextlib.closing(read(video)) as items:
            while True:
                before(video)
                try:
                    content = next(items)
                except StopIteration:
                    break
                except ClipError as error:
                    yield Item(number, video, error)
                    break
                yield Item(number, video, content)


class Prefetch:
    """The same items, read ahead in a thread that begins at once, or when `after` has read all of
    its own; only then it asks which videos. Leaving the `with` block releases what was read and not
    taken."""

    def __init__(
        self,
        videos: Callable[[], Sequence[tuple[int, PlannedVideo]]],
        read: Read,
        *,
        after: Prefetch | None = None,
        at_end: Callable[[], None] = lambda: None,
    ):
        self._videos = videos
        self._read = read
        self._after = after
        self._at_end = at_end
        self._queue: queue.SimpleQueue[Item | BaseException | None] = queue.SimpleQueue()
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._read_ahead, name="prefetch", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        while self._thread.is_alive() or not self._queue.empty():
            with contextlib.suppress(queue.Empty):
                _release(self._queue.get(timeout=0.05))

    def __iter__(self) -> Iterator[Item]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def _read_ahead(self) -> None:
        if self._after is not None:
            self._after._thread.join()
            self._after = None
        try:
            with contextlib.closing(read_in_turn(self._videos(), self._read)) as items:
                while not self._left.is_set() and (item := next(items, None)):
                    self._queue.put(item)
            if not self._left.is_set():
                self._at_end()
        except BaseException as error:  # a bug: it rises where the items are taken
            self._queue.put(error)
        finally:
            self._queue.put(None)


def _release(item: Item | BaseException | None) -> None:
    if isinstance(item, Item) and isinstance(item.content, Clip):
        release(item.content)
