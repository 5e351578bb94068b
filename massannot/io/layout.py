"""Layout: where things lie in an output folder. `data/` and `README.md` are for everybody; `_run/`
is private and holds whatever is not final."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The names below one output folder."""

    out: Path

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
        return self.run / "run.json"

    @property
    def plans(self) -> Path:
        return self.run / "plan"

    @property
    def commits(self) -> Path:
        return self.run / "commits"

    @property
    def logs(self) -> Path:
        return self.run / "logs"

    @property
    def staging(self) -> Path:
        return self.run / "staging"

    @property
    def journals(self) -> Path:
        return self.run / "journal"

    def published(self, table: str, shard: str) -> Path:
        return self.data / table / f"{shard}.parquet"

    def commit(self, shard: str) -> Path:
        return self.commits / f"{shard}.json"

    def attempt(self, shard: str, attempt: int) -> Path:
        """Folder of one attempt at a shard: its parts and, later, its tables."""
        return self.staging / f"{shard}.{attempt}"

    def journal(self, shard: str, attempt: int) -> Path:
        return self.journals / f"{shard}.{attempt}.jsonl"

    def attempts(self, shard: str) -> list[int]:
        """Numbers of the attempts at a shard that left something, in order."""
        return sorted({attempt for name, attempt in self._attempts(f"{shard}.*") if name == shard})

    def shards_in_staging(self) -> set[str]:
        """Shards of which attempts have left something."""
        return {name for name, _ in self._attempts("*")}

    def new_attempt(self, shard: str) -> int:
        """Reserve the next attempt at a shard by making its folder: two drivers get two numbers."""
        attempt = max(self.attempts(shard), default=0) + 1
        while True:
            try:
                self.attempt(shard, attempt).mkdir(parents=True)
            except FileExistsError:
                attempt += 1
            else:
                return attempt

    def _attempts(self, pattern: str) -> Iterator[tuple[str, int]]:
        for path in (*self.staging.glob(pattern), *self.journals.glob(pattern)):
            shard, _, attempt = path.name.removesuffix(".jsonl").rpartition(".")
            if shard and attempt.isdigit():
                yield shard, int(attempt)
