"""One case of the fuzzing, in a process that may die of it: reads `door<TAB>number` lines, answers
each with a line of JSON."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from massannot.errors import MassannotError
from tests.fuzz.doors import DOORS, TEETH
from tests.fuzz.mutations import mutate

MEMORY_BYTES = 6 << 30
"""Address space of a process, which libraries reserve more of than they use."""
GROWTH_BYTES = 768 << 20
"""As much as a case may add to what the process really holds. The files are a few kilobytes."""
SOUND = -1


@dataclass(frozen=True)
class Answer:
    """What became of a case: `used`, or the class that refused it; `bug`: anything else."""

    door: str
    number: int
    outcome: str
    damage: str = ""
    trace: str = ""


def answer(door_name: str, number: int, folder: Path) -> Answer:
    """Damage a copy of the door's sound files, and open it; with SOUND for a number leave it as it
    is."""
    rng = random.Random(f"{door_name}/{number}")
    door = {**DOORS, **TEETH}[door_name]
    shutil.copytree(_sound(door_name), folder, dirs_exist_ok=True)
    damaged = rng.choice(sorted(path for path in folder.glob(door.damaged) if path.is_file()))
    n_changes = 0 if number == SOUND else rng.choice([1, 1, 1, 2, 3])
    done = "; ".join(mutate(damaged, rng) for _ in range(n_changes))
    damage = f"{damaged.relative_to(folder)}: {done}"
    outcome, trace, before = "used", "", _largest_bytes()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")
            door.open(damaged)
    except MassannotError as error:
        outcome = type(error).__name__
        if not str(error):
            outcome, trace = "bug", f"{outcome} without a message"
    except Exception as error:
        outcome, trace = "bug", _where(error)
    if outcome != "bug" and _largest_bytes() - before > GROWTH_BYTES:
        grown = (_largest_bytes() - before) >> 20
        outcome, trace = "bug", f"memory grew by {grown} MiB ({outcome})"
    if outcome != "bug":
        try:
            door.neighbour(folder)
        except Exception as error:
            outcome, trace = "bug", f"neighbour lost: {_where(error)}"
    return Answer(door_name, number, outcome, damage, trace)


@cache
def _sound(door_name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="sound-"))
    {**DOORS, **TEETH}[door_name].sound(folder)
    return folder


def _largest_bytes() -> int:
    """The most memory that this program has held. Not getrusage's ru_maxrss: that begins with what
    the process held from which this one was started."""
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
    return int(line.split()[1]) * 1024


def _where(error: Exception) -> str:
    """The error and the last line of ours that it rose from."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "massannot/" in f.filename and "site-packages" not in f.filename]
    place = f"{'/'.join(ours[-1].filename.split('/')[-2:])}:{ours[-1].lineno}" if ours else "?"
    return f"{type(error).__name__}: {str(error)[:200]} at {place}"


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    tempfile.tempdir = sys.argv[1]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        door, number = line.rstrip("\n").split("\t")
        with tempfile.TemporaryDirectory() as folder:
            found = answer(door, int(number), Path(folder))
        answers.write(json.dumps(asdict(found)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
