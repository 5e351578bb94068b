"""Layout: where things lie in an output folder. `data/` and `README.md` are for everybody; `_run/`
is private and holds whatever is not final.

An output folder may lie in a bucket. Then journals, parts, plans and logs lie in a local working
folder of its own, which may be thrown away: what is finished lies in the bucket.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from massannot.plan import shared as shared_plan
from massannot.storage.path import BucketPath, place

WORK_DIR = "MASSANNOT_WORK_DIR"
"""The variable that names the folder of working folders; the user's cache without it."""


PUBLISHED_RECORD = "massannot.json"
"""The record of a published dataset, in its folder."""


@dataclass(frozen=True)
class Layout:
    """The names below one output folder. `out` may be an address, see bucket_path.place."""

    out: Path
    local: Path = field(init=False, compare=False)
    """The working folder beside one in a bucket; of a local output folder, the folder itself."""

    def __post_init__(self) -> None:
        out = place(self.out)
        object.__setattr__(self, "out", out)
        object.__setattr__(self, "local", working_folder(out) if self.in_bucket else out)

    @property
    def in_bucket(self) -> bool:
        return isinstance(self.out, BucketPath)

    @property
    def data(self) -> Path:
        return self.out / "data"

    @property
    def card(self) -> Path:
        return self.out / "README.md"

    @property
    def run(self) -> Path:
        return self.out / "_run"

    @property
    def record(self) -> Path:
        return self.run / "spec.json"

    @property
    def plans(self) -> Path:
        local = self.local / "_run" / "plan"
        if isinstance(self.out, BucketPath):
            shared_plan.fetch(self.out / "_run" / "plan", local)
        return local

    @property
    def commits(self) -> Path:
        return self.run / "commits"

    @property
    def leases(self) -> Path:
        return self.run / "leases"

    @property
    def logs(self) -> Path:
        return self.local / "_run" / "logs"

    @property
    def staging(self) -> Path:
        return self.local / "_run" / "staging"

    @property
    def lock(self) -> Path:
        """Who takes something back holds this."""
        return self.local / "_run" / "lock"

    @property
    def journals(self) -> Path:
        return self.local / "_run" / "journal"

    def published(self, table: str, shard: str) -> Path:
        return self.data / table / f"{shard}.parquet"

    def commit(self, edition: str) -> Path:
        return self.commits / f"{edition}.json"

    def uploads(self, edition: str) -> Path:
        """In the bucket: the files of a shard's generation before they are published."""
        return self.run / "staging" / edition

    def attempt(self, edition: str, attempt: int) -> Path:
        """Folder of one attempt at a shard's generation: its parts and, later, its tables."""
        return self.staging / f"{edition}.{attempt}"

    def journal(self, edition: str, attempt: int) -> Path:
        return self.journals / f"{edition}.{attempt}.jsonl"

    def attempts(self, edition: str) -> list[int]:
        """Numbers of the attempts at it that left something, in order."""
        found = {attempt for name, attempt in self._attempts(f"{edition}.*") if name == edition}
        return sorted(found)

    def shards_in_staging(self) -> set[str]:
        """Generations of shards, see `edition`, of which attempts have left something."""
        return {name for name, _ in self._attempts("*")}

    def new_attempt(self, edition: str) -> int:
        """Reserve the next attempt by making its folder: two drivers get two numbers."""
        attempt = max(self.attempts(edition), default=0) + 1
        while True:
            try:
                self.attempt(edition, attempt).mkdir(parents=True)
            except FileExistsError:
                attempt += 1
            else:
                return attempt

    def _attempts(self, pattern: str) -> Iterator[tuple[str, int]]:
        for path in (*self.staging.glob(pattern), *self.journals.glob(pattern)):
            name, _, attempt = path.name.removesuffix(".jsonl").rpartition(".")
            if name and attempt.isdigit():
                yield name, int(attempt)


def drop_plans(layout: Layout) -> None:
    """Remove the folder's plans, here and in a bucket."""
    shutil.rmtree(layout.local / "_run" / "plan", ignore_errors=True)
    if isinstance(layout.out, BucketPath):
        shared_plan.drop(layout.out / "_run" / "plan")


def cache_folder() -> Path:
    """This user's folder, on this machine, for what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "massannot"


def working_folder(out: Path) -> Path:
    """The local folder of an output folder in a bucket: its own, and the same at every start."""
    address = str(out)
    chosen = os.environ.get(WORK_DIR)
    readable = re.sub(r"[^A-Za-z0-9.-]+", "-", address.partition("://")[2])[-60:].strip("-.")
    digest = hashlib.blake2b(address.encode(), digest_size=6).hexdigest()
    return (Path(chosen) if chosen else cache_folder()) / f"{readable}-{digest}"
