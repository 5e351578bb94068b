"""Leases: which driver has which shard in hand, so that several on one output do not pay twice.

A driver takes a shard by putting `_run/leases/<shard>.json` under a name that must not exist yet,
and removes the file when the shard is committed, or when it ends. While it lives it writes its
heartbeat `_run/leases/<driver>.beat` anew every few seconds. A lease whose driver gave no sign for
TIME_TO_LIVE_S is void; so is, at once, that of a process of this machine that has ended. When a
beat was written is the store's word, and so is what time it is: clocks of hosts are not compared.

A lease saves work and decides nothing: of two attempts at a shard the first commit wins, whoever
held what. So every doubt ends in work done twice, and none in a row lost.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from massannot.dataset.layout import Layout
from massannot.errors import MassannotError
from massannot.storage import durable
from massannot.storage.file_lock import locked
from massannot.storage.path import BucketPath
from massannot.storage.store import StoreSilent

TIME_TO_LIVE_S = 60.0
BEAT_S = 15.0
"""Three beats may be lost: a store that is slow for half a minute costs nothing."""
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Holder:
    """A driver, as its leases name it."""

    driver: str
    machine: str
    """Where its process number means something."""
    pid: int
    started: str
    """When that process began: numbers are given again."""


class Leases:
    """This driver's, inside the `with` block; at its end all are given back."""

    def __init__(self, layout: Layout, *, beat_s: float = BEAT_S, live_s: float = TIME_TO_LIVE_S):
        self._folder = layout.leases
        self._lock = layout.lock
        self._written_in = (layout.out, layout.run, layout.commits, layout.leases)
        self._beat_s, self._live_s = beat_s, live_s
        self._me = Holder(uuid.uuid4().hex, _machine(), os.getpid(), _start_of(os.getpid()))
        self._held: set[str] = set()
        self._store_ahead_s = 0.0
        """The store's clock less time.monotonic()."""
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._keep_beating, name="leases", daemon=True)

    def __enter__(self) -> Leases:
        with durable.full_disk_refused(self._folder):
            self._beat()
        self._beating.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._ended.set()
        if kind is not None and issubclass(kind, StoreSilent):
            return  # it has been waited for long enough
        self._beating.join(timeout=BEAT_S)  # no beat may come after the last
        with _unless_unwell("given back"):
            for shard in tuple(self._held):
                self.give_back(shard)
            self._beat_of(self._me.driver).unlink(missing_ok=True)
            self.sweep()

    def take(self, shard: str) -> bool:
        """Whether the shard is this driver's from now on; False: another living one has it."""
        if shard in self._held:
            return True
        with durable.full_disk_refused(self._folder):
            if not self._put(self._path(shard)):
                return False
        self._held.add(shard)
        return True

    def _put(self, path: Path) -> bool:
        if durable.write_once(path, self._content):
            return True
        with locked(self._lock):  # of those on one machine one takes over
            if not self._is_void(path):
                return False
            path.unlink(missing_ok=True)
            return durable.write_once(path, self._content)

    def give_back(self, shard: str) -> None:
        """The shard is settled, or somebody else may have it. Harmless for one not held."""
        if shard in self._held:
            self._held.remove(shard)
            path = self._path(shard)
            with contextlib.suppress(FileNotFoundError):
                if path.read_bytes() == self._content:  # no longer, after a minute's silence
                    path.unlink(missing_ok=True)

    @property
    def _content(self) -> bytes:
        return json.dumps(asdict(self._me)).encode()

    def _path(self, shard: str) -> Path:
        return self._folder / f"{shard}.json"

    def _beat_of(self, driver: str) -> Path:
        return self._folder / f"{driver}.beat"

    def _is_void(self, path: Path) -> bool:
        try:
            holder = Holder(**json.loads(path.read_bytes()))
            if _has_ended(holder):
                return True
            return self._is_late(self._beat_of(holder.driver))
        except FileNotFoundError:
            return True  # just given back
        except (TypeError, ValueError):  # no lease of ours
            return self._is_late(path)

    def _is_late(self, file: Path) -> bool:
        try:
            age_s = time.monotonic() + self._store_ahead_s - _written_s(file)
        except FileNotFoundError:
            return True  # its driver has ended
        return age_s > self._live_s

    def _keep_beating(self) -> None:
        while not self._ended.wait(self._beat_s):
            with _unless_unwell("renewed"):
                self._beat()

    def _beat(self) -> None:
        beat = self._beat_of(self._me.driver)
        durable.write_over(beat, self._content)
        self._store_ahead_s = _written_s(beat) - time.monotonic()

    def sweep(self) -> None:
        """Remove what killed drivers left, half-written files too, if no other is alive. Before it
        has a heartbeat of its own, a driver judges only those of this machine."""
        with _unless_unwell("swept"):
            # Leases first: who takes one meanwhile has a beat by then, and that one is seen.
            leases, beats = (list(self._folder.glob(f"[!.]*.{kind}")) for kind in ("json", "beat"))
            if all(self._is_void(beat) for beat in beats):  # it names its driver, as a lease does
                for file in (*leases, *beats, *self._half_written()):
                    file.unlink(missing_ok=True)

    def _half_written(self) -> list[Path]:
        """Private files of writers that were killed; in a bucket there are none."""
        if isinstance(self._folder, BucketPath):
            return []
        files = [file for folder in self._written_in for file in folder.glob(durable.PRIVATE)]
        return [file for file in files if self._is_late(file)]


@contextlib.contextmanager
def _unless_unwell(what: str) -> Iterator[None]:
    """A full disk or a silent store: the run itself says so, and leases end by themselves."""
    try:
        yield
    except (OSError, MassannotError) as error:
        LOG.warning("leases are not %s: %s", what, error)


def _written_s(path: Path) -> float:
    """When a file was written, in seconds, by the clock of the disk or store that holds it."""
    if isinstance(path, BucketPath):
        return path.stat().st_mtime
    with open(path, "rb") as opened:  # which asks a file server: `stat` may be a minute late
        return os.fstat(opened.fileno()).st_mtime


def _has_ended(holder: Holder) -> bool:
    """Whether it was a process of this machine and is no more; False where nobody knows."""
    if holder.machine != _machine() or not holder.started:
        return False
    return _start_of(holder.pid) != holder.started


@cache
def _machine() -> str:
    """This start of this machine, and the names of processes that are seen here: two containers
    may share all but the last."""
    known = [socket.gethostname()]
    with contextlib.suppress(OSError):
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        known.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(known)


def _start_of(pid: int) -> str:
    """When a process began, in the kernel's ticks; empty: there is none, or no /proc."""
    with contextlib.suppress(OSError, IndexError):
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if after_name[0] in "ZX" else after_name[19]
    return ""
