"""Repeated commands: one that left nothing to do is answered from a note, `_run/outcome.json`.

The note holds the outcome and the state of every file that decided it: what the command names, the
package and the user's code, and the whole output folder. While no state differs, the same command
has the same outcome, and no table is opened. Imports none of the libraries that tables need.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from massannot.storage import durable
from massannot.storage.path import BucketPath, place
from massannot.storage.store import scheme_of

NOTE = "outcome.json"
MOST_FILES = 20_000
"""Of one folder. A larger one is not looked through: reading its tables takes long anyway."""
PACKAGE = Path(__file__).parent.parent
WHERE = ("folder", "select")
"""Fields of a spec that name folders without deciding by what lies in them."""
SETTINGS = ("MASSANNOT_", "HF_")
"""Beginnings of the names of variables that change what a command does."""


@dataclass(frozen=True)
class Outcome:
    """A job that is over, for people and for scripts."""

    code: int
    text: str
    as_json: dict[str, Any]

    def print(self, *, as_json: bool) -> None:
        """To stdout."""
        if as_json:
            print(json.dumps(self.as_json, indent=2, ensure_ascii=False))
        else:
            print(self.text)


@dataclass(frozen=True)
class Command:
    """A command as it was given. `words`: its name and all of its flags, in a form that two
    commands share only if they mean the same."""

    out: Path
    words: str

    @property
    def note(self) -> Path | None:
        """The path of the note; None: there is none in a bucket."""
        return None if isinstance(place(self.out), BucketPath) else self.out / "_run" / NOTE

    def earlier_outcome(self) -> Outcome | None:
        """The outcome of the same command before; None where anything may be different."""
        if self.note is None:
            return None
        try:
            kept = json.loads(self.note.read_bytes())
            same = kept["command"] == self._digest() and kept["out"] == self.out_state()
            if same and all(state_of(Path(p)) == state for p, state in kept["inputs"].items()):
                return Outcome(**kept["outcome"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass  # another version's, or damaged: the long way is always right
        return None

    def keep(self, outcome: Outcome, inputs: Mapping[str, str | None], out_state: str) -> None:
        """Write the note. `inputs`: see states_of, from before the command read any of them;
        `out_state`: from after it had written all."""
        if self.note is not None and UNKNOWN not in (*inputs.values(), out_state):
            values = {"command": self._digest(), "out": out_state, "inputs": inputs}
            content = json.dumps({**values, "outcome": asdict(outcome)}, ensure_ascii=False)
            durable.write_over(self.note, content.encode())

    def out_state(self) -> str:
        """The state of the output folder; UNKNOWN in a bucket."""
        return UNKNOWN if self.note is None else state_of(self.out, without=self.note) or UNKNOWN

    def _digest(self) -> str:
        """Of the words, the working folder, Python and what is installed beside it, and the
        variables that matter, which may hold secrets."""
        installed = [path for path in sys.path if path.endswith("-packages")]
        times = [(path, os.stat(path).st_mtime_ns) for path in installed if os.path.isdir(path)]
        settings = sorted(item for item in os.environ.items() if item[0].startswith(SETTINGS))
        all_of_it = repr((self.words, os.getcwd(), sys.version, times, settings))
        return _digest(all_of_it)


UNKNOWN = "unknown"
"""The state of what cannot be looked at again for little: a folder that is too large, an address,
a pattern."""


def states_of(spec: Mapping[str, Any], *, code: Iterable[Path]) -> dict[str, str | None]:
    """The state of everything on this machine that a spec's values name, of the user's `code`, and
    of this package. `spec`: RunSpec.to_json. A word that names no file is looked for again too."""
    states: dict[str, str | None] = {}
    for word in _words({name: value for name, value in spec.items() if name not in WHERE}):
        for name in filter(None, (word, word.partition(":")[0])):
            path = os.path.expanduser(name)
            states[path] = state_of(Path(path))
    for source in map(os.path.expanduser, spec["sources"]):
        if states[source] is None or scheme_of(source):
            states[source] = UNKNOWN  # an @list, a pattern, an address
    return states | {str(path): state_of(path) for path in (PACKAGE, *code)}


def state_of(path: Path, *, without: Path | None = None) -> str | None:
    """A digest of the names, sizes and times of a file, or of all files below a folder; None where
    there is nothing, UNKNOWN above MOST_FILES."""
    try:
        files = sorted(itertools.islice(_files(path), MOST_FILES + 1))
    except (OSError, ValueError):  # not there, or no name that a file can have
        return None
    if len(files) > MOST_FILES:
        return UNKNOWN
    lines = [
        f"{name}\0{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}\n"
        for name, stat in files
        if without is None or name != str(without)
    ]
    return _digest("".join(lines))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=16).hexdigest()


def _files(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    if not path.is_dir():
        yield str(path), path.stat()
        return
    folders = [str(path)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    yield entry.path, entry.stat(follow_symlinks=entry.is_file())
                elif entry.name != "__pycache__":
                    folders.append(entry.path)


def _words(value: Any) -> Iterator[str]:
    """Every text among the values of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _words(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _words(inner)
