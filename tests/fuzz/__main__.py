"""Fuzzing: what users hand in, made wrong in ten thousand ways, through the doors it comes in by.

    python -m tests.fuzz [--count 10000] [--seed 0] [--doors film,depth] [--processes 2] [--log F]

Each case is a door and a number, and can be made again from these. It must end in SECONDS_A_CASE,
used or refused by one of our own classes, in bounded memory, and what stands beside the damaged
file must still come. Anything else is printed, and the exit code is 1. Nothing that crashes other
software is kept: the number makes it again. With `--log` every answer becomes a line of that file,
and a case that has one there is not run again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.fuzz.cases import Answer
from tests.fuzz.doors import DOORS

SECONDS_A_CASE = 30.0
STARTING_S = 60.0
"""The first case of a process imports libraries and makes its door's sound files."""
Case = tuple[str, int]


@dataclass
class Process:
    """One process that takes cases, and is replaced when it dies of one."""

    folder: Path
    seconds: float = SECONDS_A_CASE
    case: Case | None = None
    since: float = 0.0
    doors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.cases", str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def give(self, case: Case) -> None:
        self.case, self.since = case, time.monotonic()
        self.popen.stdin.write(f"{case[0]}\t{case[1]}\n".encode())
        self.popen.stdin.flush()

    @property
    def allowed_s(self) -> float:
        return self.seconds + (0 if self.case[0] in self.doors else STARTING_S)

    def heard(self) -> Answer | None:
        """Its answer, or what became of it; None: it is still at work."""
        ready, _, _ = select.select([self.popen.stdout], [], [], 0.01)
        if not ready:
            if time.monotonic() - self.since <= self.allowed_s:
                return None
            return self._ended("bug", f"hangs for {self.allowed_s:.0f} s")
        line = self.popen.stdout.readline()
        if not line:
            code = self.popen.wait()
            return self._ended("bug", f"the process ended with exit code {code}")
        self.doors.add(self.case[0])
        self.case = None
        return Answer(**json.loads(line))

    def _ended(self, outcome: str, why: str) -> Answer:
        door, number = self.case
        self.kill()
        return Answer(door, number, outcome, trace=why)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


def answers_to(
    cases: Sequence[Case], *, processes: int, seconds: float = SECONDS_A_CASE
) -> Iterator[Answer]:
    """Every case's answer, in no order. The caller survives whatever a case does."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    waiting, pool = list(reversed(cases)), []
    try:
        pool = [Process(folder, seconds) for _ in range(min(processes, len(cases)))]
        while waiting or any(process.case for process in pool):
            for place, process in enumerate(pool):
                if process.case is not None and (found := process.heard()) is not None:
                    yield found
                    if process.case is not None:
                        pool[place] = process = Process(folder, seconds)
                if process.case is None and waiting:
                    process.give(waiting.pop())
    finally:
        for process in pool:
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def cases_of(doors: Sequence[str], *, count: int, seed: int) -> list[Case]:
    """`count` in all, as many of each door; those of a door follow one another."""
    each = -(-count // len(doors))
    return [(door, seed + n) for door in doors for n in range(each)][:count]


def logged_answers(path: Path | None) -> dict[Case, Answer]:
    """What earlier runs found; a line that a kill tore is left out."""
    found = {}
    for line in path.read_text().splitlines() if path is not None and path.exists() else ():
        with contextlib.suppress(ValueError):
            answer = Answer(**json.loads(line))
            found[answer.door, answer.number] = answer
    return found


def answers_of(cases: Sequence[Case], *, processes: int, log: Path | None) -> Iterator[Answer]:
    """The answers in the log, then those of the other cases, each of which is added to it."""
    known = logged_answers(log)
    yield from (known[case] for case in cases if case in known)
    with open(log or os.devnull, "a") as file:
        for answer in answers_to([c for c in cases if c not in known], processes=processes):
            file.write(json.dumps(asdict(answer)) + "\n")
            file.flush()
            yield answer


def main() -> int:
    parser = argparse.ArgumentParser(description="damage what users hand in, and hand it in")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--doors", default="", help="parts of names, with commas")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--log", type=Path, help="a file of answers to go on from")
    chosen = parser.parse_args()
    doors = [d for d in DOORS if any(part in d for part in chosen.doors.split(","))]
    began = time.monotonic()
    outcomes: dict[str, Counter[str]] = {door: Counter() for door in doors}
    kinds: Counter[str] = Counter()
    cases = cases_of(doors, count=chosen.count, seed=chosen.seed)
    for found in answers_of(cases, processes=chosen.processes, log=chosen.log):
        outcomes[found.door][found.outcome] += 1
        if found.outcome == "bug":
            kind = (
                f"{found.door}: {found.trace.partition(':')[0]} {found.trace.rpartition(' at ')[2]}"
            )
            kinds[kind] += 1
            if kinds[kind] <= 2:
                print(f"{found.door} {found.number}: {found.trace} ({found.damage})", flush=True)
    print(f"\n{len(cases)} cases in {time.monotonic() - began:.0f} s")
    for door, counts in outcomes.items():
        print(f"{door}: " + ", ".join(f"{name} {n}" for name, n in counts.most_common()))
    for kind, n in kinds.most_common():
        print(f"BUG {n} x {kind}")
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main())
